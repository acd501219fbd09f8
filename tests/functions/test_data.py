"""Annotations become schemas; JSON becomes Python values and back."""
# ruff: noqa: E501 - in tables a case is a line

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import math
import typing
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import pydantic
import pytest
from pydantic.alias_generators import to_camel

from unspool.functions import Context
from unspool.functions.plain import plain
from unspool.functions.signature import Mismatch, Unsupported, signature_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Item:
    name: str
    price: float
    count: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    id: int
    items: list[Item]
    note: str | None = None
    colour: Colour = Colour.RED
    tags: set[str] = dataclasses.field(default_factory=set)
    total: float = dataclasses.field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if self.id < 0:
            raise ValueError("the id is negative")


@dataclasses.dataclass
class Tree:
    value: int
    children: list[Tree] = dataclasses.field(default_factory=list)


class Address(typing.TypedDict):
    street: str
    zip: typing.NotRequired[int]


class Card(pydantic.BaseModel):
    number: str = pydantic.Field(min_length=4)
    expires: dt.date
    model_config = pydantic.ConfigDict(alias_generator=to_camel)
    holder_name: str = "unknown"


class Point(msgspec.Struct):
    x: int
    y: int = 0


def reads(annotation: Any, value: Any) -> Any:
    """What a function with one parameter of this type gets for a value."""

    def function(p): ...

    function.__annotations__ = {"p": annotation}
    signature = signature_of(function)
    _, named = signature.arguments(value if signature.whole else {"p": value}, Context())
    return named["p"]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Any, {"a": [1]}, {"a": [1]}),
        (int, 7, 7),
        (int, 7.0, 7),
        (float, 7, 7.0),
        (str, "x", "x"),
        (bool, True, True),
        (None, None, None),
        (int | None, None, None),
        (typing.Optional[int], 3, 3),  # noqa: UP045 - authors write it
        (int | str, "a", "a"),
        (list[int], [1, 2], [1, 2]),
        (Sequence[int], [1], [1]),
        (list, [1, "a"], [1, "a"]),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
        (set[int], [1, 2, 1], {1, 2}),
        (frozenset[str], ["a"], frozenset({"a"})),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Mapping[str, list[int]], {"a": [1]}, {"a": [1]}),
        (dict, {"a": None}, {"a": None}),
        (Literal["a", 1], 1, 1),
        (Colour, "blue", Colour.BLUE),
        (dt.datetime, "2026-01-31T12:00:00+00:00", dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)),
        (dt.datetime, "2026-01-31T12:00:00Z", dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)),
        (dt.date, "2026-01-31", dt.date(2026, 1, 31)),
        (dt.time, "12:30:00", dt.time(12, 30)),
        (uuid.UUID, "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678-1234-5678-1234-567812345678")),
        (decimal.Decimal, "1.10", decimal.Decimal("1.10")),
        (decimal.Decimal, 2, decimal.Decimal(2)),
        (bytes, "aGk=", b"hi"),
        (typing.NewType("Id", int), 4, 4),
        (typing.Annotated[int, "a number"], 4, 4),
        (Item, {"name": "a", "price": 1}, Item("a", 1.0)),
        (Item, {"name": "a", "price": 1, "unknown": 5}, Item("a", 1.0)),
        (Item | None, None, None),
        (Tree, {"value": 1, "children": [{"value": 2}]}, Tree(1, [Tree(2)])),
        (Address, {"street": "a", "zip": 1, "other": 2}, {"street": "a", "zip": 1, "other": 2}),
        (
            Order,
            {"id": 1, "items": [{"name": "a", "price": 2, "count": 3}], "colour": "blue", "tags": ["x"]},
            Order(id=1, items=[Item("a", 2.0, 3)], colour=Colour.BLUE, tags={"x"}),
        ),
        (Card, {"number": "1234", "expires": "2030-01-01"}, Card(number="1234", expires=dt.date(2030, 1, 1))),
        (list[Card], [{"number": "1234", "expires": "2030-01-01"}], [Card(number="1234", expires=dt.date(2030, 1, 1))]),
        (Point, {"x": 1}, Point(1)),
        (dict[str, Point], {"a": {"x": 1, "y": 2}}, {"a": Point(1, 2)}),
        (typing.Annotated[int, pydantic.Field(gt=0)], 4, 4),
        (typing.Annotated[int, msgspec.Meta(gt=0)], 4, 4),
    ],
)  # fmt: skip
def test_values_are_read(annotation, value, expected):
    found = reads(annotation, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "place", "cause"),
    [
        (int, "7", "/p", "not a whole number"),
        (int, True, "/p", "not a whole number"),
        (int, 7.5, "/p", "not a whole number"),
        (int, float("inf"), "/p", "not a whole number"),
        (float, "1", "/p", "not a number"),
        (str, 1, "/p", "not a text"),
        (bool, 1, "/p", "not true or false"),
        (list[int], {"a": 1}, "/p", "not a list"),
        (list[int], [1, "a"], "/p/1", "not a whole number"),
        (tuple[int, str], [1], "/p", "a list of 2 items"),
        (set[Any], [[1]], "/p", "cannot be a member of a set"),
        (dict[str, int], {"a/b": "x"}, "/a~1b", "not a whole number"),
        (Literal["a", 1], True, "/p", "not one of 'a', 1"),
        (Colour, "green", "/p", "not one of 'red', 'blue'"),
        (dt.datetime, "yesterday", "/p", "not a time such as"),
        (uuid.UUID, "x", "/p", "not a UUID"),
        (decimal.Decimal, "x", "/p", "not a decimal number"),
        (bytes, "%%", "/p", "not a text in base64"),
        (int | str, [], "/p", "none of the possible types"),
        (Item, [], "", "not an object"),
        (Item, {"name": "a"}, "", "the member 'price' is missing"),
        (Item | None, {"name": "a", "price": "b"}, "/price", "not a number"),
        (Order, {"id": 1, "items": [{"name": 1, "price": 1}]}, "/items/0/name", "not a text"),
        (Order, {"id": -1, "items": []}, "", "Order: the id is negative"),
        (Address, {"zip": 1}, "", "the member 'street' is missing"),
        (Card, {"number": "1", "expires": "2030-01-01"}, "/number", "at least 4 characters"),
        (list[Card], [{"number": "1234", "expires": 1}], "/p/0/expires", "date"),
        (Point, {"x": "1"}, "/x", "Expected `int`, got `str`"),
        (list[Point], [{"x": 1, "y": []}], "/p/0/y", "Expected `int`"),
        (typing.Annotated[int, pydantic.Field(gt=0)], -1, "/p", "greater than 0"),
        (typing.Annotated[int, msgspec.Meta(gt=0)], -1, "/p", ">= 1"),
    ],
)
def test_a_wrong_value_has_a_place_and_a_cause(annotation, value, place, cause):
    with pytest.raises(Mismatch) as caught:
        reads(annotation, value)
    assert caught.value.place == place
    assert cause in caught.value.cause


