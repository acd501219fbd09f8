"""Names of images, and whether they have to be fetched."""

import re
from typing import Any, Final, NamedTuple

from unspool.definitions import errors
from unspool.executor.outcome import Rejected, reject
from unspool.executor.runs.container.engine import Engine, EngineError

_IMAGE: Final = re.compile(
    r"(?P<name>[a-z0-9A-Z](?:[a-zA-Z0-9._-]*(?::[0-9]{1,5}(?=/))?)(?:/[a-z0-9](?:[a-z0-9._-]*))*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[a-fA-F0-9]{32,128}))?"
)
_MAX_NAME: Final = 255
_DEFAULT_REGISTRY: Final = "docker.io"


class ImageName(NamedTuple):
    """A complete name: with registry, and with a tag or a digest."""

    repository: str
    """With the registry: `docker.io/library/alpine`."""
    tag: str
    digest: str

    @property
    def full(self) -> str:
        """The name, such as `docker.io/library/alpine:latest`."""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{f':{self.tag}' if self.tag else ''}{digest}"


def parse_image(text: str) -> ImageName:
    """Completes a name as engines do. Raises `Rejected` if it is not the name of an image."""
    match = _IMAGE.fullmatch(text) if len(text) <= _MAX_NAME and ".." not in text else None
    if match is None:
        reject(f"{text[:_MAX_NAME]!r} is not the name of an image")
    name, digest = match["name"], match["digest"] or ""
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"{_DEFAULT_REGISTRY}/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"{_DEFAULT_REGISTRY}/{name}"
    return ImageName(name, match["tag"] or ("" if digest else "latest"), digest)


async def available_image(engine: Engine, image: ImageName, policy: str, seconds: float) -> dict[str, Any]:
    """Fetches an image if the policy wants it; returns what the engine knows of it.

    Raises:
        Rejected: it is not there, or cannot be fetched.
    """
    if policy != "always":
        try:
            return await engine.image(image.full)
        except EngineError as error:
            if error.status != 404:
                raise
        if policy == "never":
            detail = f"the image {image.full} is not there, and pullPolicy is never"
            raise Rejected(errors.runtime(detail, title="Image not found"))
    await _pull(engine, image, seconds)
    return await engine.image(image.full)


async def _pull(engine: Engine, image: ImageName, seconds: float) -> None:
    name = f"{image.repository}@{image.digest}" if image.digest else image.repository
    try:
        await engine.pull(name, "" if image.digest else image.tag, seconds)
    except EngineError as error:
        detail = f"the image {image.full} cannot be fetched: {error}"
        status = 404 if error.status == 404 else None
        raise Rejected(errors.communication(detail, title="Image not fetched", status=status)) from None
    except TimeoutError:
        detail = f"the image {image.full} was not fetched within {seconds:g} s"
        raise Rejected(errors.communication(detail, title="Image not fetched")) from None
