"""`run: container` with real engines, Podman and Docker (inventory I55-I59)."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.container_engines import ContainerEngine, missing, running_docker, running_podman
from tests.ports import free_port
from tests.processes import children
from tests.task_contexts import task_context

from unspool.eventstore.records import TaskRequest
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Completed, Faulted, Outcome
from unspool.executor.runs.container import labels
from unspool.executor.runs.container.address import parse_address
from unspool.executor.runs.container.engine import opened_engine
from unspool.executor.runs.container.sweep import sweep
from unspool.executor.settings import ExecutorSettings

ENGINES = [
    pytest.param(
        running, id=name, marks=pytest.mark.skipif(missing(name) is not None, reason=str(missing(name)))
    )
    for name, running in (("podman", running_podman), ("docker", running_docker))
]
only_podman = pytest.mark.parametrize("engine", ENGINES[:1], indirect=True)
"""For tests of our own rules; those of the API run with both."""

Run = Callable[..., Awaitable[Outcome]]

NUMBERS = count()
SLEEP = {"image": "alpine", "command": "echo begun; exec sleep 600"}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[ContainerEngine]:
    with request.param() as running:
        yield running


@pytest.fixture
async def container(request: pytest.FixtureRequest, engine: ContainerEngine) -> AsyncIterator[Run]:
    """Runs a `container` task: `await container("alpine", command=…)`. Settings come by parametrization."""
    more = getattr(request, "param", {})
    own = {"allow": "container", "container_host": engine.url, "shell_kill_grace_seconds": 0}
    async with default_handlers(ExecutorSettings(**own, **more)) as handlers:

        async def run(image: str = "alpine", *, run: str | None = None, report=print, **arguments) -> Outcome:
            members = {"image": image, "workflow": {"name": "w", "namespace": "n"}, **arguments}
            run = run or f"r{next(NUMBERS)}"
            return await handlers["container"](
                TaskRequest("e1", run, "/do/0/job", "container", members), task_context(report=report)
            )

        yield run


def kind(outcome: Faulted) -> tuple[str, int]:
    assert isinstance(outcome, Faulted), outcome
    return outcome.error.type.rpartition("/")[2], outcome.error.status


async def test_command_arguments_stdin_and_environment(container) -> None:
    """As in the example of the specification"""
    command = 'input=$(cat)\necho "STDIN was: $input"\necho "ARGS are $1 $2 $KEY"'
    outcome = await container(
        command=command, stdin="Grüße", arguments=["$(echo no)", "; b"], environment={"KEY": 1}
    )
    assert outcome == Completed("STDIN was: Grüße\nARGS are $(echo no) ; b 1")


@only_podman
async def test_without_a_command_the_image_runs_its_own(container) -> None:
    assert await container("hello-world") == Completed("Hello from Docker!")
    assert await container("hello-world", arguments=["and", "you"]) == Completed("Hello from Docker! and you")


async def test_return_modes_and_failure(container) -> None:
    """I56, I57"""
    command = "echo out; echo bad $KEY >&2; exit 3"
    environment = {"KEY": "s3cret"}
    outcome = await container(command=command, **{"return": "all"})
    assert outcome == Completed({"code": 3, "stdout": "out\n", "stderr": "bad\n"})
    failed = await container(command=command, environment=environment)
    assert kind(failed) == ("runtime", 500)
    assert failed.error.detail == "the container ended with exit code 3: bad ***"


@only_podman
async def test_a_container_has_no_rights(container) -> None:
    command = "cat /proc/self/status; ls /proc/self/fd; echo links $(ls /sys/class/net 2>/dev/null)"
    outcome = await container(command=command)
    status = dict(line.split(":", 1) for line in outcome.output.splitlines() if ":" in line)
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    assert "HOSTNAME" not in status


@only_podman
async def test_processes_that_multiply_are_limited(container) -> None:
    """A fork bomb: the container cannot have more processes than the operator allows."""
    command = "for i in $(yes | head -300); do sleep 60 & done"
    outcome = await container(command=command, **{"return": "all"})
    assert "fork" in outcome.output["stderr"]


@only_podman
@pytest.mark.parametrize("container", [{"shell_max_output_bytes": 1000}], indirect=True)
async def test_output_is_limited(container, engine) -> None:
    outcome = await container(command="yes >&2")
    assert kind(outcome) == ("runtime", 500)
    assert outcome.error.title == "Output too large"
    assert engine.running() == []


@only_podman
async def test_output_that_is_not_utf_8(container) -> None:
    assert await container(command=r"printf '\377a'") == Completed("\ufffda")


@only_podman
async def test_large_stdin(container) -> None:
    assert await container(command="head -c 3; cat >/dev/null", stdin="x" * 1_000_000) == Completed("xxx")


@only_podman
async def test_the_name_and_what_is_left(container, engine) -> None:
    """I59: containers are kept, unless the task wants it otherwise"""
    engine.remove_all()
    assert isinstance(await container(command="true"), Completed)
    [kept] = engine.containers()
    assert kept["Names"][0].removeprefix("/").startswith("w-")
    assert kept["Names"][0].endswith(".n-job")
    assert await container(command="true", name="mine", lifetime={"cleanup": "always"}) == Completed("")
    assert [each["Id"] for each in engine.containers()] == [kept["Id"]]
    taken = await container(command="true", name=kept["Names"][0].removeprefix("/"))
    assert kind(taken) == ("runtime", 500)
    assert "could not be started" in taken.error.detail


@only_podman
async def test_the_same_task_again_replaces_its_container(container, engine) -> None:
    engine.remove_all()
    for _ in range(2):
        assert await container(command="echo a", run="again", name="twice") == Completed("a")
    assert len(engine.containers()) == 1


async def test_a_container_that_is_not_awaited_is_started_once(container, engine, eventually) -> None:
    """I58"""
    engine.remove_all()
    arguments = {"command": "cat; exec sleep 600", "stdin": "in", "await": False, "run": "detached"}
    assert await container(**arguments) == Completed(None)
    assert await container(**arguments) == Completed(None)
    [started] = engine.containers()
    assert started["State"] == "running"
    await container(command="true", **{"await": False, "lifetime": {"cleanup": "always"}})
    await eventually(lambda: len(engine.containers()) == 1, "the other one is removed at its end")


@pytest.mark.parametrize("cleanup", ["always", "never"])
async def test_a_cancelled_container_is_stopped(container, engine, eventually, cleanup) -> None:
    engine.remove_all()
    task = asyncio.create_task(container(**SLEEP, lifetime={"cleanup": cleanup}))
    await eventually(engine.running, "the container runs")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.running() == []
    assert len(engine.containers()) == (cleanup == "never")


@only_podman
async def test_progress_has_the_newest_output(container, eventually) -> None:
    reported: list[object] = []
    command = "echo one $KEY; exec sleep 600"
    task = asyncio.create_task(
        container(command=command, report=reported.append, environment={"KEY": "s3cret"})
    )
    await eventually(lambda: reported, "the output is reported")
    task.cancel()
    assert reported[0] == {"stdout": "one ***\n", "stderr": ""}
    with pytest.raises(asyncio.CancelledError):
        await task


@only_podman
@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        (
            {"image": "no-such-image", "pullPolicy": "never"},
            ("runtime", 500),
            "no-such-image:latest is not there",
        ),
        ({"image": "127.0.0.1:1/no/image"}, ("communication", 500), "cannot be fetched"),
        ({"image": "../etc?x"}, ("configuration", 400), "not the name of an image"),
        ({"image": "a" * 1000}, ("configuration", 400), "not the name of an image"),
        ({"name": "-x"}, ("configuration", 400), "'-x'"),
        ({"name": "a/../b"}, ("configuration", 400), "cannot have the name"),
        ({"command": "a\0b"}, ("configuration", 400), "command contains a NUL"),
        ({"arguments": ["a\0b"]}, ("configuration", 400), "argument"),
        ({"environment": {"A=B": "x"}}, ("configuration", 400), "'A=B'"),
        ({"ports": {"80": 80}}, ("authorization", 403), "UNSPOOL_CONTAINER_NETWORK"),
        ({"volumes": {"/etc": "/data"}}, ("authorization", 403), "UNSPOOL_CONTAINER_VOLUMES"),
        ({"volumes": {"/etc": "data"}}, ("configuration", 400), "'/etc'"),
        ({"pullPolicy": "often"}, ("configuration", 400), "pullPolicy"),
        ({"lifetime": {"cleanup": "eventually", "after": "soon"}}, ("configuration", 400), "lifetime.after"),
        ({"return": "everything"}, ("configuration", 400), "return"),
        ({"command": "true", "arguments": ["x" * 200_000]}, ("runtime", 500), "too long"),
    ],
)
async def test_what_cannot_run_is_an_error_that_says_why(container, arguments, error, named) -> None:
    outcome = await container(**{"command": "true", **arguments})
    assert kind(outcome) == error
    assert named in outcome.error.detail


@only_podman
@pytest.mark.parametrize(
    "container", [{"container_images": "registry.example.com/*, docker.io/library/h*"}], indirect=True
)
async def test_images_can_be_restricted(container) -> None:
    assert await container("hello-world") == Completed("Hello from Docker!")
    assert kind(await container("alpine")) == ("authorization", 403)


@only_podman
async def test_volumes_that_the_operator_allows(engine, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir(mode=0o777)
    (tmp_path / "in" / "file").write_text("content")
    settings = ExecutorSettings(
        allow="container", container_host=engine.url, container_volumes=f"{tmp_path}/in:ro, {tmp_path}/out"
    )
    command = "cat /in/file; cat /in/file > /out/copy; touch /in/new"
    async with default_handlers(settings) as handlers:
        volumes = {f"{tmp_path}/in": "/in", f"{tmp_path}/out": "/out"}
        arguments = {"image": "alpine", "command": command, "volumes": volumes, "return": "all"}
        request = TaskRequest("e1", "volumes", "/do/0/job", "container", arguments)
        outcome = await handlers["container"](request, task_context())
        below = {**arguments, "volumes": {f"{tmp_path}/in/../out": "/x"}}
        refused = await handlers["container"](request._replace(arguments=below), task_context())
    assert outcome.output["stdout"] == "content"
    assert outcome.output["code"] != 0
    assert "ead-only" in outcome.output["stderr"]
    assert (tmp_path / "out" / "copy").read_text() == "content"
    assert kind(refused) == ("authorization", 403)


@only_podman
@pytest.mark.parametrize("container", [{"container_network": "bridge"}], indirect=True)
async def test_ports_are_published_on_the_loopback_address(container, engine, eventually) -> None:
    port = free_port()
    command = "echo hello | nc -l -p 8080"
    task = asyncio.create_task(container(command=command, ports={str(port): 8080}))

    def published() -> list[tuple[str, int, int]]:
        ports = [each for container in engine.containers() for each in container["Ports"] or ()]
        return [(each["IP"], each["PublicPort"], each["PrivatePort"]) for each in ports]

    await eventually(published, "the port is published")
    assert published() == [("127.0.0.1", port, 8080)]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_engine_that_is_not_there_or_not_allowed() -> None:
    settings = ExecutorSettings(allow="container", container_host="unix:///no/socket")
    async with default_handlers(settings) as handlers:
        request = TaskRequest("e1", "r", "/do/0/job", "container", {"image": "alpine"})
        outcome = await handlers["container"](request, task_context())
    assert kind(outcome) == ("communication", 500)
    async with default_handlers(ExecutorSettings(allow="shell")) as handlers:
        assert kind(await handlers["container"](request, task_context())) == ("authorization", 403)


@only_podman
async def test_the_sweep_removes_containers_when_their_time_has_come(container, engine) -> None:
    engine.remove_all()
    await container(command="true", lifetime={"cleanup": "eventually", "after": {"minutes": 30}})
    await container(command="true")
    assert len(engine.containers()) == 2
    [later] = engine.containers(**{labels.CLEANUP: "eventually"})
    async with opened_engine(parse_address(engine.url)) as client:
        from unspool.eventstore.clock import SystemClock

        now = SystemClock().now()
        await sweep(client, now + 29 * 60_000)
        assert len(engine.containers()) == 2
        await sweep(client, now + 31 * 60_000)
    assert later["Id"] not in [each["Id"] for each in engine.containers()]
    assert len(engine.containers()) == 1


EXECUTOR = """
import asyncio, sys
from tests.task_contexts import task_context
from unspool.eventstore.records import (TaskRequest)
from unspool.executor.handlers import default_handlers
from unspool.executor.settings import ExecutorSettings

