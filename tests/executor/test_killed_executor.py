"""Shell commands and scripts end with their executor, also when it is killed with SIGKILL."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.processes import children, command_line, runs

from unspool.eventstore.clock import SystemClock
from unspool.eventstore.events import Event
from unspool.eventstore.ids import new_id
from unspool.eventstore.records import Commit, ExecutionKey, Start, TaskRequest, WorkflowRef
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.store import SqliteStore
from unspool.executor import group_killer
from unspool.executor.process_groups import ProcessGroups

RequestCommand = Callable[..., Awaitable[None]]


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def helper_of(pid: int) -> int:
    script = Path(group_killer.__file__).name.encode()
    (helper,) = [child for child in children(pid) if script in command_line(child)]
    return helper


@pytest.fixture
async def request_command(tmp_path: Path) -> AsyncIterator[RequestCommand]:
    """Requests a shell task, or a script, in an execution of its own."""
    store = SqliteStore(tmp_path / "store.sqlite3", SqliteSettings())
    await store.open()

    async def request(command: str, language: str | None = None) -> None:
        now = SystemClock().now()
        key = ExecutionKey("default", new_id(now))
        await store.start(Start(key, WorkflowRef("n", "w", "1.0.0"), {}, now))
        task = TaskRequest(key.id, "r1", "/do/0/run", "shell", {"command": command})
        if language is not None:
            script = {"$kind": "script", "language": language, "code": command}
            task = task._replace(queue="call", arguments=script)
        event = Event(1, "task.requested", now, "/do/0/run", "r1", {})
        await store.commit(
            Commit(key=key, commit_id=new_id(now), expected_version=0, events=(event,), tasks=(task,))
        )

    yield request
    await store.close()


@pytest.fixture
async def executor(tmp_path: Path, request_command: RequestCommand) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A real executor process on the store of `request_command`."""
    command = [
        sys.executable,
        "-m",
        "unspool.cli",
        "executor",
        "--store",
        f"sqlite:///{tmp_path}/store.sqlite3",
    ]
    (tmp_path / "temporary").mkdir()
    environment = {"UNSPOOL_ALLOW": "shell, script", "TMPDIR": str(tmp_path / "temporary")}
    process = subprocess.Popen(command, env={**os.environ, **environment})
    yield process
    process.kill()
    await asyncio.to_thread(process.wait)


async def pids_of(file: Path, count: int, eventually) -> list[int]:
    """Returns the process ids in a file, when `count` have been written."""

    def written() -> list[int]:
        return [int(pid) for pid in file.read_text().splitlines()] if file.exists() else []

    await eventually(lambda: len(written()) == count, f"{count} processes run")
    return written()


def command_with_child(file: Path) -> str:
    return f"echo $$ >> {file}; sh -c 'echo $$ >> {file}; sleep 600; true'; true"


async def test_a_killed_executor_ends_its_commands(executor, request_command, tmp_path, eventually) -> None:
    for name in ("a", "b"):
        await request_command(command_with_child(tmp_path / name))
    pids = [pid for name in ("a", "b") for pid in await pids_of(tmp_path / name, 2, eventually)]
    assert all(runs(pid) for pid in pids)
    helper = helper_of(executor.pid)
    executor.kill()
    await eventually(lambda: not any(runs(pid) for pid in pids), "all processes of the commands end")
    await eventually(lambda: not runs(helper), "the helper process ends")


async def test_a_killed_executor_ends_children_in_sessions_of_their_own(
    executor, request_command, tmp_path, eventually
) -> None:
    file = tmp_path / "a"
    await request_command(f"(setsid sh -c 'echo $$ >> {file}; exec sleep 600' &); sleep 600")
    [pid] = await pids_of(file, 1, eventually)
    executor.kill()
    await eventually(lambda: not runs(pid), "the child ends")
    await eventually(lambda: not names_in(tmp_path / "temporary"), "its directory is removed")


