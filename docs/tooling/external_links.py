"""Checks the links to other servers. No test does this, because tests do not use the network."""

import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from docs.tooling.documents import ROOT, documents
from docs.tooling.links import links

_SECONDS: Final = 20
_AGENT: Final = "Mozilla/5.0 (link check of Unspool's documentation)"
_THREADS: Final = 8
_NOT_FOR_PROGRAMS: Final = frozenset({403, 429})
"""The page is there, but the server does not show it to programs."""


def main() -> int:
    """Prints each link that does not work, with the documents that have it."""
    places: dict[str, list[str]] = defaultdict(list)
    for document in documents():
        for target in links(document.read_text(encoding="utf-8")):
            if target.startswith(("http://", "https://")):
                places[target.partition("#")[0]].append(str(document.relative_to(ROOT)))
    with ThreadPoolExecutor(_THREADS) as threads:
        problems = dict(zip(places, threads.map(_problem, places), strict=True))
    for url, problem in problems.items():
        if problem is not None:
            print(f"{url}: {problem} ({', '.join(sorted(set(places[url])))})")  # noqa: T201
    return any(problems.values())


def _problem(url: str) -> str | None:
    try:
        with urlopen(Request(url, headers={"User-Agent": _AGENT}), timeout=_SECONDS):  # noqa: S310 - http, https
            return None
    except HTTPError as error:
        error.close()
        return None if error.code in _NOT_FOR_PROGRAMS else f"answers {error.code}"
    except OSError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main())
