"""Every number of the inventory has a case or a reason, and the page shows it."""

from collections import Counter
from pathlib import Path

import pytest
from tests.conformance.case import CASES
from tests.conformance.inventory import NOT_COVERED, SECTIONS, Section
from tests.conformance.page import render

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
NUMBERS = {number for section in SECTIONS for number in section.numbers}
COVERED = {number for case in CASES for number in case.covers}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.letter)
def test_every_number_has_a_case_or_a_reason(section: Section) -> None:
    assert [number for number in section.numbers if number not in COVERED | NOT_COVERED.keys()] == []


def test_cases_have_numbers_that_exist() -> None:
    assert sorted(COVERED - NUMBERS) == []
    assert sorted(NOT_COVERED.keys() - NUMBERS) == []


def test_ids_and_titles_of_cases_are_unique() -> None:
    for what in ("id", "title"):
        counted = Counter(getattr(case, what) for case in CASES)
        assert [value for value, times in counted.items() if times > 1] == []


def test_cases_are_in_the_file_of_their_section() -> None:
    assert [case.id for case in CASES if case.file[0].upper() != case.id[0]] == []


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == render({}), "run `make conformance`"
