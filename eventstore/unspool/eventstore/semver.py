"""The order of versions (Semantic Versioning 2.0.0, section 11), to find the latest."""

Precedence = tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]


def precedence(version: str) -> Precedence:
    """A sort key: a higher version has a greater key.

    Texts that are not semantic versions are lower than all versions. Build metadata is ignored.
    """
    core, dash, before_release = version.partition("+")[0].partition("-")
    numbers = core.split(".")
    if not all(_is_number(number) for number in numbers):
        return ((-1,), False, _identifiers(version))
    return (tuple(map(int, numbers)), not dash, _identifiers(before_release))


def order(version: str) -> tuple[Precedence, str]:
    """A sort key that is unique: versions that differ only in build metadata are ordered by text."""
    return precedence(version), version


def _identifiers(text: str) -> tuple[tuple[bool, int, str], ...]:
    # Numbers compare as numbers and are lower than words.
    return tuple((False, int(i), "") if _is_number(i) else (True, 0, i) for i in text.split("."))


def _is_number(text: str) -> bool:
    # Longer numbers count as words, because int() takes quadratic time.
    return text.isascii() and text.isdigit() and len(text) <= 1000
