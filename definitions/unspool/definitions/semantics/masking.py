"""Checks the mask of a definition (`document.metadata.unspool.mask`)."""

from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child
from unspool.definitions.masking import MAX_POINTERS, PLACE, problem_of, written_mask


def check_mask(findings: Findings) -> None:
    """Checks that the mask is a list of pointers."""
    mask, pointer = written_mask(findings.document.value), child("", *PLACE)
    if mask is None:
        return
    if not isinstance(mask, list):
        findings.error(pointer, "a mask is a list of JSON pointers")
        return
    if len(mask) > MAX_POINTERS:
        findings.error(pointer, f"a mask has at most {MAX_POINTERS} pointers, these are {len(mask)}")
    for place, each in enumerate(mask):
        problem = problem_of(each)
        if problem is not None:
            findings.error(child(pointer, str(place)), problem)
