"""Checks the tags that a definition makes (`document.metadata.unspool.tags`): names and number."""

from unspool.definitions.execution_tags import PLACE, tags_of
from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child
from unspool.definitions.spelling import shown
from unspool.definitions.tag_name import MAX_TAGS, NAME


def check_execution_tags(findings: Findings) -> None:
    """Checks the tags of a definition."""
    tags, pointer = tags_of(findings.document.value), child("", *PLACE)
    if len(tags) > MAX_TAGS:
        findings.error(pointer, f"an execution has at most {MAX_TAGS} tags, these are {len(tags)}")
    for name in tags:
        if not NAME.fullmatch(name):
            message = f"'{shown(name)}' is no name of a tag: 1 to 63 letters, digits, '_', '.' and '-'"
            findings.error(child(pointer, name), message, at_key=True)
