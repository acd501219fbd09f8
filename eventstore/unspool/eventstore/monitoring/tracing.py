"""Whether this process makes traces. Imports OpenTelemetry only if it does."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import BadSetting

if TYPE_CHECKING:
    from unspool.eventstore.monitoring.traces import Traces

EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_TURN_ON: Final = (EXPORTER, "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def open_traces(store: EventStore, environment: Mapping[str, str]) -> "Traces | None":
    """Returns what makes the traces of this process; None if the environment does not ask for traces.

    The variables are those of the OpenTelemetry specification ("Environment Variable Specification").

    Raises:
        BadSetting: the library is not installed, or the exporter or its protocol is not supported.
    """
    asking = next((name for name in _TURN_ON if environment.get(name)), None)
    exporter = environment.get(EXPORTER) or "otlp"
    if asking is None or exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if exporter not in {"otlp", "console"}:
        raise BadSetting(f"{EXPORTER} must be otlp, console or none, not {exporter!r}")
    protocol = next((environment[name] for name in _PROTOCOLS if environment.get(name)), "http/protobuf")
    if exporter == "otlp" and protocol != "http/protobuf":
        raise BadSetting(f"the protocol of the OTLP exporter must be http/protobuf, not {protocol!r}")
    if not _installed():
        raise BadSetting(f"{asking} needs a library: pip install 'unspool[otel]'")
    # A name in a text, because a process without traces must not import the library.
    opened: Traces = import_module("unspool.eventstore.monitoring.traces").opened(store, exporter)
    return opened


def _installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False
