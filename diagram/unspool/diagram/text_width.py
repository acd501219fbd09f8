"""The width of texts, estimated without a browser.

The widths are those of DejaVu Sans, rounded up; it is the widest of the common fonts. So a text that fits
here fits in the fonts that a page can have instead.
"""

import unicodedata
from typing import Final

_CHARACTERS: Final = {
    300: "\"'IJijl",
    350: " ,./:;\\|",
    400: "()-[]ft",
    450: "!r",
    500: "*_`",
    550: "?csz",
    600: "FLkvxy",
    650: "$0123456789EPSTYabdeghnopqu{}",
    700: "ABCKRVXZ",
    750: "NU",
    800: "&DGHOQ",
    850: "#+<=>^w~",
    950: "M%",
    1000: "@Wm…→",
}
"""Printable characters by width, in thousandths of the font size."""

_WIDTHS: Final = {character: width for width, group in _CHARACTERS.items() for character in group}
_OTHER: Final = 750
_FULL: Final = 1100
_BOLD: Final = 1.12
"""How much wider the bold font is."""

_ELLIPSIS: Final = "…"


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """Returns the width of a text in pixels; `size` is that of the font."""
    width = sum(map(_width, text)) * size / 1000
    return width * _BOLD if bold else width


def fitted(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Returns the text, cut to a width in pixels. A cut text ends with an ellipsis."""
    room = width * 1000 / size / (_BOLD if bold else 1)
    used, keep = 0.0, 0
    for place, character in enumerate(text):
        used += _width(character)
        if used > room:
            return text[:keep].rstrip() + _ELLIPSIS
        if used + _WIDTHS[_ELLIPSIS] <= room:
            keep = place + 1
    return text


def _width(character: str) -> int:
    known = _WIDTHS.get(character)
    if known is not None:
        return known
    if unicodedata.combining(character):
        return 0
    return _FULL if unicodedata.east_asian_width(character) in {"W", "F"} else _OTHER
