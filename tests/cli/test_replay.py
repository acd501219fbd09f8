"""`unspool history` and `unspool replay`: stored and exported histories."""

import json
import re
import subprocess
import sys

import pytest

STORE = ("--store", "sqlite:///past.db")


@pytest.fixture
def past(program, unspool):
    """The id of an execution that has completed."""
    assert program("run", "greet.yaml", "--input", '{"name": "Ada"}', *STORE).code == 0
    [execution] = unspool("executions", "list", "--json", *STORE).lines
    return execution["id"]


@pytest.fixture
def exported(past, unspool, home):
    """Its history in a file."""
    assert unspool("history", past, "--export", "past.jsonl", *STORE).code == 0
    return home / "past.jsonl"


def changed(home):
    text = (home / "greet.yaml").read_text().replace('"Hello "', '"Goodbye "')
    (home / "changed.yaml").write_text(text)
    return "changed.yaml"


def test_a_history_is_one_line_an_event(past, unspool):
    lines = unspool("history", past, "--json", *STORE).lines
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert all(line.keys() == {"seq", "type", "time", "task", "run", "data"} for line in lines)
    table = unspool("history", past, *STORE).stdout.splitlines()
    assert len(table) == len(lines) + 1
    for row, line in zip(table[1:], lines, strict=True):
        assert row.split()[:3] == [str(line["seq"]), line["time"], line["type"]]


def test_the_state_as_of_the_last_event(past, unspool):
    replayed = unspool("replay", past, "--json", *STORE).json
    assert replayed["state"]["status"] == "completed"
    assert replayed["state"]["output"] == {"greeting": "Hello Ada"}
    changed = {change["pointer"]: change for change in replayed["changed"]}
    assert changed["/status"]["after"] == "completed"
    assert changed["/output"] == {"pointer": "/output", "after": {"greeting": "Hello Ada"}}


def test_the_state_as_of_any_event(past, unspool):
    events = unspool("history", past, "--json", *STORE).lines
    for event in events:
        replayed = unspool("replay", past, "--at", str(event["seq"]), "--json", *STORE).json
        assert replayed["event"] == event
        assert replayed["state"]["version"] == event["seq"]
    assert unspool("replay", past, "--at", str(len(events) + 1), *STORE).code == 2


def test_the_state_as_text(past, unspool):
    shown = unspool("replay", past, "--at", "2", *STORE).stdout
    assert re.search(r"^event +2 of \d+, .*: task.created  /do/0/hello", shown, re.MULTILINE)
    assert re.search(r"^running +/do/0/hello", shown, re.MULTILINE)
    assert re.search(r"^next +/do/0/hello waits for", shown, re.MULTILINE)
    assert re.search(r"^changed ", shown, re.MULTILINE)


def test_an_export_has_every_event_and_replays_without_its_store(exported, past, unspool):
    events = unspool("history", past, "--json", *STORE).lines
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert lines[0].pop("execution")["id"] == past
    assert lines == events
    stored = unspool("replay", past, "--at", "3", "--json", *STORE).json
    assert unspool("replay", "past.jsonl", "--at", "3", "--json").json == stored


def test_an_unchanged_history_verifies(exported, past, unspool):
    assert unspool("replay", past, "--verify", *STORE).code == 0
    assert unspool("replay", "past.jsonl", "--verify").code == 0
    assert unspool("replay", "past.jsonl", "--verify", "--json").json["diverges"] is False


def test_a_history_that_was_tampered_with_fails_at_the_first_difference(exported, unspool):
    text = exported.read_text()
    exported.write_text(text.replace("Hello Ada", "Hello Eve"))
    result = unspool("replay", "past.jsonl", "--verify", "--json")
    assert result.code == 1
    seq = next(n for n, line in enumerate(text.splitlines(), 1) if "Hello Ada" in line)
    assert result.json["seq"] == seq
    assert result.problem["status"] == 409
    assert f"event {seq} " in result.problem["detail"]


def test_a_changed_definition_shows_the_first_difference(exported, past, unspool, home):
    definition = ("--definition", changed(home))
    for source in ([past, *STORE], ["past.jsonl"]):
        result = unspool("replay", *source, *definition)
        assert result.code == 1
        assert "Goodbye Ada" in result.stdout
        assert "Hello Ada" in result.stdout
    assert unspool("replay", past, "--definition", "greet.yaml", *STORE).code == 0