def test_a_single_object_takes_the_whole_input_and_other_parameters_are_its_members():
    def whole(order: Order, context: Context): ...
    def maybe(order: Order | None): ...
    def scalar(name: str): ...
    def several(left: int, right: int = 2, *, context: Context | None = None): ...
    def positional(left: int, /, right: int): ...
    def nothing(): ...
    def bare(value): ...

    context = Context()
    assert signature_of(whole).whole == "order"
    assert signature_of(maybe).whole == "order"
    assert signature_of(bare).whole == "value"
    assert signature_of(scalar).arguments({"name": "a"}, context) == ([], {"name": "a"})
    assert signature_of(several).arguments({"left": 1}, context) == ([], {"left": 1, "context": context})
    assert signature_of(positional).arguments({"right": 2, "left": 1}, context) == ([1], {"right": 2})
    assert signature_of(nothing).arguments({"any": 1}, context) == ([], {})
    for value, place, cause in (
        ({"left": 1, "rihgt": 2}, "/rihgt", "it has left, right"),
        ({}, "", "the member 'left' is missing"),
        ([1, 2], "", "not an object"),
    ):
        with pytest.raises(Mismatch) as caught:
            signature_of(several).arguments(value, context)
        assert (caught.value.place, cause in caught.value.cause) == (place, True)


