"""Deployments: services as separate processes, and the commands that operate executions."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from tests.cli.conftest import PATIENT

from unspool.cli.stores import opened
from unspool.eventstore.consumers import Consumer

STORE = "sqlite:///shared.db"


@pytest.fixture
def shared(home, monkeypatch):
    """All commands of a test use one store."""
    monkeypatch.setenv("UNSPOOL_STORE", STORE)
    return STORE


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """The store of a worker, an executor and a timer, each a separate process, for all tests of this file."""
    folder = tmp_path_factory.mktemp("deployment")
    url = f"sqlite:///{folder}/shared.db"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNSPOOL_")}
    environment["UNSPOOL_STORE"] = url
    commands = (("worker",), ("executor", "--allow", "shell"), ("timer",))
    with (folder / "log").open("ab") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "unspool.cli", *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=environment,
            )
            for command in commands
        ]  # fmt: skip
    # From now on they handle SIGTERM.
    await_condition(lambda: (folder / "log").read_text().count('"action":"started"') == len(commands))
    yield url
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0], (folder / "log").read_text()


TENANTS = itertools.count()


@pytest.fixture
def services(deployment, home, monkeypatch):
    """Worker, executor and timer. Commands use their store, and a tenant that no other test has."""
    monkeypatch.setenv("UNSPOOL_STORE", deployment)
    monkeypatch.setenv("UNSPOOL_TENANT", f"tenant-{next(TENANTS)}")


def test_services_run_executions(services, unspool):
    assert unspool("deploy", "greet.yaml", "refuse.yaml", "shell.yaml", "sleep.yaml").code == 0

    done = unspool("start", "shop/greet:1.0.0", "--input", '{"name": "Ada"}', "--id", "greet-1", "--wait")
    assert (done.code, done.json) == (0, {"greeting": "Hello Ada"})
    again = unspool("start", "shop/greet", "--input", '{"name": "Ada"}', "--id", "greet-1")
    assert (again.code, again.stdout) == (0, "greet-1\n")
    assert unspool("start", "shop/greet", "--input", '{"name": "Bob"}', "--id", "greet-1").code == 2
    assert unspool("start", "shop/sleep", "--input", '{"name": "Ada"}', "--id", "greet-1").code == 2

    shell = unspool("start", "shop/shell", "--wait")
    assert (shell.code, shell.json) == (0, "hello")

    faulted = unspool("start", "shop/refuse", "--wait", "--id", "refuse-1")
    assert (faulted.code, faulted.stdout) == (1, "")
    assert faulted.problem["title"] == "Refused"

    gave_up = unspool("start", "shop/sleep", "--wait", "--timeout", "0.3", "--id", "sleep-1")
    assert (gave_up.code, gave_up.stdout) == (4, "")
    await_status(unspool, "sleep-1", "waiting")

    listed = {line["id"]: line["status"] for line in unspool("executions", "list", "--json").lines}
    assert listed.items() >= {"greet-1": "completed", "refuse-1": "faulted", "sleep-1": "waiting"}.items()
    only = unspool(
        "executions", "list", "--json", "--status", "faulted", "--workflow", "shop/refuse", "--since", "1h"
    )
    assert [line["id"] for line in only.lines] == ["refuse-1"]
    assert len(unspool("executions", "list", "--limit", "2", "--json").lines) == 2

    assert unspool("executions", "suspend", "sleep-1", *PATIENT).code == 0
    assert unspool("executions", "suspend", "sleep-1").code == 2
    assert unspool("executions", "resume", "sleep-1", *PATIENT).code == 0
    await_status(unspool, "sleep-1", "waiting")
    assert unspool("executions", "cancel", "sleep-1", "--json", *PATIENT).json["status"] == "cancelled"
    cancelled = unspool("start", "shop/sleep", "--wait", "--id", "sleep-1")
    assert (cancelled.code, cancelled.stdout) == (3, "")

    before = len(unspool("history", "refuse-1", "--json").lines)
    assert unspool("executions", "retry", "refuse-1", *PATIENT).code == 0
    await_condition(lambda: len(unspool("history", "refuse-1", "--json").lines) > before)
    await_status(unspool, "refuse-1", "faulted")
    assert unspool("executions", "retry", "greet-1").code == 2


def test_show_says_what_no_living_executor_serves(shared, start_program, unspool, home):
    head = "document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}\n"
    (home / "charge.yaml").write_text(
        head.replace("NAME", "charge")
        + "do: [{a: {fork: {branches: [{b: {call: charge}}, {c: {call: 'charge:2.0.0'}}]}}}]"
    )
    (home / "bank.py").write_text(
        "from unspool.functions import function\n"
        "@function('charge')\n"
        "def one(): return 1\n"
        "@function('charge', version='2.0.0')\n"
        "def two(): return 2\n"
    )
    unspool("deploy", "charge.yaml", "shell.yaml")

    def waits_for(execution: str) -> list[str]:
        shown = unspool("executions", "show", execution, "--json").json
        return [each["missing"] for each in shown.get("waiting", ()) if "missing" in each]

    with start_program("worker") as worker:
        unspool("start", "shop/shell", "--id", "sh")
        await_condition(lambda: waits_for("sh") == ["the queue shell"], 90)
        assert "no live executor serves the queue shell" in unspool("executions", "show", "sh").stdout
        assert "no live executor serves the queue shell" in unspool("executions", "why", "sh").stdout
        with start_program("executor", "--functions", "./bank.py", "--allow", "shell") as executor:
            await_status(unspool, "sh", "completed")
            executor.send_signal(signal.SIGTERM)
            executor.communicate(timeout=60)
        assert waits_for("sh") == []
        unspool("start", "shop/charge", "--id", "pay")
        expected = ["the function charge"] * 2
        expected[1] += ":2.0.0"
        await_condition(lambda: waits_for("pay") == expected, 90)
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=60)


def test_executions_are_found_by_their_tags(services, unspool):
    unspool("deploy", "greet.yaml")
    for number, size in enumerate(("large", "small")):
        unspool(
            *("start", "shop/greet", "--input", '{"name": "Ada"}', "--id", f"order-{number}"),
            *("--tag", f"order=A-{number}", "--tag", f"size={size}", "--wait"),
        )

    def found(*filters):
        return [line["id"] for line in unspool("executions", "list", "--json", *filters).lines]

    assert found("--tag", "order:A-1") == ["order-1"]
    assert found("--tag", "order:A-1", "--tag", "size:large") == []
    assert found("--id", "order-*", "--status", "completed", "--status", "faulted") == ["order-1", "order-0"]
    assert found("--id", "order-0", "--workflow", "shop/greet:1.0.0", "--until", "0s") == ["order-0"]
    started = unspool("history", "order-0", "--json").lines[0]
    assert started["data"]["tags"] == {"order": "A-0", "size": "large"}
    assert unspool("replay", "order-0", "--verify").code == 0


@pytest.mark.parametrize("tag", ["order", "=x", "a b=c", "order="])
def test_tags_that_are_not_valid_are_rejected(tag, shared, unspool):
    refused = unspool("start", "shop/greet", "--tag", tag)
    assert (refused.code, refused.stdout) == (2, "")
    assert "tag" in refused.stderr


def test_why_says_what_an_execution_waits_for(services, unspool, home):
    (home / "paid.yaml").write_text(
        "document: {dsl: '1.0.3', namespace: shop, name: paid, version: '1.0.0'}\n"
        "do: [{pay: {listen: {to: {one: {with: {type: paid},"
        " correlate: {order: {from: .data.order, expect: '${ .order }'}}}}}}}]"
    )
    unspool("deploy", "paid.yaml", "sleep.yaml")
    unspool("start", "shop/paid", "--id", "p", "--input", '{"order": "A-1"}')
    unspool("start", "shop/sleep", "--id", "nap")
    for id_ in ("p", "nap"):
        await_condition(lambda id_=id_: " is waiting: " in unspool("executions", "why", id_).stdout, 120)
    (home / "event.json").write_text(
        '{"specversion": "1.0", "id": "e1", "source": "/bank", "type": "paid", "data": {"order": "A-2"}}'
    )
    assert unspool("events", "publish", "event.json").code == 0

    near = unspool("executions", "why", "p")
    assert near.code == 0
    assert near.stdout == (
        "Execution p of shop/paid:1.0.0 is waiting: task /do/0/pay waits for an event of type paid"
        " with order = A-1; the last that came near, e1 of /bank was refused because"
        " its order (.data.order) is A-2, not A-1.\n"
    )
    [nap] = unspool("executions", "why", "nap", "--json").json["waitsFor"]
    assert (nap["kind"], nap["task"]) == ("timer", "/do/1/nap")
    assert f"waits until {nap['dueAt']} (in " in unspool("executions", "show", "nap").stdout
    assert unspool("executions", "suspend", "nap", *PATIENT).code == 0
    assert " is suspended since " in unspool("executions", "why", "nap").stdout
    assert unspool("executions", "cancel", "nap", *PATIENT).code == 0
    assert unspool("executions", "why", "nap").stdout.endswith("; it waits for nothing.\n")
    assert unspool("executions", "why", "other").code == 2


def test_operations_wait_for_their_effect(services, unspool):
    unspool("deploy", "sleep.yaml", "refuse.yaml")
    unspool("start", "shop/sleep", "--id", "nap")
    for operation, said in [
        ("suspend", "execution nap is suspended"),
        ("resume", "execution nap was resumed and is now "),
        ("cancel", "execution nap is cancelled"),
    ]:
        done = unspool("executions", operation, "nap", *PATIENT)
        assert (done.code, done.stderr) == (0, "")
        assert done.stdout.startswith(said)
    assert unspool("start", "shop/refuse", "--wait", "--id", "no").code == 1
    retried = unspool("executions", "retry", "no", "--json", *PATIENT)
    assert (retried.code, retried.json["id"]) == (0, "no")
    assert "workflow.retried" in {line["type"] for line in unspool("history", "no", "--json").lines}


def test_an_operation_without_a_worker_gives_up_with_4(shared, unspool):
    unspool("deploy", "sleep.yaml")
    unspool("start", "shop/sleep", "--id", "nap")
    gave_up = unspool("executions", "cancel", "nap", "--timeout", "0.2")
    assert (gave_up.code, gave_up.stdout) == (4, "")
    assert "still pending" in gave_up.stderr
    as_json = unspool("executions", "cancel", "nap", "--timeout", "0.2", "--json")
    assert (as_json.code, as_json.json["status"]) == (4, "pending")
    asked = unspool("executions", "cancel", "nap", "--no-wait")
    assert (asked.code, asked.stdout) == (0, "")
    assert "asked execution nap to cancel" in asked.stderr
    assert unspool("executions", "cancel", "nap", "--timeout", "-1").code == 2


def test_services_log_json_lines_and_no_password(shared, start_program):
    with start_program("timer") as process:
        first = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=60)[1]
    lines = [json.loads(line) for line in (first + rest).splitlines()]
    assert process.returncode == 0
    assert [line["action"] for line in lines] == ["started", "stopping"]
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)


def test_the_log_level_is_a_setting(shared, program):
    result = program("timer", UNSPOOL_LOG_LEVEL="loud")
    assert result.code == 2
    assert "UNSPOOL_LOG_LEVEL" in result.stderr


def is_ready(address):
    try:
        with urllib.request.urlopen(f"{address}/health/ready", timeout=60) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        error.close()
        assert error.code == 503
        return False


def test_dev_is_everything_in_one_process(shared, start_program, unspool):
    with start_program("dev", "greet.yaml", "shell.yaml", "--port", "0") as process:
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        await_condition(lambda: is_ready(address), 60)
        assert unspool("start", "shop/shell", "--wait").json == "hello"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_api_serves(shared, start_program):
    with start_program("api", "--port", "0") as process:
        up = json.loads(process.stderr.readline())
        [address] = re.findall(r"http://\S+", up["message"])
        with urllib.request.urlopen(f"{address}/api/v1/workflows", timeout=60) as answer:
            assert json.load(answer)["items"] == []
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_port_in_use_is_bad_usage(shared, start_program, program):
    with start_program("dev", "--port", "0") as process:
        port = process.stdout.readline().strip().rpartition(":")[2]
        result = program("dev", "--port", port)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert (result.code, result.stdout) == (2, "")
    assert f"port {port}: Address already in use; choose another port with --port" in result.stderr


def test_deploying_twice_is_not_an_error_but_another_text_is(shared, unspool, home):
    assert "deployed" in unspool("deploy", "greet.yaml").stdout
    assert unspool("deploy", "greet.yaml", "--json").lines == [
        {"namespace": "shop", "name": "greet", "version": "1.0.0", "created": False}
    ]
    (home / "greet.yaml").write_text((home / "greet.yaml").read_text().replace("Hello", "Goodbye"))
    result = unspool("deploy", "greet.yaml")
    assert (result.code, result.stdout) == (2, "")
    assert "shop/greet:1.0.0" in result.stderr


def test_nothing_is_deployed_unless_all_are_valid(shared, unspool):
    assert unspool("deploy", "greet.yaml", "invalid.yaml").code == 2
    assert unspool("start", "shop/greet").code == 2


def test_tenants_are_separate(shared, unspool):
    assert unspool("deploy", "greet.yaml", "--tenant", "blue").code == 0
    assert unspool("start", "shop/greet").code == 2
    id_ = unspool("start", "shop/greet", "--tenant", "blue").stdout.strip()
    assert unspool("executions", "show", id_).code == 2
    assert unspool("executions", "show", id_, "--tenant", "blue").code == 0


def test_an_execution_is_shown_as_text(shared, unspool):
    unspool("deploy", "greet.yaml")
    unspool("start", "shop/greet", "--id", "one", "--input", '{"name": "\\u001b[2J"}')
    shown = unspool("executions", "show", "one").stdout
    assert re.search(r"^status +pending$", shown, re.MULTILINE)
    assert re.search(r"^workflow +shop/greet:1.0.0$", shown, re.MULTILINE)
    assert "\x1b" not in shown


def test_the_progress_of_tasks_that_run_is_shown(services, unspool, home):
    (home / "sync.yaml").write_text(
        "document: {dsl: '1.0.3', namespace: shop, name: sync, version: '1.0.0'}\n"
        "do:\n"
        "- sync:\n"
        f"    run: {{shell: {{command: 'echo half; until test -e {home / 'go'}; do sleep 0.05; done'}}}}\n"
    )
    unspool("deploy", "sync.yaml")
    unspool("start", "shop/sync", "--id", "one")

    def progress():
        return unspool("executions", "show", "one", "--json").json["progress"]

    await_condition(progress, 60)
    [shown] = progress()
    assert shown["task"] == "/do/0/sync"
    assert "half" in json.dumps(shown["progress"])
    (home / "go").touch()
    await_status(unspool, "one", "completed")
    assert progress() == []


async def stuck_letter(url):
    """Moves the first queued message to the dead letter queue."""
    async with opened(url, {}) as store:
        consumer = Consumer("workers", "test")
        [delivery] = await store.receive_messages(consumer, 1, 5.0)
        letter = await store.move_to_dead_letters(delivery, "KeyError: 'x'", "Traceback: …")
        await store.deregister(consumer)
        return letter


@pytest.fixture
def letter(shared, unspool, run_coroutine):
    """A dead letter of execution `one`."""
    unspool("deploy", "greet.yaml")
    unspool("start", "shop/greet", "--id", "one")
    return run_coroutine(stuck_letter(shared))


def test_dead_letters_are_listed_and_shown(letter, unspool):
    [line] = unspool("dlq", "list", "--json").lines
    assert (
        line.items()
        >= {"id": letter, "execution": "one", "kind": "message", "error": "KeyError: 'x'"}.items()
    )
    assert letter in unspool("dlq", "list").stdout
    assert unspool("dlq", "list", "--execution", "other", "--json").lines == []
    shown = unspool("dlq", "show", letter, "--json").json
    assert (shown["body"]["kind"], shown["traceback"]) == ("start", "Traceback: …")
    assert "Traceback: …" in unspool("dlq", "show", letter).stdout
    assert "stuck" in unspool("executions", "show", "one").stdout


def test_a_dead_letter_can_be_requeued_or_discarded_once(letter, unspool, shared, run_coroutine):
    assert unspool("dlq", "requeue", letter).code == 0
    assert unspool("dlq", "requeue", letter).code == 2
    again = run_coroutine(stuck_letter(shared))
    assert unspool("dlq", "discard", again).code == 0
    assert unspool("dlq", "discard", again).code == 2
    assert unspool("dlq", "show", again).code == 2


def test_waiting_for_a_stuck_execution_ends(letter, unspool):
    result = unspool("start", "shop/greet", "--id", "one", "--wait")
    assert result.code == 4
    assert "stuck" in result.stderr
    assert "bug" not in result.stderr
    assert letter in result.stderr


def await_status(unspool, id_, status):
    await_condition(lambda: unspool("executions", "show", id_, "--json").json["status"] == status)


def await_condition(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_start_of_an_unknown_definition_names_versions_or_a_similar_name(shared, unspool):
    deploy = "the definition shop/greet is not deployed; deploy it with `unspool deploy FILE`"
    assert unspool("start", "shop/greet").stderr == f"unspool: {deploy}\n"
    assert unspool("deploy", "greet.yaml").code == 0
    assert "did you mean 'shop/greet'?" in unspool("start", "shop/gret").stderr
    other = unspool("start", "shop/greet:2.0.0")
    assert other.code == 2
    assert "shop/greet:2.0.0 is not deployed; there are the versions 1.0.0" in other.stderr


def test_deployed_definitions_are_listed_and_shown(shared, unspool, home):
    assert unspool("deploy", "greet.yaml", "sleep.yaml").code == 0
    names = [(line["name"], line["version"]) for line in unspool("workflows", "list", "--json").lines]
    assert names == [("greet", "1.0.0"), ("sleep", "1.0.0")]
    heading, line, _ = unspool("workflows", "list").stdout.splitlines()
    assert heading.split() == ["WORKFLOW", "VERSION", "DEPLOYED"]
    assert line.split()[:2] == ["shop/greet", "1.0.0"]
    for name in ("shop/greet", "shop/greet:1.0.0"):
        assert unspool("workflows", "show", name).stdout == (home / "greet.yaml").read_text()
    unknown = unspool("workflows", "show", "shop/gret")
    assert (unknown.code, unknown.stdout) == (2, "")
    assert "did you mean 'shop/greet'?" in unknown.stderr
