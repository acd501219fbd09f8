"""The interface of credentials, and those whose header never changes: none, basic, bearer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from yarl import URL

from unspool.definitions.authentication import descriptor
from unspool.definitions.errors import configuration
from unspool.definitions.json_value import Json
from unspool.executor.outcome import Rejected

_NOT_IN_HEADER: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Sending(NamedTuple):
    """What credentials may depend on: the request that they are sent with."""

    method: str
    """In upper case."""
    url: URL
    """As it is sent, with its query."""
    body: bytes = b""


class Credentials(Protocol):
    """The credentials for the requests of one call. They go only to the origin that the call names."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts to hide in errors."""

    async def header(self, sending: Sending) -> str | None:
        """The value of the `Authorization` header; None if the request is sent without one.

        Raises:
            Rejected: there is no token.
        """

    async def renewed(self, sending: Sending, challenges: Sequence[str]) -> str | None:
        """Another value, after a response with status 401; None if no other can help.

        Args:
            sending: the request that was answered.
            challenges: the values of the `WWW-Authenticate` headers of the response.

        Raises:
            Rejected: there is no token.
        """


@dataclass(frozen=True, slots=True)
class Fixed:
    """A header that is the same for each request, or none."""

    value: str | None = None
    secrets: tuple[str, ...] = ()

    async def header(self, _: Sending) -> str | None:
        """See `Credentials`."""
        return self.value

    async def renewed(self, _: Sending, __: Sequence[str]) -> str | None:
        """See `Credentials`."""
        return None


NONE: Final = Fixed()


def fixed(policy: Json) -> Fixed:
    """The credentials of a policy `basic` or `bearer`.

    Raises:
        Rejected: a part is missing, is not text, or cannot be sent.
    """
    sent = descriptor(policy)
    if sent is None or sent["parameter"] is None:
        raise Rejected(configuration(_cause(policy)))
    secrets = [sent["parameter"]]
    if "basic" in policy:
        username_of(policy["basic"], "basic", "RFC 7617")
        secrets.append(policy["basic"]["password"])
    return Fixed(header_value(f"{sent['scheme']} {sent['parameter']}"), tuple(secrets))


def username_of(login: dict[str, str], scheme: str, standard: str) -> str:
    """The username of a login. Raises `Rejected` if it has a colon, which would end it."""
    if ":" in login["username"]:
        detail = f"a username of {scheme} authentication cannot have a colon ({standard})"
        raise Rejected(configuration(detail))
    return login["username"]


def header_value(value: str) -> str:
    """The value. Raises `Rejected` if it cannot be the value of a header."""
    if _NOT_IN_HEADER.search(value):
        detail = "the value of header 'Authorization' contains line breaks or control characters"
        raise Rejected(configuration(detail))
    return value


def _cause(policy: Json) -> str:
    if "basic" in policy:
        return "basic authentication needs a username and a password, both text"
    return "bearer authentication needs a token, as text"
