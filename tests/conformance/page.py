"""Writes the table of `docs/conformance.md`."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from tests.conformance.case import CASES, Case
from tests.conformance.inventory import NOT_COVERED, SECTIONS, Section

PASSES: Final = "passes"

INTRODUCTION: Final = """\
# Conformance

<!-- Written by `make conformance`. Change the cases, not this page. -->

This page says what Unspool does for each requirement of the DSL that it knows, with the case that shows it.
The numbers are those of [readings](readings.md). A case is a small workflow with its input and its expected
outcome; [the cases](../tests/conformance/README.md) are in `tests/conformance/cases`. Each one runs in three
ways, which must agree: with the interpreter alone in memory, and through the HTTP API with all services, on
SQLite and on Redis. A case that takes days runs only in memory.

{cases} cases cover {covered} of {total} numbers. {left} numbers have no case; the tables say why.
"""

_HEAD: Final = "| number | what it says | case | result |\n|---|---|---|---|\n"


def render(results: Mapping[str, str]) -> str:
    """Returns the page.

    Args:
        results: by the id of a case, its result, if it is not `PASSES`.
    """
    cases: dict[str, list[Case]] = defaultdict(list)
    for case in CASES:
        for number in case.covers:
            cases[number].append(case)
    covered = sum(number in cases for section in SECTIONS for number in section.numbers)
    total = sum(len(section.numbers) for section in SECTIONS)
    introduction = INTRODUCTION.format(cases=len(CASES), covered=covered, total=total, left=total - covered)
    return introduction + "".join("\n" + _section(section, cases, results) for section in SECTIONS)


def _section(section: Section, cases: Mapping[str, list[Case]], results: Mapping[str, str]) -> str:
    rows = [row for number in section.numbers for row in _rows(number, cases, results)]
    return f"## {section.letter}. {section.title}\n\n{_HEAD}" + "".join(f"| {row} |\n" for row in rows)


def _rows(number: str, cases: Mapping[str, list[Case]], results: Mapping[str, str]) -> Iterator[str]:
    for case in cases.get(number, ()):
        title = case.title.replace("|", "\\|")
        link = f"[{case.id}](../tests/conformance/cases/{case.file})"
        yield f"{number} | {title} | {link} | {results.get(case.id, PASSES)}"
    if number not in cases:
        yield f"{number} | {NOT_COVERED.get(number, '')} | | no case"
