"""jq's formats (`@csv`, …): how values and interpolations are written."""

import base64
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from unspool.definitions.expressions.encoded_text import from_base64, from_uri
from unspool.definitions.expressions.errors import EvaluationError
from unspool.definitions.expressions.frame import ITEM, Frame, charge, charge_text
from unspool.definitions.expressions.json_text import to_json, to_string
from unspool.definitions.expressions.ordering import kind
from unspool.definitions.json_value import Json

_TSV: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_HTML: Final = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&apos;", '"': "&quot;"})


def _row(name: str, separator: str, text: Callable[[str], str]) -> Callable[[Json, Frame], str]:
    """Returns a function that writes arrays of scalars in a format."""

    def written(value: Json, frame: Frame) -> str:
        if not isinstance(value, list):
            raise EvaluationError(f"{kind(value)} cannot be {name}-formatted, only array")
        return _joined([cell(item, frame) for item in value], separator, frame)

    def cell(item: Json, frame: Frame) -> str:
        charge(frame, ITEM)
        if isinstance(item, (list, dict)):
            raise EvaluationError(f"{kind(item)} is not valid in a {name} row")
        if item is None:
            return ""
        return text(item) if isinstance(item, str) else to_json(item, frame)

    return written


def _joined(pieces: list[str], separator: str, frame: Frame) -> str:
    charge_text(frame, sum(map(len, pieces)) + len(pieces))
    return separator.join(pieces)


def _shell(value: Json, frame: Frame) -> str:
    return _joined(
        [_argument(item, frame) for item in (value if isinstance(value, list) else [value])], " ", frame
    )


def _argument(item: Json, frame: Frame) -> str:
    charge(frame, ITEM)
    if isinstance(item, (list, dict)):
        raise EvaluationError(f"{kind(item)} can not be escaped for shell")
    if not isinstance(item, str):
        return to_json(item, frame)
    return "'" + item.replace("'", "'\\''") + "'"


def _html(value: Json, frame: Frame) -> str:
    text = to_string(value, frame)
    charge_text(frame, len(text))
    return text.translate(_HTML)


FORMATS: Final[Mapping[str, Callable[[Json, Frame], str]]] = MappingProxyType(
    {
        "text": to_string,
        "json": to_json,
        "base64": lambda value, frame: base64.b64encode(to_string(value, frame).encode()).decode(),
        "uri": lambda value, frame: quote(to_string(value, frame), safe="-._~"),
        "base64d": from_base64,
        "urid": from_uri,
        "csv": _row("csv", ",", lambda text: '"' + text.replace('"', '""') + '"'),
        "tsv": _row("tsv", "\t", lambda text: text.translate(_TSV)),
        "html": _html,
        "sh": _shell,
    }
)
"""By name; jq's other formats are outside the subset."""
