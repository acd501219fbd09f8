"""Addresses of external resources (dsl.md, "Catalogs"; dsl-reference.md, "External Resource"; L1, R2).

A resource has one of these addresses:

    https://…, http://…   fetched over HTTP
    file:PATH             a file in the directory of resources of the executor
    catalog:PATH          a file of the default catalog

An address without a scheme is relative to the text that has it. In a workflow, whose own address is not
known, it is a path in the directory of resources. Addresses of pages on GitHub and GitLab become those of the
raw files.
"""

import re
from posixpath import join, normpath
from typing import Final
from urllib.parse import urldefrag, urljoin, urlsplit, urlunsplit

CATALOG: Final = "catalog"
FILE: Final = "file"

_GITHUB: Final = frozenset({"github.com", "www.github.com"})
_GITHUB_RAW: Final = "raw.githubusercontent.com"
_GITLAB: Final = "gitlab.com"
_DEFAULT_BRANCH: Final = "main"
_PAGES: Final = frozenset({"blob", "raw", "tree"})
_GITLAB_PAGE: Final = re.compile(r"/-/(?:blob|tree)/")

MAX_LENGTH: Final = 4096
"""Characters of an address."""
_BLANK: Final = re.compile(r"[\x00-\x20\x7f]")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NO_BRANCH: Final = re.compile(r"[0-9a-f]{40}|v?[0-9]+(?:\.[0-9]+)*(?:[-+][\w.+-]*)?")
"""A commit or the tag of a version."""
_DOCUMENT: Final = re.compile(r".*\.(?:ya?ml|json)", re.IGNORECASE)


def problem_of_address(address: str) -> str | None:
    """Returns why an address cannot be used; None if it can. It is in events, so it has no password."""
    if len(address) > MAX_LENGTH:
        return f"it has more than {MAX_LENGTH} characters"
    if _BLANK.search(address):
        return "it contains white space or control characters"
    try:
        scheme, authority, path, *_ = urlsplit(address)
    except ValueError:
        return "its host is not valid"
    if scheme not in {"", FILE} and not authority and path.startswith("//"):
        return "its host is not valid"  # it has none, and `urlunsplit` would take a part of the path for it
    return "it contains credentials; write them as authentication" if "@" in authority else None


def absolute(address: str, base: str = "") -> str:
    """Returns the complete address, without its fragment.

    Args:
        address: as an author wrote it, with the values of its variables.
        base: the address of the text that has it; empty for a workflow.
    """
    plain = urldefrag(address).url
    if plain.lower().startswith(f"{FILE}:"):
        return f"{FILE}:{_inside(plain[len(FILE) + 1 :])}"
    if _SCHEME.match(plain):
        return _raw(plain)
    scheme, _, path = base.partition(":")
    if scheme in {FILE, CATALOG}:
        return f"{scheme}:{_inside(join(path.rpartition('/')[0], plain))}"
    return _raw(urljoin(base, plain)) if base else f"{FILE}:{_inside(plain)}"


def of_catalog(base: str, path: str) -> str:
    """Returns the address of a file of a catalog.

    Args:
        base: the complete address of the catalog.
        path: the path of the file in the catalog.
    """
    scheme, _, folder = base.partition(":")
    if scheme in {FILE, CATALOG}:
        return f"{scheme}:{_inside(join(folder, path))}"
    return _raw(_below(_with_branch(base), path))


def of_function(address: str) -> str:
    """Returns the complete address of the definition of a function (inventory J24).

    On GitHub, `OWNER/REPOSITORY/PATH@REF` is a path at a branch, a tag or a commit. On GitHub and GitLab, the
    path of a directory means its `function.yaml`.
    """
    parts = urlsplit(address)
    if parts.hostname in _GITHUB:
        page = _github_page(*_segments(parts.path))
        if page is not None:
            return _raw(_definition_in(urlunsplit(parts._replace(path=page))))
    if _GITLAB_PAGE.search(parts.path):
        return absolute(_definition_in(address))
    return absolute(address)


def _github_page(owner: str = "", repository: str = "", *rest: str) -> str | None:
    """Returns the path of a page for a path on GitHub; None if it is not inside a repository."""
    if not rest or rest[0] in _PAGES:
        return "/".join(("", owner, repository, *rest)) if len(rest) > 1 else None
    path, _, ref = "/".join(rest).partition("@")
    return f"/{owner}/{repository}/tree/{ref or _DEFAULT_BRANCH}/{path}"


def _definition_in(address: str) -> str:
    return address if _DOCUMENT.fullmatch(urlsplit(address).path) else _below(address, "function.yaml")


def _raw(address: str) -> str:
    """Returns the address of the raw file, for a page on GitHub or GitLab; any other address is unchanged."""
    parts = urlsplit(address)
    if parts.hostname in _GITHUB:
        match _segments(parts.path):
            case [owner, repository, page, ref, *path] if page in _PAGES and path:
                branch = [ref] if ref == "refs" or _NO_BRANCH.fullmatch(ref) else ["refs", "heads", ref]
                raw = "/".join(["", owner, repository, *branch, *path])
                return urlunsplit(parts._replace(netloc=_GITHUB_RAW, path=raw))
    return urlunsplit(parts._replace(path=_GITLAB_PAGE.sub("/-/raw/", parts.path, count=1)))


def _with_branch(base: str) -> str:
    """Returns the address of a catalog; a whole repository on GitHub or GitLab means its default branch."""
    parts = urlsplit(base)
    path = parts.path.rstrip("/")
    if parts.hostname in _GITHUB and len(_segments(path)) == 2:
        return urlunsplit(parts._replace(path=f"{path}/tree/{_DEFAULT_BRANCH}"))
    if parts.hostname == _GITLAB and "/-/" not in f"{path}/":
        return urlunsplit(parts._replace(path=f"{path}/-/tree/{_DEFAULT_BRANCH}"))
    return base


def _below(base: str, path: str) -> str:
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}"))


def _segments(path: str) -> list[str]:
    return path.strip("/").split("/")


def _inside(path: str) -> str:
    """Returns a path without `..` above its root, and without a `/` at its start."""
    return normpath(f"/{path.lstrip('/')}").lstrip("/")
