"""Verifies that a request comes from the service that knows a secret.

How a request is verified is in the configuration alone: a request cannot choose an algorithm. Secrets and
signatures are compared in constant time.
"""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from unspool.api.hooks.received import BadHeader, Received
from unspool.executor.secrets import SecretProvider

MAX_SIGNATURES: Final = 16
"""Signatures of one request that are compared."""

_SECONDS: Final = re.compile(rb"[0-9]{1,11}")
_MILLISECONDS: Final = re.compile(rb"[0-9]{12,14}")


class Refused(Exception):
    """The request is not verified: a signature or token is wrong, absent or too old."""


class NoSecret(Refused):
    """No secret of the webhook has a value, so that nothing can be verified."""


class Verification(Protocol):
    """Verifies requests. Any thread may call it; it may block, because it reads secrets."""

    def verify(self, received: Received, secrets: SecretProvider) -> str | None:
        """Returns an id that only repetitions of this request have; None if the signature has no time.

        Raises:
            Refused: the request is not verified.
        """

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets. A request that is verified with one of them is accepted."""

    @property
    def scheme(self) -> str:
        """The name of the scheme, for `WWW-Authenticate`."""


@dataclass(frozen=True, slots=True)
class NoVerification:
    """Accepts every request."""

    secrets: tuple[str, ...] = ()
    scheme: str = "None"

    def verify(self, _received: Received, _secrets: SecretProvider) -> str | None:
        """See `Verification`."""
        return None


@dataclass(frozen=True, slots=True)
class Token:
    """A secret that the service sends in a header."""

    secrets: tuple[str, ...]
    header: str
    bearer: bool = False
    """Whether the secret follows the word `Bearer`."""

    @property
    def scheme(self) -> str:
        """See `Verification`."""
        return "Bearer" if self.bearer else "Token"

    def verify(self, received: Received, secrets: SecretProvider) -> str | None:
        """See `Verification`."""
        known = list(_values(self.secrets, secrets))
        given = _header(received, self.header)
        if self.bearer:
            word, _, given = given.partition(b" ")
            if word.lower() != b"bearer":
                raise Refused
        _compare([given.strip()], [as_bytes(text) for text in known])
        return None


def as_bytes(secret: str) -> bytes:
    """Returns a secret as it is in the environment: a value that is not UTF-8 has surrogates in Python."""
    return secret.encode("utf-8", "surrogateescape")


class Encoding(NamedTuple):
    """How a digest is written."""

    encode: Callable[[bytes], bytes]
    ignores_case: bool


HEX: Final = Encoding(lambda digest: digest.hex().encode(), ignores_case=True)
BASE64: Final = Encoding(b64encode, ignores_case=False)


class Claim(NamedTuple):
    """What the header with the signature holds."""

    signatures: list[bytes]
    time: bytes | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """An HMAC of the body, and mostly of a time, that the service sends in a header."""

    secrets: tuple[str, ...]
    header: str
    read: Callable[[bytes], Claim]
    """Reads the value of the header."""
    signed: tuple[bytes | str, ...] = ("body",)
    """What is signed, in order: text as bytes, `body`, `timestamp`, or the name of a header in lower case."""
    time_header: str | None = None
    """The header with the time, if it is in a header of its own."""
    tolerance: int = 300_000
    """How much the time may differ from now, in milliseconds."""
    algorithm: str = "sha256"
    encoding: Encoding = HEX
    key: Callable[[str], bytes] = as_bytes
    """The key of a secret. Raises `ValueError` if the secret cannot be one."""
    scheme: str = "Signature"

    def verify(self, received: Received, secrets: SecretProvider) -> str | None:
        """See `Verification`."""
        keys = list(_keys(_values(self.secrets, secrets), self.key))
        claim = self.read(_header(received, self.header))
        time = claim.time if self.time_header is None else _header(received, self.time_header)
        if "timestamp" in self.signed:
            self._check_time(time, received.at)
        content = b"".join(self._content(received, time))
        given = claim.signatures[:MAX_SIGNATURES]
        expected = [self.encoding.encode(hmac.digest(key, content, self.algorithm)) for key in keys]
        _compare([each.lower() for each in given] if self.encoding.ignores_case else given, expected)
        return hashlib.sha256(content).hexdigest() if "timestamp" in self.signed else None

    def _check_time(self, text: bytes | None, now: int) -> None:
        time = milliseconds(text or b"")
        if time is None or abs(now - time) > self.tolerance:
            raise Refused

    def _content(self, received: Received, time: bytes | None) -> Iterator[bytes]:
        for part in self.signed:
            match part:
                case bytes():
                    yield part
                case "body":
                    yield received.body
                case "timestamp":
                    yield time or b""
                case _:
                    yield _header(received, part)


# -- the headers of services


def prefixed(prefix: str) -> Callable[[bytes], Claim]:
    """Returns a reader of one signature after a fixed text, such as `sha256=`."""
    start = prefix.encode()

    def read(value: bytes) -> Claim:
        return Claim([value.removeprefix(start)] if value.startswith(start) else [])

    return read


def timed_list(value: bytes) -> Claim:
    """Reads `t=TIME,v1=SIGNATURE,v1=…`. Signatures of other versions are ignored."""
    items = [item.strip().partition(b"=") for item in value.split(b",")]
    times = [text for name, _, text in items if name == b"t"]
    if len(times) != 1:
        raise Refused
    return Claim([text for name, _, text in items if name == b"v1"], times[0])


def versioned_list(value: bytes) -> Claim:
    """Reads `v1,SIGNATURE v1,…`. Signatures of other versions are ignored."""
    return Claim([item[3:] for item in value.split(b" ") if item.startswith(b"v1,")])


def base64_key(secret: str) -> bytes:
    """Returns the key in a secret of Standard Webhooks: base64, mostly after `whsec_`."""
    try:
        return b64decode(secret.removeprefix("whsec_"), validate=True)
    except Base64Error as error:
        raise ValueError("not base64") from error


def milliseconds(text: bytes) -> int | None:
    """Reads a time: seconds or milliseconds since 1970, or RFC 3339. None if it is none of these."""
    if _SECONDS.fullmatch(text):
        return int(text) * 1000
    if _MILLISECONDS.fullmatch(text):
        return int(text)
    try:
        time = datetime.fromisoformat(text.decode("ascii"))
        return None if time.tzinfo is None else int(time.timestamp() * 1000)
    except (ValueError, OverflowError):  # of a decoder too
        return None


# -- secrets


def _values(names: tuple[str, ...], secrets: SecretProvider) -> Iterator[str]:
    """Yields the values of secrets. A secret without text counts as absent: it can be guessed."""
    values = [value for name in names if isinstance(value := secrets.secret(name), str) and value.strip()]
    if not values:
        raise NoSecret
    yield from values


def _keys(values: Iterator[str], key: Callable[[str], bytes]) -> Iterator[bytes]:
    found = False
    for value in values:
        try:
            made = key(value)
        except ValueError:
            continue
        if made:
            found = True
            yield made
    if not found:
        raise NoSecret


def _header(received: Received, name: str) -> bytes:
    try:
        value = received.header(name)
    except BadHeader:
        raise Refused from None
    if not value:
        raise Refused
    return value


def _compare(given: list[bytes], expected: list[bytes]) -> None:
    """Raises `Refused` if no given text is an expected one. Takes the same time for every wrong text."""
    equal = [hmac.compare_digest(each, known) for each in given for known in expected]
    if not any(equal):
        raise Refused
