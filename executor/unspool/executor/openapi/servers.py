"""The server of an operation (OpenAPI 3, "Server Object"; Swagger 2.0, `host`, `basePath`). Pure."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from unspool.definitions.json_value import Json
from unspool.definitions.spelling import shown
from unspool.executor.documents.text import UnusableDocument
from unspool.executor.openapi.document import ApiDocument, Edition

_VARIABLE: Final = re.compile(r"\{([^{}]+)\}")
MAX_ADDRESS: Final = 4096
"""Characters of an address, and of the value of a variable in it."""
_SCHEMES: Final = ("https", "http")
"""Those that can be used; the first is preferred."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as the document has it."""

    reference: str
    """Its address; it may be relative to the address of the document."""
    scheme: str | None = None
    """Replaces the scheme of the document, if the address has none."""

    def address(self, document: str) -> str:
        """The complete address, without a `/` at its end.

        Args:
            document: the address of the document.

        Raises:
            UnusableDocument: it is not an address of HTTP.
        """
        try:
            parts = urlsplit(urljoin(document, self.reference))
            scheme = self.scheme or parts.scheme
            usable = scheme in _SCHEMES and bool(parts.hostname)
        except ValueError:
            usable = False
        if not usable:
            shown_address = shown(self.reference)
            raise UnusableDocument(f"the server '{shown_address}' has no complete http or https address")
        netloc = parts.netloc.rpartition("@")[2]
        return urlunsplit((scheme, netloc, parts.path.rstrip("/"), "", ""))


def server_of(document: ApiDocument, item: Json, operation: dict[str, Json]) -> Server:
    """The server of an operation: the first of its own servers, of those of its path, or of the document.

    Raises:
        UnusableDocument: it has no default value for a variable, or no scheme that can be used.
    """
    if document.edition is Edition.SWAGGER_2:
        return _of_swagger(document.root, operation)
    for owner in (operation, item, document.root):
        servers = owner.get("servers") if isinstance(owner, dict) else None
        if isinstance(servers, list) and servers:
            return Server(_expanded(document.resolved(servers[0])))
    return Server("/")


def _expanded(server: Json) -> str:
    if not isinstance(server, dict) or not isinstance(server.get("url"), str):
        raise UnusableDocument("its first server has no address")
    variables = server.get("variables")

    def default(match: re.Match[str]) -> str:
        variable = variables.get(match[1]) if isinstance(variables, dict) else None
        value = variable.get("default") if isinstance(variable, dict) else None
        if not isinstance(value, str | int | float):
            raise UnusableDocument(f"the variable '{shown(match[1])}' of its server has no default value")
        return _limited(str(value))

    return _limited(_VARIABLE.sub(default, _limited(server["url"])))


def _limited(text: str) -> str:
    if len(text) > MAX_ADDRESS:
        raise UnusableDocument(f"the address of its server has more than {MAX_ADDRESS} characters")
    return text


def _of_swagger(root: dict[str, Json], operation: dict[str, Json]) -> Server:
    written = operation.get("schemes") or root.get("schemes")
    scheme = None
    if isinstance(written, list) and written:
        scheme = next((known for known in _SCHEMES if known in written), None)
        if scheme is None:
            raise UnusableDocument(f"it offers the schemes {shown(written)}, but not http or https")
    base = root.get("basePath")
    path = "/" + base.lstrip("/") if isinstance(base, str) else "/"
    host = root.get("host")
    return Server(_limited(f"//{host}{path}" if isinstance(host, str) and host else path), scheme)
