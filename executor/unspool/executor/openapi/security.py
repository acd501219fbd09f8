"""The security schemes of an operation (OpenAPI, "Security Scheme Object"). Pure."""

from collections.abc import Iterator

from unspool.definitions.json_value import Json
from unspool.executor.authentication.api_keys import Accepted, accepted, required_names
from unspool.executor.openapi.document import ApiDocument, Edition


def security_of(document: ApiDocument, operation: dict[str, Json]) -> Accepted:
    """The schemes that an operation names, or else the document. A scheme that does not exist is left out."""
    return accepted(_schemes(document, operation.get("security", document.root.get("security"))))


def _schemes(document: ApiDocument, required: Json) -> Iterator[dict[str, Json]]:
    if document.edition is Edition.SWAGGER_2:
        defined = document.root.get("securityDefinitions")
    else:
        defined = document.known(document.root.get("components")).get("securitySchemes")
    for name in required_names(required):
        if scheme := document.known(document.known(defined).get(name)):
            yield scheme
