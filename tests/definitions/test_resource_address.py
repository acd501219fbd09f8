"""Addresses of external resources (inventory J24, L1, R1, R2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.definitions.function_name import cataloged
from unspool.definitions.resource_address import absolute, of_catalog, of_function, problem_of_address

RAW = "https://raw.githubusercontent.com"
PATH = "functions/log/1.0.0/function.yaml"


@pytest.mark.parametrize(
    ("written", "base", "address"),
    [
        ("https://example.com/a.json#/x", "", "https://example.com/a.json"),
        ("https://example.com/a?b=c", "", "https://example.com/a?b=c"),
        ("https://github.com/o/r/blob/main/a/b.json", "", f"{RAW}/o/r/refs/heads/main/a/b.json"),
        ("https://github.com/o/r/tree/v1.2.0/b.json", "", f"{RAW}/o/r/v1.2.0/b.json"),
        ("https://github.com/o/r/blob/refs/tags/x/b.json", "", f"{RAW}/o/r/refs/tags/x/b.json"),
        (f"https://github.com/o/r/raw/{'a' * 40}/b.json", "", f"{RAW}/o/r/{'a' * 40}/b.json"),
        ("https://github.com/o/r", "", "https://github.com/o/r"),
        ("https://gitlab.com/g/s/r/-/blob/main/b.json", "", "https://gitlab.com/g/s/r/-/raw/main/b.json"),
        ("https://git.example.com/g/r/-/tree/main/b", "", "https://git.example.com/g/r/-/raw/main/b"),
        ("file:///etc/passwd", "", "file:etc/passwd"),
        ("file://app/greet.proto", "", "file:app/greet.proto"),
        ("file:../../a.json", "", "file:a.json"),
        ("FILE:a.json", "", "file:a.json"),
        ("a/../../b.json", "", "file:b.json"),
        ("b.json", "https://example.com/x/a.yaml", "https://example.com/x/b.json"),
        ("../b.json", "catalog:functions/f/1.0.0/function.yaml", "catalog:functions/f/b.json"),
        ("../../../../../b.json", "catalog:functions/f/1.0.0/function.yaml", "catalog:b.json"),
        ("b.json", "file:x/a.yaml", "file:x/b.json"),
    ],
)
def test_an_address_is_completed(written, base, address):
    assert absolute(written, base) == address


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("https://example.com", f"https://example.com/{PATH}"),
        ("https://example.com/a/?v=1", f"https://example.com/a/{PATH}?v=1"),
        ("https://github.com/o/catalog", f"{RAW}/o/catalog/refs/heads/main/{PATH}"),
        ("https://github.com/o/catalog/tree/next", f"{RAW}/o/catalog/refs/heads/next/{PATH}"),
        ("https://github.com/o/r/tree/main/sub", f"{RAW}/o/r/refs/heads/main/sub/{PATH}"),
        (f"{RAW}/o/r/main", f"{RAW}/o/r/main/{PATH}"),
        ("https://gitlab.com/o/r", f"https://gitlab.com/o/r/-/raw/main/{PATH}"),
        ("https://gitlab.com/o/r/-/tree/next", f"https://gitlab.com/o/r/-/raw/next/{PATH}"),
        ("file:shared", f"file:shared/{PATH}"),
        ("file:", f"file:{PATH}"),
    ],
)
def test_a_catalog_has_its_functions_below_its_address(base, address):
    # R1, R2
    assert of_catalog(base, PATH) == address


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://example.com/f.yaml", "https://example.com/f.yaml"),
        ("https://example.com/f", "https://example.com/f"),
        ("https://github.com/my/functions/valid@v1.0.0", f"{RAW}/my/functions/v1.0.0/valid/function.yaml"),
        ("https://github.com/o/r/a/f.yml@next", f"{RAW}/o/r/refs/heads/next/a/f.yml"),
        ("https://github.com/o/r/blob/main/f.json", f"{RAW}/o/r/refs/heads/main/f.json"),
        ("https://github.com/o/r/tree/main/a/b", f"{RAW}/o/r/refs/heads/main/a/b/function.yaml"),
        ("https://github.com/o/r/a/b", f"{RAW}/o/r/refs/heads/main/a/b/function.yaml"),
        ("https://github.com/o", "https://github.com/o"),
        ("https://gitlab.com/o/r/-/tree/main/a", "https://gitlab.com/o/r/-/raw/main/a/function.yaml"),
    ],
)
def test_a_function_has_the_address_of_its_definition(written, address):
    # J24
    assert of_function(written) == address


@pytest.mark.parametrize(
    "name", ["../x:1@c", "a/b:1@c", "x:../1@c", ".x:1@c", "x:1@a/b", "x@c", "x:1", "x:1@c@d"]
)
def test_a_name_cannot_lead_out_of_its_catalog(name):
    assert cataloged(name) is None


def test_the_path_of_a_function_is_made_of_its_name_and_version():
    assert cataloged("log:1.0.0-rc.1+b@shop").path == "functions/log/1.0.0-rc.1+b/function.yaml"


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("https://ada:secret@example.com/f.yaml", "credentials"),
        ("//ada@example.com/f.yaml", "credentials"),
        ("https://example.com/a b", "white space"),
        ("https://example.com/a\0", "control"),
        ("https://[::1/f.yaml", "host"),
        ("https:////]", "host"),
        ("https:////]#x", "host"),
        ("file:////a/b.json", None),
        ("https://example.com/" + "x" * 5000, "4096"),
        ("https://github.com/o/r/f@v1", None),
        ("a/b.json", None),
        ("", None),
    ],
)
def test_an_address_that_cannot_be_used_has_a_problem(address, problem):
    found = problem_of_address(address)
    assert found is None if problem is None else problem in found


@given(
    st.text(alphabet="ab/:@.?#[]%-~+{}\\ é", max_size=40),
    st.sampled_from(["", "https://h/a/b", "catalog:a/b"]),
)
def test_no_usable_address_fails(written, base):
    if problem_of_address(written) is None:
        complete = absolute(written, base)
        of_catalog(complete, PATH)
        of_function(written)
        for scheme in ("file:", "catalog:"):
            if complete.startswith(scheme):
                assert ".." not in complete.removeprefix(scheme).split("/")
                assert not complete.removeprefix(scheme).startswith("/")
