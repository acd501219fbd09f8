"""Files that a user names: a command refuses what would wait or fill the memory, and names the file."""

import _thread
import errno
import fcntl
import gzip
import json
import os
import signal
import struct
import termios
import threading
import time

import pytest

from unspool.cli.files import read_file
from unspool.cli.serving import configured_hooks
from unspool.executor.secrets import LocalSecrets

MIB = 1024 * 1024
DEADLINE_SECONDS = 240


@pytest.fixture
def store(home, monkeypatch, unspool):
    """A store with a definition."""
    monkeypatch.setenv("UNSPOOL_STORE", "sqlite:///s.db")
    assert unspool("deploy", "greet.yaml").code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("dlq", "show", "archive/x.jsonl.gz"),
        ("events", "read", "archive/x.jsonl.gz"),
        ("encryption", "status", "--archive", "archive"),
    ],
)
@pytest.mark.parametrize(
    ("make", "said"), [(os.mkfifo, "not a regular file"), (os.mkdir, os.strerror(errno.EISDIR))]
)
def test_archived_files_are_regular_ones(store, home, unspool, command, make, said):
    (home / "archive").mkdir()
    make(home / "archive" / "x.jsonl.gz")
    result = unspool(*command)
    assert (result.code, result.stdout) == (2, "")
    assert f"archive/x.jsonl.gz: {said}" in result.stderr


@pytest.mark.parametrize(
    ("command", "most"),
    [("dlq show", "64 MiB"), ("history", "128 MiB"), ("replay", "128 MiB"), ("events read", "128 MiB")],
)
def test_a_small_file_that_is_large_when_decompressed_is_refused(home, unspool, command, most):
    with gzip.open(home / "bomb.jsonl.gz", "wb", compresslevel=1) as file:
        for _ in range(130):
            file.write(bytes(MIB))
    result = unspool(*command.split(), "bomb.jsonl.gz")
    assert (result.code, result.stdout) == (2, "")
    assert "bomb.jsonl.gz: " in result.stderr
    assert f"has more than {most}" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("validate", "large.json"),
        ("start", "shop/greet", "--input", "@large.json"),
        ("events", "publish", "large.json"),
        ("validate", "/dev/zero"),
    ],
)
def test_a_file_that_is_too_large_is_refused(store, home, unspool, command):
    (home / "large.json").touch()
    os.truncate(home / "large.json", 65 * MIB)
    result = unspool(*command)
    assert (result.code, result.stdout) == (2, "")
    assert f"larger than {64 * MIB} bytes" in result.stderr


def test_an_event_that_no_task_could_consume_is_refused(store, home, unspool):
    paid = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "paid", "data": "x" * 5 * MIB}
    (home / "large.json").write_text(json.dumps([paid, {**paid, "id": "2", "data": "x" * 9 * MIB}]))
    result = unspool("events", "publish", "large.json")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == "unspool: large.json: event 1: the event has more than 8388608 characters\n"
    (home / "large.json").write_text(json.dumps(paid))
    assert unspool("events", "publish", "large.json").code == 0


@pytest.fixture
def pipe():
    """Makes a name for a text in a pipe, as a shell does for `<(command)`."""
    descriptors = []

    def name_for(content):
        read, write = os.pipe()
        descriptors.append(read)
        os.write(write, content)
        os.close(write)
        return f"/dev/fd/{read}"

    yield name_for
    for each in descriptors:
        os.close(each)


def test_pipes_are_read(store, home, unspool, pipe):
    assert unspool("validate", pipe((home / "greet.yaml").read_bytes())).code == 0
    started = unspool("start", "shop/greet", "--id", "one", "--input", "@" + pipe(b'{"name": "Ada"}'))
    assert started.code == 0
    assert unspool("history", "one", "--export", "one.jsonl").code == 0
    exported = (home / "one.jsonl").read_bytes()
    events = unspool("history", "one", "--json").stdout
    assert unspool("history", pipe(exported), "--json").stdout == events
    paid = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "paid"}
    assert unspool("events", "publish", pipe(json.dumps(paid).encode())).code == 0


def test_ctrl_c_ends_the_wait_for_a_fifo(store, home, start_program):
    os.mkfifo(home / "input")
    with start_program("start", "shop/greet", "--input", "@input") as program:
        give_up_at = time.monotonic() + DEADLINE_SECONDS
        writer = None
        while writer is None:
            assert time.monotonic() < give_up_at
            try:
                writer = os.open(home / "input", os.O_WRONLY | os.O_NONBLOCK)
            except OSError as no_reader:
                assert no_reader.errno == errno.ENXIO
                time.sleep(0.05)
        try:
            program.send_signal(signal.SIGINT)
            program.communicate(timeout=DEADLINE_SECONDS)
        finally:
            os.close(writer)
        assert program.returncode == 130


def test_ctrl_c_just_before_a_read_ends_it(home):
    """`interrupt_main` does not interrupt a system call, like a signal that comes just before the call."""
    os.mkfifo(home / "input")
    ended = threading.Event()
    in_time = []

    def interrupt_while_the_program_waits_for_more():
        with (home / "input").open("wb", buffering=0) as writer:
            writer.write(b"1")
            while _unread(writer):
                time.sleep(0.01)
            _thread.interrupt_main()
            in_time.append(ended.wait(DEADLINE_SECONDS / 10))

    other = threading.Thread(target=interrupt_while_the_program_waits_for_more)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        read_file("input")
    ended.set()
    other.join()
    assert in_time == [True]


def _unread(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def test_files_of_settings_are_regular_ones(home, monkeypatch, unspool):
    os.mkfifo(home / "fifo")
    monkeypatch.setenv("UNSPOOL_ENCRYPTION_KEYS_FILE", "fifo")
    refused = unspool("executions", "list", "--store", "sqlite:///s.db")
    assert refused.code == 2
    assert "UNSPOOL_ENCRYPTION_KEYS_FILE: fifo: not a regular file" in refused.stderr
    monkeypatch.setenv("UNSPOOL_HOOKS", "fifo")
    with pytest.raises(Exception, match="UNSPOOL_HOOKS: fifo: not a regular file"):
        configured_hooks()
    assert LocalSecrets({}, str(home)).secret("fifo") is None