def test_the_schemas_describe_input_and_output():
    def function(order: Order, context: Context) -> dict[str, Tree]: ...

    signature = signature_of(function)
    schema = signature.input_schema
    assert schema["$ref"] == "#/$defs/Order"
    assert schema["$defs"]["Order"]["required"] == ["id", "items"]
    assert schema["$defs"]["Item"]["properties"]["price"] == {"type": "number"}
    assert "total" not in schema["$defs"]["Order"]["properties"]
    assert signature.output_schema["additionalProperties"] == {"$ref": "#/$defs/Tree"}


def test_the_schemas_of_the_libraries_are_taken_over():
    class Line(pydantic.BaseModel):
        cards: list[Card]

    class Path(msgspec.Struct):
        points: list[Point]

    def function(line, path): ...

    function.__annotations__ = {"line": Line, "path": Path}
    schema = signature_of(function).input_schema
    properties, definitions = schema["properties"], schema["$defs"]
    assert properties["line"]["properties"]["cards"]["items"] == {"$ref": "#/$defs/Line.Card"}
    assert definitions["Line.Card"]["properties"]["number"]["minLength"] == 4
    assert properties["path"] == {"$ref": "#/$defs/Path.Path"}
    assert definitions["Path.Path"]["properties"]["points"]["items"] == {"$ref": "#/$defs/Path.Point"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Order(id=1, items=[Item("a", 2.0)], tags={"x"}),
         {"id": 1, "items": [{"name": "a", "price": 2.0, "count": 1}], "note": None, "colour": "red", "tags": ["x"], "total": 0.0}),
        (Card(number="1234", expires=dt.date(2030, 1, 1)), {"number": "1234", "expires": "2030-01-01", "holderName": "unknown"}),
        ([Point(1)], [{"x": 1, "y": 0}]),
        ({"a": (1, None)}, {"a": [1, None]}),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "2026-01-01T00:00:00Z"),
        (decimal.Decimal("1.10"), "1.10"),
        ({Colour.RED: b"hi"}, {"red": "aGk="}),
        (Colour.BLUE, "blue"),
        (range(0), None),
    ],
)  # fmt: skip
def test_results_become_json(value, expected):
    if expected is None:
        with pytest.raises(Mismatch, match="type range has no form in JSON"):
            plain(value)
    else:
        assert plain(value) == expected


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "place", "cause"),
    [
        ({"a": [object()]}, "/a/0", "type object has no form in JSON"),
        ({"a": {1: 2}}, "/a", "the names of members are text, not int"),
        ({"a": math.nan}, "/a", "JSON has no number nan"),
        (nested(300), "/0" * 200, "nested more than 200 levels deep"),
        (Item, "", "has no form in JSON"),
    ],
)
def test_a_result_that_is_not_json_has_a_place_and_a_cause(value, place, cause):
    with pytest.raises(Mismatch) as caught:
        plain(value)
    assert caught.value.place == place
    assert cause in caught.value.cause


def many(*values: int): ...
def any_name(**values: int): ...
def stream() -> int:
    yield 1


def complex_number(value: complex): ...
def numbered(value: dict[int, str]): ...
def unknown_name(value: NoSuchType): ...  # noqa: F821 - the test needs it
def in_result() -> complex: ...


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (many, "takes any number of values"),
        (any_name, "takes any number of values"),
        (stream, "has a yield"),
        (complex_number, "the parameter value: the type complex has no form in JSON"),
        (numbered, "the names of members are text"),
        (unknown_name, "has the name 'NoSuchType'"),
        (in_result, "the result: the type complex"),
    ],
)
def test_functions_that_cannot_be_called_with_json_are_refused(function, cause):
    with pytest.raises(Unsupported, match=cause):
        signature_of(function)