async def test_commands_end_also_if_the_helper_process_was_killed_before(
    executor, request_command, tmp_path, eventually
) -> None:
    await request_command(command_with_child(tmp_path / "a"))
    pids = await pids_of(tmp_path / "a", 2, eventually)
    helper = helper_of(executor.pid)
    os.kill(helper, signal.SIGKILL)
    await eventually(lambda: not runs(helper), "the helper process ends")
    await request_command(command_with_child(tmp_path / "b"))
    pids += await pids_of(tmp_path / "b", 2, eventually)
    executor.kill()
    await eventually(lambda: not any(runs(pid) for pid in pids), "all processes of both commands end")


async def test_a_killed_executor_ends_its_scripts(executor, request_command, tmp_path, eventually) -> None:
    code = (
        "import os, subprocess\nchild = subprocess.Popen(['sleep', '600'])\n"
        f"open('{tmp_path}/a', 'w').write(f'{{os.getpid()}}\\n{{child.pid}}\\n')\nchild.wait()"
    )
    await request_command(code, language="python")
    pids = await pids_of(tmp_path / "a", 2, eventually)
    executor.kill()
    await eventually(lambda: not any(runs(pid) for pid in pids), "the script and its child end")
    await eventually(lambda: not names_in(tmp_path / "temporary"), "its directory is removed")


async def test_a_stopped_executor_leaves_no_helper_process(
    executor, request_command, tmp_path, eventually
) -> None:
    await request_command(f"echo $$ >> {tmp_path}/a")
    await pids_of(tmp_path / "a", 1, eventually)
    helper = helper_of(executor.pid)
    executor.terminate()
    assert await asyncio.to_thread(executor.wait, 120) == 0
    assert not runs(helper)


async def test_a_removed_group_is_not_killed(eventually) -> None:
    """Its id may belong to another group by then."""
    groups = ProcessGroups()
    with (
        subprocess.Popen(["sleep", "600"], start_new_session=True) as removed,
        subprocess.Popen(["sleep", "600"], start_new_session=True) as registered,
    ):
        groups.add(registered.pid)
        groups.add(removed.pid)
        groups.remove(removed.pid)
        groups.close()
        await eventually(lambda: registered.poll() == -signal.SIGKILL, "the registered group is killed")
        assert removed.poll() is None
        removed.kill()


async def test_directories_of_commands_are_removed_when_the_executor_is_killed(
    executor, request_command, tmp_path, eventually
) -> None:
    """But nothing outside of them, also if a command made a link to it."""
    outside, temporary = tmp_path / "outside", tmp_path / "temporary"
    (outside / "kept").mkdir(parents=True)
    (temporary / "unspool-of-another").mkdir()
    for name in ("a", "b"):
        files = f"mkdir -p some/deep; touch some/deep/file; ln -s {outside} link; ln -s {outside} some/link"
        await request_command(f"{files}; {command_with_child(tmp_path / name)}")
        await pids_of(tmp_path / name, 2, eventually)
    assert len(list(temporary.glob("unspool-*/some/deep/file"))) == 2
    executor.kill()
    await eventually(lambda: names_in(temporary) == ["unspool-of-another"], "the directories are removed")
    assert (outside / "kept").is_dir()


async def test_a_directory_is_removed_while_the_killed_command_still_writes_to_it(
    executor, request_command, tmp_path, eventually
) -> None:
    loop = "i=0; while :; do i=$((i + 1)); touch file-$i; done"
    await request_command(f"echo $$ >> {tmp_path}/a; {loop}")
    await pids_of(tmp_path / "a", 1, eventually)
    executor.kill()
    await eventually(lambda: not names_in(tmp_path / "temporary"), "the directory is removed")


async def test_a_stopped_executor_leaves_no_directory(
    executor, request_command, tmp_path, eventually
) -> None:
    await request_command(f"echo $$ >> {tmp_path}/a; sleep 600")
    await pids_of(tmp_path / "a", 1, eventually)
    executor.terminate()
    assert await asyncio.to_thread(executor.wait, 120) == 0
    assert names_in(tmp_path / "temporary") == []
