"""Compares what a page shows with what was printed. Ids, times and durations differ from run to run."""

import re

_VARIABLE = re.compile(
    r"(?P<id>\b0[01][0-9A-HJKMNP-TV-Z]{24}\b)"
    r"|(?P<key>usk_[0-9a-f]{16}_[\w-]+…?)"
    r"|(?P<keyid>\b[0-9a-f]{16}\b)"
    r"|(?P<letter>\b(?:\d+-)?\d{13}-\d+)"
    r"|(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)"
    r"|(?P<clock>\b\d\d:\d\d:\d\d(?:\.\d+)?)"
    r"|(?P<seconds>\b\d+\.\d+ ?s\b)"
    r"|(?P<anything>…)"
)
_PATTERNS = {
    "id": r"[0-9A-HJKMNP-TV-Z]{26}",
    "key": r"usk_[0-9a-f]{16}_[\w-]+",
    "keyid": r"[0-9a-f]{16}",
    "letter": r"(?:\d+-)?\d{13}-\d+",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
    "clock": r"\d\d:\d\d:\d\d(?:[.,]\d+)?",
    "seconds": r"\d+\.\d+ ?s",
    "anything": r".*?",
}
_NAMED = {"id", "key", "keyid", "letter"}
"""Later commands of a page use these, so what the page shows stands for what was printed."""


def compare(shown: str, printed: str) -> dict[str, str] | None:
    """Returns what the shown ids stand for, or nothing if the printed text is another one.

    `…` stands for any text of a line; a line that is `…` or `...` for any lines. White space is one
    space; in JSON it is ignored.
    """
    squeeze = _without_spaces if shown.lstrip().startswith(("{", "[")) else _with_single_spaces
    names: list[str] = []
    pattern = _pattern(squeeze(shown), names)
    found = re.fullmatch(pattern, squeeze(printed))
    if found is None:
        return None
    stands: dict[str, str] = {}
    for name, value in zip(names, found.groups(), strict=True):
        if stands.setdefault(name, value) != value:
            return None
    return stands


def _without_spaces(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _with_single_spaces(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def _pattern(shown: str, names: list[str]) -> str:
    """Returns the pattern for the whole text, and adds what its groups stand for to `names`."""
    pattern = ""
    for line in shown.split("\n"):
        if line in ("…", "..."):
            pattern += r"(?:.*\n)*?"
        else:
            pattern += _line_pattern(line, names) + r"\n"
    return pattern.removesuffix(r"\n") if not pattern.endswith("?") else pattern + ".*"


def _line_pattern(line: str, names: list[str]) -> str:
    pattern, end = "", 0
    for variable in _VARIABLE.finditer(line):
        kind = str(variable.lastgroup)
        pattern += re.escape(line[end : variable.start()])
        if kind in _NAMED:
            names.append(variable[0])
            pattern += f"({_PATTERNS[kind]})"
        else:
            pattern += _PATTERNS[kind]
        end = variable.end()
    return pattern + re.escape(line[end:])
