"""A sink that gets events by HTTP.

Content modes are those of the HTTP Protocol Binding for CloudEvents 1.0, structured and batched. Signatures
are those of Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks).
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
import orjson
from yarl import URL

from unspool.eventstore.clock import Clock
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, TRACESTATE, checked_context
from unspool.eventstore.settings import BadSetting
from unspool.executor.secrets import SecretProvider
from unspool.executor.transports.settings import TransportSettings
from unspool.executor.transports.sink import NotSent, Refused, Unreachable

STRUCTURED: Final = "application/cloudevents+json; charset=utf-8"
BATCH: Final = "application/cloudevents-batch+json; charset=utf-8"

_OF_THE_EVENT: Final = frozenset({400, 406, 409, 411, 412, 413, 414, 415, 416, 417, 422, 424, 431, 451})
"""Statuses that refuse an event. All others say that the address does not work now, for any event."""

_BASE64_PREFIX: Final = "whsec_"
"""What a signing key in base64 begins with."""

_LONGEST_RETRY_AFTER: Final = 3600.0
_KEPT_BODY_BYTES: Final = 16 * 1024
"""A response is read up to here, so that its connection can be used again."""


class HttpSink:
    """Sends events to an HTTP address."""

    name = "http"

    def __init__(
        self,
        session: aiohttp.ClientSession,
        settings: TransportSettings,
        secrets: SecretProvider,
        clock: Clock,
    ) -> None:
        """The session is of this sink alone, without the egress policy: operators choose the address.

        Raises:
            BadSetting: the address is not an HTTP URL.
        """
        self._url = address(settings.sink_url)
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=settings.sink_seconds)
        self._seconds = settings.sink_seconds
        self._credentials = _Credentials(secrets, settings.sink_token, settings.sink_signing_secret, clock)
        self.batch = settings.sink_batch

    async def send(self, tenant: str, events: Sequence[bytes]) -> None:
        """See `Sink`. A response in the range 200 to 299 accepts the events."""
        body = b"[" + b",".join(events) + b"]" if self.batch > 1 else events[0]
        headers = {
            "Content-Type": BATCH if self.batch > 1 else STRUCTURED,
            "X-Tenant": tenant,
            **_trace_context(events),
            **self._credentials.headers(body),
        }
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False, timeout=self._timeout
            ) as response:
                await response.content.read(_KEPT_BODY_BYTES)
        except TimeoutError:
            raise Unreachable(f"no answer within {self._seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(f"cannot be reached: {_in_one_line(error)}") from None
        _check(response)


@dataclass(frozen=True, slots=True)
class _Credentials:
    """The headers that show who sends. Secrets are read for each request, so that they can be changed."""

    secrets: SecretProvider
    token: str
    signing_secret: str
    clock: Clock

    def headers(self, body: bytes) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self.token:
            headers["Authorization"] = f"Bearer {self._secret(self.token)}"
        if self.signing_secret:
            headers |= signature(self._secret(self.signing_secret), body, self.clock.now() // 1000)
        return headers

    def _secret(self, name: str) -> str:
        value = self.secrets.secret(name)
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise NotSent(f"there is no secret {name!r}, or it is not printable ASCII text")
        return value


def _trace_context(events: Sequence[bytes]) -> dict[str, str]:
    """The trace context of the event, as the header that services read. A batch has several, so no header."""
    if len(events) > 1 or b'"traceparent"' not in events[0]:
        return {}
    event = orjson.loads(events[0])
    return checked_context(event.get(TRACEPARENT), event.get(TRACESTATE))


def address(url: str) -> URL:
    """The address of a sink.

    Raises:
        BadSetting: it is not an HTTP URL.
    """
    try:
        parsed = URL(url)
        usable = parsed.scheme in {"http", "https"} and bool(parsed.host)
    except (ValueError, IndexError):  # yarl raises both
        usable = False
    if not usable:
        raise BadSetting("UNSPOOL_EVENT_SINK_URL must be an address that begins with http:// or https://")
    return parsed


def signature(secret: str, body: bytes, now: int) -> dict[str, str]:
    """The headers that sign a request. A request that is sent again has the same `webhook-id`.

    Args:
        secret: a text, or `whsec_` and a key in base64.
        body: of the request.
        now: seconds since 1970.

    Raises:
        NotSent: the key is not base64.
    """
    key = secret.encode()
    if secret.startswith(_BASE64_PREFIX):
        try:
            key = b64decode(secret.removeprefix(_BASE64_PREFIX), validate=True)
        except ValueError:
            raise NotSent(f"the signing secret begins with {_BASE64_PREFIX} and is not base64") from None
    id_ = "msg_" + hashlib.blake2b(body, digest_size=16).hexdigest()
    digest = hmac.digest(key, f"{id_}.{now}.".encode() + body, "sha256")
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }


def _check(response: aiohttp.ClientResponse) -> None:
    if 200 <= response.status < 300:
        return
    reason = f"answers {response.status}"
    if response.status in _OF_THE_EVENT:
        raise Refused(reason)
    raise NotSent(reason, retry_after=_retry_after(response.headers.get("Retry-After", "")))


def _retry_after(text: str) -> float:
    """Seconds in a `Retry-After` header; 0 for another form."""
    seconds = float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0
    return min(seconds, _LONGEST_RETRY_AFTER)


def _in_one_line(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return " ".join((getattr(cause, "strerror", None) or str(cause) or type(cause).__name__).split())[:200]
