"""Hook of MkDocs: links that lead out of docs/ work on the site, too.

A Markdown file elsewhere in the repository that a page links to becomes a page, any other file is copied. So
the same links work on GitHub, in the files and on the site. A page that loads something from another server
is a warning, which fails a strict build.
"""

import logging
import os
import posixpath
import re
import sys
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_ROOT: Final = Path(__file__).parents[2]
sys.path.insert(0, os.fspath(_ROOT))  # MkDocs loads a hook by its path

from docs.tooling.links import LINK, is_external, links  # noqa: E402

log = logging.getLogger(f"mkdocs.hooks.{__name__}")

_OUTSIDE: Final = "repository"
"""Where pages and files from outside docs/ are on the site."""

_STARTS: Final = ("CHANGELOG.md", "CONTRIBUTING.md", "README.md")
"""Pages from outside docs/ that the navigation names, or that need no link."""

_LOADED: Final = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?:https?:)?//[^\"]*"
    r"|<link\b[^>]*rel=\"stylesheet\"[^>]*href=\"(?:https?:)?//[^\"]*"
)
"""What a page loads from another server."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files outside docs/ that pages link to."""
    waiting = [*_STARTS]
    for file in files.documentation_pages():
        waiting += _outside(f"docs/{file.src_uri}", file.content_string)
    while waiting:
        path = waiting.pop()
        if files.get_file_from_path(_on_site(path)) is None:
            added = _added(config, path)
            files.append(added)
            if added.is_documentation_page():
                waiting += _outside(path, added.content_string)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Changes links that lead out of docs/, or out of a page from there."""
    here = page.file.src_uri
    path = here.removeprefix(f"{_OUTSIDE}/") if here.startswith(f"{_OUTSIDE}/") else f"docs/{here}"

    def changed(found: re.Match[str]) -> str:
        target, hash_, anchor = found["target"].partition("#")
        if not target or is_external(target):
            return found[0]
        outside = _readme_of(_resolved(path, target))
        if (_ROOT / outside).is_dir():  # GitHub shows directories, the site does not
            return found["before"].lstrip("![").removesuffix("](")
        to = posixpath.relpath(_on_site(outside), posixpath.dirname(here) or ".")
        return f"{found['before']}{to}{hash_}{anchor}{found['after']}"

    return LINK.sub(changed, markdown).replace("<details>", '<details markdown="1">')


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Warns of what a page loads from other servers."""
    for found in _LOADED.findall(output):
        log.warning("%s loads from another server: %s", page.file.src_uri, found)
    return output


def _outside(path: str, markdown: str) -> list[str]:
    """Returns the files outside docs/ that a text links to; `path` is its own place in the repository."""
    targets = (target.partition("#")[0] for target in links(markdown) if not is_external(target))
    paths = (_readme_of(_resolved(path, target)) for target in targets if target)
    return [each for each in paths if not each.startswith("docs/") and (_ROOT / each).is_file()]


def _resolved(path: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _readme_of(path: str) -> str:
    """Returns the README of a directory that has one; else the path itself."""
    readme = posixpath.join(path, "README.md")
    return readme if (_ROOT / readme).is_file() else path


def _on_site(path: str) -> str:
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{_OUTSIDE}/{path}"


def _added(config: MkDocsConfig, path: str) -> File:
    return File.generated(config, _on_site(path), abs_src_path=os.fspath(_ROOT / path))
