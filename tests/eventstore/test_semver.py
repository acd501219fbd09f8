"""The order of versions (https://semver.org/spec/v2.0.0.html, 11)."""

import itertools

import pytest

from unspool.eventstore.semver import precedence

ASCENDING = (
    "not a version",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.9.0",
    "1.10.0",
    "2.0.0",
)


@pytest.mark.parametrize(("lower", "higher"), list(itertools.combinations(ASCENDING, 2)))
def test_versions_have_the_order_of_the_specification(lower, higher):
    assert precedence(lower) < precedence(higher)


def test_build_metadata_does_not_count():
    assert precedence("1.0.0+build.5") == precedence("1.0.0")


@pytest.mark.parametrize(
    "text", ["", "1..2", "\u0661.\u0662.\u0663", "9" * 5_000, "1.0.0-", "1.0.0-..", "\x00", "-", "+"]
)
def test_any_text_has_a_place(text):
    assert precedence(text) <= precedence("99.0.0")
