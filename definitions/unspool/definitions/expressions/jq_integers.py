"""Programs for real jq that never change the digits of an integer beyond 2^53 (inventory D13).

jq keeps the digits of a number that it only passes through, but computes with doubles. So the operators
and functions that compute are defined again, in front of the expression. Those that round return such an
integer as it is. All others raise an error that names it.

jq computes with constants when it compiles a program, before it looks at definitions. So the numbers of
such an expression are written in a form that jq does not take for a constant.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from unspool.definitions.expressions.lexer import Token, every, scan
from unspool.definitions.expressions.numbers import EXACT

_CHECKS: Final = """
def __beyond: type == "number" and (fabs | . >= 9007199254740992 and . <= 18446744073709551616)
  and . != 9007199254740992 and . != -9007199254740992;
def __longer: type == "number" and fabs > 18446744073709551616 and (isinfinite | not)
  and . != (. + 0 | tojson | fromjson);
def __refuse($what):
  error("\\($what), which is beyond 2^53, where real jq changes digits; pass ids as strings");
def __operand: if __beyond or __longer then __refuse("arithmetic with \\(tojson)") else . end;
def __result($a; $b): if type == "number" and (fabs | . >= 9007199254740992 and . <= 18446744073709551616)
    and $a == ($a | floor) and $b == ($b | floor)
  then __refuse("arithmetic gives about \\(tojson)") else . end;
"""
"""`__beyond` is true for integers beyond 2^53 of up to 64 bits, `__longer` for longer ones that are not
doubles."""

_SYMBOLS: Final = {"+": "_plus", "-": "_minus", "*": "_multiply", "/": "_divide", "%": "_mod"}
_ROUNDING: Final = ("floor", "ceil", "round", "trunc", "rint", "nearbyint")
_OF_INPUT: Final = (
    *("frexp", "modf", "significand", "cbrt", "logb"),
    *("gmtime", "localtime", "todate", "todateiso8601"),
)
_DATE_FORMATS: Final = ("strftime", "strflocaltime")
_OF_TWO: Final = (
    *("pow", "fmin", "fmax", "fmod", "drem", "remainder", "fdim", "copysign", "hypot"),
    *("ldexp", "scalb", "scalbln", "nextafter", "nexttoward"),
)


def _operator(symbol: str, name: str) -> str:
    return (
        f"def _{name}($a; $b): $a {symbol} $b;\n"
        f"def {name}(a; b): b as $b | a as $a "
        f'| if ($a | type) == "number" and ($b | type) == "number" '
        f"then _{name}($a | __operand; $b | __operand) | __result($a; $b) else _{name}($a; $b) end;\n"
    )


_DEFINITIONS: Final = {
    **{name: _operator(symbol, name) for symbol, name in _SYMBOLS.items()},
    **{
        name: f"def __{name}: {name}; def {name}: if __beyond then . else __{name} end;\n"
        for name in _ROUNDING
    },
    **{name: f"def __{name}: {name}; def {name}: __operand | __{name};\n" for name in _OF_INPUT},
    **{
        name: f"def __{name}($a): {name}($a); def {name}($a): __operand | __{name}($a);\n"
        for name in _DATE_FORMATS
    },
    **{
        name: f"def __{name}($a; $b): {name}($a; $b);\n"
        f"def {name}($a; $b): __{name}($a | __operand; $b | __operand) | __result($a; $b);\n"
        for name in _OF_TWO
    },
    "fabs": "def __fabs: fabs; def fabs: if __beyond then (if . < 0 then -. else . end) else __fabs end;\n",
    "fma": "def __fma($a; $b; $c): fma($a; $b; $c);\n"
    "def fma($a; $b; $c): __fma($a | __operand; $b | __operand; $c | __operand) | __result($a * $b; $c);\n",
    "mktime": "def __mktime: mktime; def mktime: __mktime | __result(0; 0);\n",
    "add": "def add(f): reduce f as $x (null; . + $x); def add: add(.[]);\n",
    "range": "def __range($a; $b): range($a; $b); def __range($a; $b; $c): range($a; $b; $c);\n"
    "def range($a): __range(0; $a | __operand);\n"
    "def range($a; $b): __range($a | __operand; $b | __operand);\n"
    "def range($a; $b; $c): __range($a | __operand; $b | __operand; $c | __operand);\n",
}
"""Definitions by the name of the operator or function, in the order of a program: `add` needs `_plus`."""

_GROW: Final = frozenset(
    {*("_multiply", "_mod", "pow", "fma", "ldexp", "scalb", "scalbln"), *("tonumber", "fromjson")}
)
"""With these, short numbers can give an integer beyond 2^53 that is not seen in the result."""

_LONG: Final = re.compile(rb"[0-9]{16}|[0-9][eE]\+?1[0-9]")
"""Matches data that may have a number beyond 2^53 of up to 64 bits."""
_LONG_RESULT: Final = re.compile(rb"(?<![.0-9])[0-9]{16}|[0-9]e\+1")
"""Matches a result that may have a computed number beyond 2^53; not the digits of a fraction."""
_MOST_EXACT: Final = 15
"""Digits of the integers that are never beyond 2^53."""


@dataclass(frozen=True, slots=True)
class JqProgram:
    """An expression for real jq, in two forms."""

    source: str
    exact: str | None
    """The slower form, which keeps digits or fails. None if the expression does not compute."""
    always: bool
    """Whether `source` can be wrong although no number of the data or the result is beyond 2^53."""

    def for_data(self, data: bytes) -> str:
        """Returns the form to run with data in JSON."""
        if self.exact is not None and (self.always or _LONG.search(data)):
            return self.exact
        return self.source

    def after(self, result: bytes) -> str | None:
        """Returns the form to run again, given the result of `source` in JSON; None if that is right."""
        return self.exact if self.exact is not None and _LONG_RESULT.search(result) else None


@lru_cache(maxsize=256)
def jq_program(source: str) -> JqProgram:
    """Returns the program of an expression. Raises `ExpressionError`."""
    tokens = tuple(every(scan(source)))
    names = {_name(token) for token in tokens if token.kind in ("operator", "name")}
    if "add" in names:
        names.add("_plus")
    definitions = "".join(text for name, text in _DEFINITIONS.items() if name in names)
    if not definitions:
        return JqProgram(source, None, always=False)
    numbers = [token for token in tokens if token.kind == "number"]
    long = _may_be_long(numbers, names)
    body = _without_constants(source, numbers) if long else source
    return JqProgram(source, _CHECKS + definitions + body, always=long or not names.isdisjoint(_GROW))


def _may_be_long(numbers: list[Token], names: set[str]) -> bool:
    """Returns whether a number of the source, or what jq computes with these alone, may be beyond 2^53."""
    if any(len(number.text) > _MOST_EXACT or "e" in number.text.lower() for number in numbers):
        return True
    if names.isdisjoint(("_multiply", "_divide")):
        return sum(float(number.text) for number in numbers) >= EXACT
    return sum(len(number.text) for number in numbers) > _MOST_EXACT


def _name(token: Token) -> str:
    """Returns the name that jq gives to an operator, also within an assignment; else the text."""
    return _SYMBOLS.get(token.text.removesuffix("="), token.text)


def _without_constants(source: str, numbers: list[Token]) -> str:
    pieces, at = [], 0
    for number in sorted(numbers, key=lambda token: token.offset):
        pieces += [source[at : number.offset], f"([{number.text}][0])"]
        at = number.offset + len(number.text)
    return "".join([*pieces, source[at:]])
