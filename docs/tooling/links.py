"""Links and anchors of Markdown texts, as GitHub reads them."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

LINK: Final = re.compile(r"(?P<before>!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()(?P<target>[^()\s]+)(?P<after>\))")
_CODE: Final = re.compile(r"^(```|~~~).*?^\1\s*$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_HEADING: Final = re.compile(r"^#{1,6} +(.+?)(?: +#+)? *$", re.MULTILINE)
_FENCED: Final = re.compile(r"^(```|~~~).*?^\1\s*$", re.DOTALL | re.MULTILINE)
_MARKUP: Final = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)]*\)|[`*]")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:")


def links(markdown: str) -> Iterator[str]:
    """Yields the targets of links and images, without those in code."""
    for found in LINK.finditer(_CODE.sub("", markdown)):
        yield found["target"]


def is_external(target: str) -> bool:
    """Returns whether a target has a scheme, such as `https:`."""
    return _SCHEME.match(target) is not None


def anchors(markdown: str) -> set[str]:
    """Returns the anchors of the headings. A repeated one gets a number."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(_FENCED.sub("", markdown)):
        slug = _slug(heading)
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def _slug(heading: str) -> str:
    text = _MARKUP.sub(r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
