"""Modules with functions: by name and by path, and what is said about those that cannot be used."""
# ruff: noqa: E501 - in tables a case is a line

import pytest

from unspool.executor.functions.loading import BadFunctions, load_functions

GREET = """
@function("greet", version="1.2.0")
def greet(name: str) -> str:
    return "Hello " + name
"""


def test_a_module_is_found_in_the_current_directory_by_name_or_path(modules, tmp_path):
    name = modules(GREET)
    [found] = load_functions([name])
    assert (found.name, found.version, found.queue) == ("greet", "1.2.0", "functions:shop_functions")
    assert found.input_schema["required"] == ["name"]
    assert found.output_schema == {"type": "string"}
    assert found.special is False
    assert [each.queue for each in load_functions([str(tmp_path / "shop_functions.py")])] == [found.queue]


def test_a_file_imports_the_modules_beside_it(modules, tmp_path, monkeypatch):
    modules("LIMIT = 3", "shop/limits")
    modules("from limits import LIMIT\n@function('limit')\ndef limit(): return LIMIT", "shop/selling")
    assert [each.name for each in load_functions(["shop/selling.py"])] == ["limit"]


def test_the_queue_is_that_of_the_module_that_has_the_function(modules):
    modules(GREET, "shop.greetings")
    modules("from shop.greetings import greet, greet as again", "everything")
    both = load_functions(["everything", "shop.greetings"])
    assert [(each.identity, each.queue) for each in both] == [("greet:1.2.0", "functions:shop.greetings")]


def test_a_queue_for_special_machines(modules):
    [found] = load_functions([modules("@function('embed', queue='gpu')\ndef embed(): ...")])
    assert (found.queue, found.special) == ("gpu", True)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("x = 1", "shop_functions has no function with @function"),
        ("import no_such_module", "shop_functions cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(:", "shop_functions.py:2: invalid syntax"),
        ("raise KeyError('a')", "shop_functions cannot be imported: KeyError: 'a'"),
        ("raise SystemExit(1)", "shop_functions cannot be imported: SystemExit: 1"),
        ("@function('two words')\ndef f(): ...", "ValueError: the name of a function"),
        ("@function('a')\ndef f(*x): ...", "the function 'a' in shop_functions.f cannot be used: the parameter *x"),
        (GREET + GREET.replace("def greet", "def other"), "greet:1.2.0 is declared twice: in shop_functions.greet and in shop_functions.other"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_used_is_named_with_the_cause(modules, text, cause):
    with pytest.raises(BadFunctions) as caught:
        load_functions([modules(text)])
    assert cause in str(caught.value)


def test_the_line_of_a_failed_import_is_named(modules, tmp_path):
    modules("\n\nraise KeyError('a')", "shop.broken")
    modules("import shop.broken", "outer")
    with pytest.raises(BadFunctions, match=rf"\({tmp_path}/shop/broken.py:4\)"):
        load_functions(["outer"])


def test_the_line_of_a_bad_declaration_is_named(modules, tmp_path):
    with pytest.raises(BadFunctions, match=rf"\({tmp_path}/shop_functions.py:2\)"):
        load_functions([modules("@function('two words')\ndef f(): ...")])


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        (
            "no_such_module",
            "no_such_module: there is no module 'no_such_module'; it is searched in the current",
        ),
        ("shop.no_such_module", "there is no module 'shop.no_such_module'"),
        ("missing.py", "missing.py: there is no such file"),
        ("./json.py", "Python has another module with the name 'json'; rename the file"),
        (".relative", "cannot be imported"),
    ],
)
def test_a_module_that_does_not_exist_is_named(modules, place, cause):
    modules(GREET, "shop.greetings")
    modules(GREET, "json")
    with pytest.raises(BadFunctions) as caught:
        load_functions([place])
    assert cause in str(caught.value)
