"""The address of a broker and of a channel on it, in one text.

`PROTOCOL://[USER:PASSWORD@]HOST[:PORT][/PATH]?channel=NAME`. The path is the virtual host of AMQP and the
database of Redis. Further parameters are `mode` (`structured` or `binary`), `type` (the type of messages that
are not CloudEvents), `tenant`, and options of the protocol as in AsyncAPI bindings, such as `qos=1`.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from unspool.definitions.json_value import Json
from unspool.eventstore.ids import TENANT
from unspool.eventstore.records import DEFAULT_TENANT
from unspool.eventstore.settings import BadSetting
from unspool.executor.brokers.port import Channel, Credentials, Server
from unspool.executor.brokers.protocols import PROTOCOLS

MODES: Final = ("structured", "binary")
_OWN: Final = frozenset({"channel", "mode", "type", "tenant"})


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where events are sent to, or come from."""

    server: Server
    channel: Channel
    binary: bool
    type: str
    """The type of events that are made of other messages; empty: such messages are left out."""
    tenant: str

    @property
    def place(self) -> str:
        """The address as logs and figures name it, without credentials."""
        return f"{self.server.label}{self.server.path}?channel={self.channel.address}"


def broker_address(variable: str, text: str) -> BrokerAddress:
    """Reads an address. Raises `BadSetting` with the name of the variable, and without credentials."""
    try:
        split = urlsplit(text)
        port = split.port
    except ValueError:
        raise BadSetting(f"{variable}: the port of an address is not a number") from None
    protocol = PROTOCOLS.get(split.scheme)
    if protocol is None or not split.hostname:
        known = ", ".join(sorted(PROTOCOLS))
        raise BadSetting(f"{variable} must be PROTOCOL://HOST:PORT?channel=NAME with one of {known}")
    options = dict(parse_qsl(split.query, keep_blank_values=True))
    if not options.get("channel"):
        raise BadSetting(f"{variable}: the address of {split.hostname} has no ?channel=NAME")
    if (mode := options.get("mode", MODES[0])) not in MODES:
        raise BadSetting(f"{variable}: mode must be structured or binary, not {mode!r}")
    if not TENANT.fullmatch(tenant := options.get("tenant", DEFAULT_TENANT)):
        raise BadSetting(f"{variable}: {tenant!r} is not the name of a tenant")
    server = _server(split, port or protocol.port, tls=protocol.tls)
    bindings: dict[str, Json] = {name: _value(each) for name, each in options.items() if name not in _OWN}
    channel = Channel(options["channel"], bindings)
    return BrokerAddress(server, channel, mode == "binary", options.get("type", ""), tenant)


def _server(split: SplitResult, port: int, *, tls: bool) -> Server:
    credentials = Credentials(unquote(split.username or ""), unquote(split.password or ""))
    return Server(split.scheme, split.hostname or "", port, split.path, tls, credentials)


def _value(text: str) -> Json:
    """Numbers and booleans, as they are in bindings; everything else is text."""
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if text.isdecimal() and len(text) < 10 else text
