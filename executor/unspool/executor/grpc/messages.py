"""Arguments as messages, and messages as output, by the JSON mapping of Protocol Buffers (inventory J19).

Names of fields are in lowerCamelCase in outputs; arguments can also use the names of the `.proto`. In outputs
integers of 64 bits are text, bytes are base64, and fields that have their default are left out.
"""

import re
from typing import Final

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, EncodeError

from unspool.definitions.errors import communication, validation
from unspool.definitions.json_value import Json
from unspool.definitions.spelling import did_you_mean, shown
from unspool.executor.grpc.schema import Method
from unspool.executor.masking import masked
from unspool.executor.outcome import Rejected

_WELL_KNOWN: Final = "google.protobuf."
"""The start of the names of types whose JSON is not a mapping of their fields."""

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")

_MOST_NAMES: Final = 20
_MOST_CHARACTERS: Final = 300

_REFUSED: Final = (
    json_format.Error,
    EncodeError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What the library raises for values that do not fit."""


def requests_of(method: Method, arguments: Json) -> list[bytes]:
    """The messages to send.

    Args:
        method: takes them.
        arguments: the fields of the message; for a stream of requests also a list, an item for each message.

    Raises:
        Rejected: they do not fit the method; the `validation` error names the field and what is allowed.
    """
    values = [{}] if arguments is None else arguments
    if not isinstance(values, list):
        return [_request(method, values, "arguments")]
    if arguments is not None and not method.streams_requests:
        raise _rejected(
            "arguments", f"{method.name} takes one message, so they must be a mapping, not a list"
        )
    return [_request(method, value, f"arguments[{index}]") for index, value in enumerate(values)]


def _request(method: Method, value: Json, place: str) -> bytes:
    message = method.request()
    _check(value, method.takes, place)
    try:
        json_format.ParseDict(value, message, descriptor_pool=method.pool)
        sent: bytes = message.SerializeToString()
    except _REFUSED as error:
        cause = masked(" ".join(str(error).split()), ())[:_MOST_CHARACTERS]
        raise _rejected(place, f"they do not fit {method.takes.full_name}: {cause}") from None
    return sent


def _check(value: Json, message: Descriptor, place: str) -> None:
    """Checks the names of fields, also those of messages inside. Raises `Rejected`."""
    if message.full_name.startswith(_WELL_KNOWN):
        return
    if not isinstance(value, dict):
        raise _rejected(place, f"must be a mapping with the fields of {message.full_name}")
    known = {name: field for field in message.fields for name in (field.json_name, field.name)}
    for name, member in value.items():
        field = known.get(name)
        if field is not None:
            _check_field(member, field, f"{place}.{name}")
        elif not name.startswith("["):  # the name of an extension
            names = [field.json_name for field in message.fields]
            detail = f"{message.full_name} has no such field{did_you_mean(name, names)}; {_allowed(names)}"
            raise _rejected(f"{place}.{shown(name)}", detail)


def _check_field(value: Json, field: FieldDescriptor, place: str) -> None:
    message = field.message_type
    if message is None:
        _check_scalar(value, field, place)
    elif value is None:
        pass
    elif message.GetOptions().map_entry:
        of_values = message.fields_by_name["value"].message_type
        if of_values is not None and isinstance(value, dict):
            for name, member in value.items():
                _check(member, of_values, f"{place}.{shown(name)}")
    elif not field.is_repeated:
        _check(value, message, place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, message, f"{place}[{index}]")


def _check_scalar(value: Json, field: FieldDescriptor, place: str) -> None:
    """Refuses what the library would change without an error: it skips characters that are not base64."""
    if field.type == field.TYPE_BYTES:
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, str) and not _BASE64.fullmatch(text):
                raise _rejected(place, "must be base64")


def response_of(method: Method, received: bytes) -> Json:
    """A message as JSON.

    Raises:
        Rejected: it cannot be read.
    """
    try:
        message = method.response.FromString(received)
        return json_format.MessageToDict(message, descriptor_pool=method.pool)
    except (DecodeError, *_REFUSED) as error:
        cause = " ".join(str(error).split())[:_MOST_CHARACTERS]
        detail = f"{method.name} answered what is no {method.response.DESCRIPTOR.full_name}: {cause}"
        raise Rejected(communication(detail, title="Unreadable response")) from None


def _allowed(names: list[str]) -> str:
    if not names:
        return "it has no fields"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"it has {', '.join(names[:_MOST_NAMES])}{more}"


def _rejected(place: str, cause: str) -> Rejected:
    return Rejected(validation(f"{place}: {cause}", title="Arguments do not fit"))
