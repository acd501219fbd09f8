"""Serves the dashboard: one HTML page for all views, and the files that it loads.

The files are read once and kept in memory, so a path of a request is never a path of the file system.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGES: Final = (
    "/",
    "/executions/{id}",
    "/workflows",
    "/workflows/{namespace}/{name}",
    "/workflows/{namespace}/{name}/{version}",
    "/schedules",
    "/events",
    "/dead-letters",
    "/system",
    "/login",
)
"""The paths of the views. The scripts read the path and show the view."""

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",
}
"""The media type of each kind of file. Only these are served."""


class File(NamedTuple):
    """A file of the dashboard."""

    content: bytes
    headers: dict[str, str]


def routes() -> list[Route]:
    """Returns the routes of the page and of its files."""
    pages = [Route(path, _page, methods=["GET"]) for path in PAGES]
    return [*pages, Route("/static/{path:path}", _file, methods=["GET"])]


async def _page(request: Request) -> Response:
    return _answer(request, _shell())


async def _file(request: Request) -> Response:
    found = _files().get(request.path_params["path"])
    if found is None:
        raise HTTPException(404)
    return _answer(request, found)


def _answer(request: Request, file: File) -> Response:
    """Returns the file, or 304 if the browser has it already."""
    request.scope["unspool.route"] = "dashboard"
    if request.headers.get("if-none-match") == file.headers["ETag"]:
        return Response(status_code=304, headers=file.headers)  # browsers replace the headers that they have
    return Response(file.content, headers=file.headers)


@cache
def _shell() -> File:
    file = _files()["index.html"]
    return File(file.content, {**file.headers, "Content-Security-Policy": policy(file.content)})


def policy(page: bytes) -> str:
    """Returns the Content-Security-Policy of the page.

    Everything comes from this server. The import map is the only script inside the page, so it is allowed by
    its hash. Trusted Types make the browser refuse text as HTML, except for a diagram that was checked.
    """
    inline = page.partition(b'<script type="importmap">')[2].partition(b"</script>")[0]
    digest = b64encode(sha256(inline).digest()).decode()
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'sha256-{digest}'",
            "object-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types diagram",
        )
    )


@cache
def _files() -> dict[str, File]:
    """Reads all files, by their path below `static`."""
    return dict(_below(files("unspool.dashboard").joinpath("static"), ""))


def _below(folder: Traversable, prefix: str) -> list[tuple[str, File]]:
    found: list[tuple[str, File]] = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _below(each, f"{prefix}{each.name}/")
        else:
            found.append((prefix + each.name, _loaded(each)))
    return found


def _loaded(file: Traversable) -> File:
    content = file.read_bytes()
    dot = file.name.rfind(".")
    headers = {
        "Content-Type": TYPES["" if dot < 0 else file.name[dot:]],
        "ETag": f'"{sha256(content).hexdigest()[:32]}"',
        "Cache-Control": "no-cache",
    }
    return File(content, headers)
