"""Digest authentication (RFC 7616; inventory K6): MD5 and SHA-256, with sessions, `auth` and `auth-int`.

The first request of a call may use the challenge of an earlier call to the same origin with the same login,
which saves a request. If the server does not accept its nonce any more, it sends a new challenge.
"""

import hashlib
import secrets as randomness
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from yarl import URL

from unspool.definitions.errors import configuration
from unspool.definitions.json_value import Json
from unspool.executor.authentication.challenges import Challenge, challenges_of
from unspool.executor.authentication.credentials import Sending, header_value, username_of
from unspool.executor.outcome import Rejected

MOST_CHALLENGES: Final = 1000
"""Challenges that an executor remembers."""

_HASHES: Final = {"md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}
_SESSION: Final = "-sess"


@dataclass(frozen=True, slots=True)
class Login:
    """A username and its password."""

    username: str
    password: str


@dataclass(slots=True)
class Nonce:
    """A challenge that was answered, and how often."""

    challenge: Challenge
    count: int = 0


@dataclass(frozen=True, slots=True)
class RecentNonces:
    """The last challenge of each origin and login, up to a number."""

    _known: OrderedDict[tuple[URL, Login], Nonce] = field(default_factory=OrderedDict)

    def get(self, url: URL, login: Login) -> Nonce | None:
        """The last challenge, if there is one."""
        return self._known.get((url.origin(), login))

    def put(self, url: URL, login: Login, nonce: Nonce) -> None:
        """Remembers a challenge."""
        key = url.origin(), login
        self._known[key] = nonce
        self._known.move_to_end(key)
        if len(self._known) > MOST_CHALLENGES:
            self._known.popitem(last=False)


@dataclass(slots=True)
class Digest:
    """The credentials of a call with digest authentication."""

    login: Login
    nonces: RecentNonces
    random: Callable[[], str] = randomness.token_hex
    """Makes the client's nonces."""
    answered: bool = False
    """Whether a challenge of this call was answered."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """See `Credentials`."""
        return (self.login.password,)

    async def header(self, sending: Sending) -> str | None:
        """The answer to the last challenge of the origin; None if there is none. See `Credentials`."""
        nonce = self.nonces.get(sending.url, self.login)
        return None if nonce is None else self._answer(sending, nonce)

    async def renewed(self, sending: Sending, challenges: Sequence[str]) -> str | None:
        """The answer to the first challenge that can be answered. See `Credentials`.

        A second challenge in a call means that the login is wrong, except if only its nonce was too old.
        """
        challenge = next(filter(_can_answer, challenges_of(challenges)), None)
        if challenge is None or (self.answered and challenge.parameters.get("stale", "").lower() != "true"):
            return None
        self.answered = True
        nonce = Nonce(challenge)
        self.nonces.put(sending.url, self.login, nonce)
        return self._answer(sending, nonce)

    def _answer(self, sending: Sending, nonce: Nonce) -> str:
        nonce.count += 1
        return header_value(answer(nonce.challenge, self.login, sending, nonce.count, self.random()))


def digest(policy: dict[str, Json], nonces: RecentNonces) -> Digest:
    """The credentials of a policy `digest`. Raises `Rejected`."""
    match policy["digest"]:
        case {"username": str(), "password": str(password)} as login:
            return Digest(Login(username_of(login, "digest", "RFC 7616"), password), nonces)
        case _:
            detail = "digest authentication needs a username and a password, both text"
            raise Rejected(configuration(detail))


def answer(challenge: Challenge, login: Login, sending: Sending, count: int, client_nonce: str) -> str:
    """The value of the `Authorization` header that answers a challenge (RFC 7616, 3.4). Pure.

    Args:
        challenge: for which `_can_answer` holds.
        login: of the user.
        sending: the request.
        count: how many requests have used this nonce, this one included.
        client_nonce: a random text.
    """
    asked = challenge.parameters
    algorithm = asked.get("algorithm", "MD5")
    realm, nonce, target = asked["realm"], asked["nonce"], sending.url.raw_path_qs

    def hashed(*parts: str) -> str:
        return _hash(algorithm, ":".join(parts).encode("utf-8", "surrogateescape"))

    quality = _quality(asked)
    key = hashed(login.username, realm, login.password)
    if algorithm.lower().endswith(_SESSION):
        key = hashed(key, nonce, client_nonce)
    request = [sending.method, target]
    if quality == "auth-int":
        request.append(_hash(algorithm, sending.body))
    counted = [f"{count:08x}", client_nonce, quality] if quality else []
    response = hashed(key, nonce, *counted, hashed(*request))
    hides_user = asked.get("userhash", "").lower() == "true"
    user = hashed(login.username, realm) if hides_user else login.username
    parts = [
        _user(user),
        f"realm={_quoted(realm)}",
        f"nonce={_quoted(nonce)}",
        f"uri={_quoted(target)}",
        f'response="{response}"',
    ]
    if "algorithm" in asked:
        parts.append(f"algorithm={algorithm}")
    if "opaque" in asked:
        parts.append(f"opaque={_quoted(asked['opaque'])}")
    if quality:
        parts += [f"qop={quality}", f"nc={count:08x}", f'cnonce="{client_nonce}"']
    elif algorithm.lower().endswith(_SESSION):
        parts.append(f'cnonce="{client_nonce}"')
    if hides_user:
        parts.append("userhash=true")
    return "Digest " + ", ".join(parts)


def _can_answer(challenge: Challenge) -> bool:
    asked = challenge.parameters
    return (
        challenge.scheme == "digest"
        and "realm" in asked
        and bool(asked.get("nonce"))
        and asked.get("algorithm", "MD5").lower().removesuffix(_SESSION) in _HASHES
        and _quality(asked) is not None
    )


def _quality(asked: dict[str, str]) -> str | None:
    """The quality of protection: `auth` if it is offered; empty if none is (RFC 2069); None if unknown."""
    if "qop" not in asked:
        return ""
    offered = {text.strip().lower() for text in asked["qop"].split(",")}
    return next((known for known in ("auth", "auth-int") if known in offered), None)


def _hash(algorithm: str, text: bytes) -> str:
    name = _HASHES[algorithm.lower().removesuffix(_SESSION)]
    return hashlib.new(name, text, usedforsecurity=False).hexdigest()


def _user(username: str) -> str:
    if username.isascii():
        return f"username={_quoted(username)}"
    return f"username*=UTF-8''{quote(username, safe='')}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
