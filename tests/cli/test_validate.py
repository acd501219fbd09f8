"""`unspool validate`."""

import re

import pytest


def test_valid_files_are_0_and_say_nothing(unspool):
    result = unspool("validate", "greet.yaml", "sleep.yaml")
    assert (result.code, result.stdout, result.stderr) == (0, "", "")


def test_problems_have_file_line_column_message_and_pointer(unspool):
    result = unspool("validate", "greet.yaml", "invalid.yaml")
    assert result.code == 2
    [line] = result.stdout.splitlines()
    assert re.fullmatch(r"invalid\.yaml:7:5: .*sett.* \(/do/0/hello\)", line)


def test_problems_of_all_files_are_printed(unspool, home):
    (home / "list.yaml").write_text("- 1\n")
    (home / "bytes.yaml").write_bytes(b"a: \xff\n")
    lines = unspool("validate", "list.yaml", "bytes.yaml", "invalid.yaml").stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["list.yaml", "bytes.yaml", "invalid.yaml"]


@pytest.mark.parametrize("wrong", ["$typo", "nothing(1)"])
def test_an_error_in_an_expression_has_its_place_in_the_block(unspool, home, wrong):
    (home / "block.yaml").write_text(
        "document: {dsl: '1.0.3', namespace: test, name: block, version: 1.0.0}\n"
        "do:\n- a:\n    set:\n      x: |\n        ${\n          .order\n"
        f"            | .total + {wrong}\n        }}\n"
    )
    result = unspool("validate", "block.yaml")
    assert result.code == 2
    [line] = result.stdout.splitlines()
    assert re.fullmatch(r"block\.yaml:8:24: (\$typo|nothing/1) is not defined.* \(/do/0/a/set/x\)", line)


def test_problems_as_json(unspool):
    [problem] = unspool("validate", "invalid.yaml", "--json").lines
    assert problem.keys() == {"file", "pointer", "line", "column", "message", "severity"}
    assert (problem["file"], problem["line"]) == ("invalid.yaml", 7)


def test_standard_input_can_be_validated(program):
    result = program("validate", "-", stdin="- 1\n")
    assert result.code == 2
    assert result.stdout.startswith("-:1:1: ")


def test_a_file_that_cannot_be_read_does_not_hide_the_problems_of_others(unspool):
    result = unspool("validate", "invalid.yaml", "missing.yaml", "greet.yaml")
    assert result.code == 2
    assert result.stdout.startswith("invalid.yaml:7:5: ")
    assert "missing.yaml: No such file" in result.stderr


def test_a_warning_has_a_place_and_does_not_change_the_exit_code(unspool, home):
    head = "document: {dsl: '1.0.3', namespace: t, name: w, version: 1.0.0}\n"
    cases = "- s: {switch: [{one: {when: .x, then: a}}, {two: {then: b}}]}\n"
    (home / "cases.yaml").write_text(f"{head}do:\n{cases}- a: {{set: {{x: 1}}}}\n- b: {{set: {{x: 2}}}}\n")
    result = unspool("validate", "cases.yaml")
    assert (result.code, result.stdout) == (0, "")
    assert result.stderr.startswith("cases.yaml:4:3: after 'a' the flow continues to 'b'")
    [warning] = unspool("validate", "cases.yaml", "--json").lines
    assert (warning["severity"], warning["line"], warning["pointer"]) == ("warning", 4, "/do/1/a")


def test_an_error_in_an_expression_has_its_place_in_the_file(unspool, home):
    head = "document: {dsl: '1.0.3', namespace: t, name: w, version: 1.0.0}\n"
    (home / "typo.yaml").write_text(
        f"{head}do:\n- a:\n    set:\n      x: |\n        ${{ .a\n          + $imput }}\n"
    )
    says = "typo.yaml:7:13: $imput is not defined here, did you mean '$input'? (/do/0/a/set/x)\n"
    assert unspool("validate", "typo.yaml").stdout == says
    assert unspool("run", "typo.yaml").stderr.startswith(says)


PARENT = """\
document: {dsl: '1.0.3', namespace: shop, name: parent, version: 1.0.0}
do:
- pay: {run: {workflow: {namespace: shop, name: gret}}}
"""


