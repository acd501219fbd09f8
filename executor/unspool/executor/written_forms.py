"""What programs commonly write in place of a whole text: in JSON, URLs, markup, shells and languages."""

import json
import re
import string
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

_IN_URL: Final = re.compile("%[0-9A-F]{2}")
_IN_JSON: Final = re.compile(r"\\u[0-9a-f]{4}")


class _Table:
    """What a program writes in place of some characters."""

    def __init__(self, written: dict[str, str]) -> None:
        """Takes characters in such an order that none is in what those before it are replaced by."""
        self._written = written
        self._places = {each: place for place, each in enumerate(written)}

    def of(self, text: str, characters: set[str]) -> str | None:
        """The text with this; None if it has none of the characters. It takes all characters of the text."""
        found = sorted(characters & self._places.keys(), key=self._places.__getitem__)
        for each in found:
            text = text.replace(each, self._written[each])
        return text if found else None


def _table(form: str, characters: str, others: dict[str, str] | None = None) -> _Table:
    return _Table((others or {}) | {each: form.format(ord(each)) for each in characters})


_LOWER: Final = "\\u{:04x}"
_UPPER: Final = "\\u{:04X}"
_SCRIPTS: Final = _table(_LOWER, "<>&")
"""What is also escaped in JSON, because it may be a part of HTML."""
_SCRIPTS_OF_PLAIN: Final = (_SCRIPTS, _table(_LOWER, "<>&='"))
_SCRIPTS_OF_ASCII: Final = (_table(_LOWER, "<>&'"), _table(_UPPER, "<>&"))
_QUOTES_OF_ASCII: Final = (_table(_UPPER, "<>&'"), _table(_UPPER, "<>&'+`"))
"""The same where `"` is escaped so, too."""

_MARKUP: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_QUOTE: Final = _MARKUP | {'"': "&quot;"}
_IN_MARKUP: Final = (
    _Table(_MARKUP),
    _Table(_QUOTE | {"'": "&apos;"}),
    _table("&#{};", "'", _QUOTE),
    _table("&#{:03};", "'", _QUOTE),
    _table("&#x{:X};", "'", _QUOTE),
    _table("&#x{:X};", "'`=", _QUOTE),
    _table("&#{};", "'\"", _MARKUP),
    _table("&#x{:X};", "/`=", _QUOTE | {"'": "&#39;"}),
    _Table(_QUOTE),
)

_IN_LANGUAGES: Final = (
    _Table({each: f"\\{each}" for each in "\\ '\"|&;()<>!{}*[?]^$`,"}),
    _Table({each: f"\\{each}" for each in '\\"$`'}),
    _Table({"\\": "\\\\", "'": "\\'", "\t": "\\t"}),
    _Table({"'": "'\\''"}),
    _Table({"'": "'\"'\"'"}),
    _Table({"'": "''"}),
    _Table({'"': '""'}),
)
"""Inside and outside of the quotes of shells, in YAML, SQL and CSV."""

_IN_ANSI_C: Final = _Table(
    {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    | {chr(byte): f"\\{byte:03o}" for byte in range(128, 256)}
)
"""Bytes in `$'…'` of bash, if the locale is C."""

_IN_EACH_URL: Final = f"{string.ascii_letters}{string.digits}_.-"


def _url(safe: str, space: str = "%20") -> _Table:
    """Of characters that each stand for a byte."""
    coded = ("%", "+", " ", *map(chr, range(256)))
    written = {each: f"%{ord(each):02X}" for each in coded if each not in _IN_EACH_URL + safe}
    return _Table(written | {" ": space})


_COMPONENTS: Final = (_url("~"), _url("~", "+"))
_URLS: Final = (*_COMPONENTS, _url("/~"), _url("/:@!$&'()*+,;=~?"))
_MORE_URLS: Final = (_url("!'()*~"), _url("$&+:=@~"), _url("", "+"), _url("*", "+"))


def usual_forms(text: str) -> set[str]:
    """A text as it is and as most programs write it: in JSON, in JSON in JSON, in URLs."""
    once = set(json_forms(text))
    again = {json.dumps(form, ensure_ascii=each)[1:-1] for form in once for each in (True, False)}
    return once | again | set(map(_slashes, again)) | _in_urls(text, _URLS)


def json_forms(text: str) -> Iterator[str]:
    """Yields a text as it is and as most programs write it in JSON, without the quotes."""
    ascii_only, plain = json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    yield from (text, ascii_only, plain, _slashes(ascii_only), _slashes(plain))
    yield from _applied(plain, (_SCRIPTS,))


def written_forms(text: str) -> set[str]:
    """The usual forms of a text, and what fewer programs write."""
    ascii_only = json.dumps(text)[1:-1]
    forms = usual_forms(text)
    forms.update(_in_scripts(text), _in_markup(text), _in_languages(text), _in_urls(text, _MORE_URLS))
    forms.update(form.replace("%", "%25") for form in _applied(_bytes_of(text), _COMPONENTS))
    if ascii_only != text:
        forms.update(_in_urls(ascii_only, _COMPONENTS), (escape(ascii_only),))
    return forms


def _in_scripts(text: str) -> Iterator[str]:
    """Yields a text in JSON of which more is escaped than it must be."""
    ascii_only, plain = json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    upper = _IN_JSON.sub(lambda found: f"\\u{found[0][2:].upper()}", ascii_only)
    yield upper
    yield from _applied(plain, _SCRIPTS_OF_PLAIN)
    yield from _applied(ascii_only, _SCRIPTS_OF_ASCII)
    for form in (ascii_only, upper):
        quoted = form.replace('\\"', "\\u0022")
        for each in (quoted, *_applied(quoted, _QUOTES_OF_ASCII)):
            yield from (each, _slashes(each))


def _applied(text: str, tables: Iterable[_Table]) -> Iterator[str]:
    """Yields the text with each table that changes it."""
    characters = set(text)
    return (form for table in tables if (form := table.of(text, characters)) is not None)


def _slashes(text: str) -> str:
    return text.replace("/", "\\/")


def _in_urls(text: str, tables: Iterable[_Table]) -> set[str]:
    """With digits in both cases."""
    forms = set(_applied(_bytes_of(text), tables))
    return forms | {_IN_URL.sub(lambda found: found[0].lower(), form) for form in forms}


def _bytes_of(text: str) -> str:
    """A character for each byte."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("latin-1")


def _in_markup(text: str) -> Iterator[str]:
    yield from _applied(text, _IN_MARKUP)
    if not text.isascii():
        yield escape(text).encode("ascii", "xmlcharrefreplace").decode()


def _in_languages(text: str) -> Iterator[str]:
    yield from _applied(text, _IN_LANGUAGES)
    yield from _applied(_bytes_of(text), (_IN_ANSI_C,))
    if not text.isascii() or not text.isprintable() or "\\" in text or "'" in text:
        yield from (repr(text)[1:-1], ascii(text)[1:-1], repr(text.encode("utf-8", "replace"))[2:-1])