async def main():
    settings = ExecutorSettings(allow="container", container_host=sys.argv[1])
    async with default_handlers(settings) as handlers:
        arguments = {"image": "alpine", "command": "exec sleep 600", "lifetime": {"cleanup": sys.argv[2]}}
        request = TaskRequest("e2", "r1", "/do/0/job", "container", arguments)
        await handlers["container"](request, task_context())

asyncio.run(main())
"""


def executor(engine: ContainerEngine, cleanup: str) -> subprocess.Popen[bytes]:
    """A process that runs a container that never ends."""
    root = Path(__file__).parents[2]
    folders = [str(root), *(str(path.parent) for path in root.glob("*/unspool"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    return subprocess.Popen([sys.executable, "-c", EXECUTOR, engine.url, cleanup], env=environment)


async def test_a_killed_executor_ends_its_containers(engine, eventually) -> None:
    engine.remove_all()
    process = executor(engine, "never")
    await eventually(engine.running, "the container runs")
    process.kill()
    await asyncio.to_thread(process.wait)
    await eventually(lambda: not engine.running(), "the helper process kills the container")


@only_podman
async def test_the_sweep_ends_containers_if_the_helper_was_killed_too(engine, eventually) -> None:
    engine.remove_all()
    process = executor(engine, "always")
    await eventually(engine.running, "the container runs")
    for child in children(process.pid):
        os.kill(child, signal.SIGKILL)
    async with opened_engine(parse_address(engine.url)) as client:
        await sweep(client, 0)
        assert len(engine.running()) == 1  # its executor is there
        process.kill()
        await asyncio.to_thread(process.wait)
        assert len(engine.running()) == 1
        await sweep(client, 0)
    assert engine.containers() == []