def test_a_sub_workflow_in_none_of_several_files_is_a_warning(unspool, home):
    (home / "parent.yaml").write_text(PARENT)
    result = unspool("validate", "parent.yaml", "greet.yaml")
    assert (result.code, result.stdout) == (0, "")
    assert result.stderr.startswith(
        "parent.yaml:3:49: no workflow 'shop/gret' in these files, did you mean 'greet'? (/do/0/pay/run/"
    )
    assert unspool("validate", "parent.yaml").stderr == "", "it may be deployed already"
    (home / "parent.yaml").write_text(PARENT.replace("gret", "greet"))
    assert unspool("validate", "parent.yaml", "greet.yaml").stderr == ""


SCHEDULED = """\
document: {dsl: '1.0.3', namespace: test, name: nightly, version: 1.0.0}
schedule: {cron: '30 2 * * *'}
do: [{a: {set: {x: 1}}}]
"""


def test_the_next_occurrences_of_a_schedule_go_to_standard_error(unspool, home, monkeypatch):
    (home / "nightly.yaml").write_text(SCHEDULED)
    monkeypatch.setenv("UNSPOOL_TIMEZONE", "Asia/Tokyo")
    result = unspool("validate", "nightly.yaml")
    assert (result.code, result.stdout) == (0, "")
    assert re.fullmatch(
        r"nightly\.yaml: schedule\.cron, next: (\S+T02:30:00\+09:00(, |\n)){3}", result.stderr
    )


def test_the_next_occurrences_of_a_schedule_as_json(unspool, home):
    (home / "nightly.yaml").write_text(SCHEDULED)
    [line] = unspool("validate", "nightly.yaml", "--json").lines
    assert (line["file"], line["schedule"]) == ("nightly.yaml", {"cron": "30 2 * * *"})
    assert [occurrence[10:] for occurrence in line["next"]["cron"]] == ["T02:30:00+00:00"] * 3


def test_a_zone_that_does_not_exist_is_a_bad_setting(unspool, home, monkeypatch):
    (home / "nightly.yaml").write_text(SCHEDULED)
    monkeypatch.setenv("UNSPOOL_TIMEZONE", "Mars/Olympus")
    result = unspool("validate", "nightly.yaml")
    assert result.code == 2
    assert "UNSPOOL_TIMEZONE must be a time zone" in result.stderr


def test_a_task_that_cannot_be_executed_is_a_warning(unspool, home):
    head = "document: {dsl: '1.0.3', namespace: t, name: w, version: 1.0.0}\n"
    script = "- s: {run: {script: {language: ruby, code: 'puts 1'}}}\n"
    (home / "script.yaml").write_text(f"{head}do:\n- a: {{set: {{x: 1}}}}\n{script}")
    says = "script.yaml:4:3: the language of a script is js or python, not 'ruby'; executions fault here"
    result = unspool("validate", "script.yaml")
    assert (result.code, result.stdout) == (0, "")
    assert result.stderr == f"{says} (/do/1/s) [warning]\n"
    assert says in unspool("run", "script.yaml").stderr
    assert says in unspool("deploy", "script.yaml").stderr


@pytest.mark.parametrize(
    ("condition", "warns"), [(".x = 1", True), (".x == 1", False), ("(.x = 1) == .", False)]
)
def test_a_condition_that_assigns_is_a_warning(unspool, home, condition, warns):
    head = "document: {dsl: '1.0.3', namespace: t, name: w, version: 1.0.0}\n"
    (home / "assigns.yaml").write_text(f"{head}do:\n- a: {{set: {{x: 1}}, if: '{condition}'}}\n")
    says = "this condition assigns a value; a comparison is written '==' (/do/0/a/if) [warning]\n"
    assert unspool("validate", "assigns.yaml").stderr == (f"assigns.yaml:3:24: {says}" if warns else "")


def test_a_function_cannot_call_itself_by_the_name_of_its_file(unspool, home):
    (home / "function.yaml").write_text("{call: function, with: {n: 1}}\n")
    result = unspool("validate", "function.yaml")
    assert result.code == 0
    assert result.stderr.startswith("function.yaml:1:8: no function 'function' in use.functions")
    assert "(/call) [warning]" in result.stderr
