"""JSON documents of an issuer: read with limits of time and size, and without redirects."""

from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from unspool.api.authentication.urls import fault_of_url

MAX_BYTES: Final = 1 << 20
FETCH_SECONDS: Final = 10.0

UNREADABLE: Final = (OSError, aiohttp.ClientError, ValueError, KeyError, TypeError)
"""What a document raises that does not arrive, or has another form."""

_DISCOVERY: Final = "/.well-known/openid-configuration"


class BadDocument(ValueError):
    """A document of the issuer has a member that cannot be used. The text names the member."""


class IssuerUnavailable(Exception):
    """What is needed of the issuer cannot be fetched, and is not known from before."""


def client() -> aiohttp.ClientSession:
    """Returns a client for one exchange. It keeps no cookies and uses no proxy of the environment."""
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    return aiohttp.ClientSession(timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar())


async def discover(session: aiohttp.ClientSession, issuer: str) -> dict[str, Any]:
    """Returns the discovery document of an issuer (OpenID Connect Discovery 1.0, section 4).

    Raises:
        ValueError: it is the document of another issuer, or not a document.
    """
    document = await read_json(session, issuer.rstrip("/") + _DISCOVERY)
    named = document.get("issuer")
    if named != issuer:
        raise BadDocument(f"issuer must be {issuer!r}, not {str(named)[:200]!r}")
    return document


def address_in(document: dict[str, Any], name: str) -> str:
    """Returns an address that a discovery document names.

    Raises:
        BadDocument: it is absent or not safe: http on another machine, or http although the issuer has https.
    """
    url = document.get(name)
    if fault := fault_of_url(url):
        raise BadDocument(f"{name} {fault}")
    if urlsplit(str(url)).scheme == "http" and urlsplit(document["issuer"]).scheme == "https":
        raise BadDocument(f"{name} must be an https URL")
    return str(url)


async def read_json(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """Returns the object at an address.

    Raises:
        ValueError: the answer is another one.
    """
    async with session.get(url, allow_redirects=False, raise_for_status=True) as response:
        if response.status != 200:
            raise ValueError(f"{url} answers {response.status}")
        return await object_in(response)


async def object_in(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """Returns the JSON object in a response.

    Raises:
        ValueError: it is too large, or not an object.
    """
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > MAX_BYTES:
            raise ValueError(f"{response.url} sends more than {MAX_BYTES} bytes")
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise ValueError(f"{response.url} does not send an object")  # noqa: TRY004 - it is bad data, not a bug
    return document