def test_another_version_alone_is_not_a_difference(past, unspool, home):
    """A changed definition gets a new version; the version alone must not count as a difference."""
    (home / "next.yaml").write_text((home / "greet.yaml").read_text().replace("'1.0.0'", "'1.0.1'"))
    assert unspool("replay", past, "--definition", "next.yaml", *STORE).code == 0
    (home / "other.yaml").write_text((home / "greet.yaml").read_text().replace("name: greet", "name: other"))
    assert unspool("replay", past, "--definition", "other.yaml", *STORE).code == 1


def test_all_histories_are_verified_with_a_definition(past, program, unspool, home):
    assert program("run", "greet.yaml", "--input", '{"name": "Bob"}', *STORE).code == 0
    everything = ("replay", "--all", "--workflow", "shop/greet", "--json", *STORE)
    same = unspool(*everything, "--definition", "greet.yaml")
    assert (same.code, [line["diverges"] for line in same.lines]) == (0, [False, False])
    other = unspool(*everything, "--definition", changed(home))
    assert (other.code, [line["diverges"] for line in other.lines]) == (1, [True, True])
    assert "2 of 2" in other.stderr
    assert {line["execution"] for line in other.lines} >= {past}
    assert unspool("replay", "--all", "--verify", *STORE).code == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"seq": 1}',
        '{"seq": 1, "type": "workflow.started", "time": "noon", "data": {}}',
        '{"seq": 1, "type": "workflow.started", "time": "2026-01-01T00:00:00Z", "data": {}}',
        '{"seq": 2, "type": "workflow.started", "time": "2026-01-01T00:00:00Z", "data": {"input": 1}}',
        '{"seq": 1, "type": "nonsense", "time": "2026-01-01T00:00:00Z", "data": {}, "execution": []}',
        '{"seq": 1, "type": "workflow.failed", "time": "2026-01-01T00:00:00Z", "data": {"error": []}}',
        '{"seq": 1, "type": "task.created", "time": "2026-01-01T00:00:00Z", "run": [], "data": {}}',
    ],
)
def test_a_file_without_a_history_is_bad_input(text, unspool, home):
    (home / "odd.jsonl").write_text(text)
    assert unspool("replay", "odd.jsonl").code == 2


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"task": 5}, "not an event"),
        ({"run": True}, "not an event"),
        ({"execution": {"definition": [[]]}}, "`execution` is not in the form"),
    ],
)
@pytest.mark.parametrize("command", ["history", "replay"])
def test_a_member_that_no_history_has_is_bad_input(exported, unspool, command, member, said):
    first, *others = exported.read_text().splitlines()
    exported.write_text("\n".join([json.dumps(json.loads(first) | member), *others]))
    result = unspool(command, "past.jsonl")
    assert (result.code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_history_of_an_execution_without_its_schema_verifies(program, unspool, home):
    text = (home / "greet.yaml").read_text()
    schema = "input: {schema: {resource: {endpoint: http://localhost/s.json}}}\n"
    (home / "broken.yaml").write_text(text + schema)
    assert program("run", "broken.yaml", *STORE).code == 1
    [execution] = unspool("executions", "list", "--json", *STORE).lines
    verified = unspool("replay", execution["id"], "--verify", "--json", *STORE)
    assert verified.json["diverges"] is False


def test_a_file_whose_events_do_not_form_a_history_is_bad_input(exported, unspool, home):
    lines = exported.read_text().splitlines()
    first = json.loads(lines[0])
    del first["data"]["input"]
    exported.write_text("\n".join([json.dumps(first), *lines[1:]]))
    for options in [("--verify",), ("--definition", changed(home)), ()]:
        result = unspool("replay", "past.jsonl", *options)
        assert result.code == 2
        assert "do not form a history" in result.stderr


def test_a_closed_pipe_ends_a_replay_of_all(past, home):
    command = f"{sys.executable} -m unspool.cli replay --all --verify {' '.join(STORE)} | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=200, check=False)
    assert len(done.stdout) == 1
    assert "Traceback" not in done.stderr
