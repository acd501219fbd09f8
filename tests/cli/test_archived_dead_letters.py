"""An archived dead letter is shown as it was in the store."""

import gzip
import json
import os
from pathlib import Path

import pytest
from tests.cli.test_masking import CANARY, MASKED

from unspool.cli.stores import opened
from unspool.eventstore.consumers import WORKERS, Consumer
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.encryption.payloads import payloads_of
from unspool.eventstore.records import TaskRequest
from unspool.timer_service.archiving import Archive

STORE = "sqlite:///s.db"
CARD = {"card": {"number": CANARY}}
TASK = TaskRequest("one", "r1", "/do/0/keep", "http", CARD, 1_700_000_000_000)
LETTER = DeadLetter("t:7", "default", TASK, f"ValueError: {CANARY}", "Traceback: …", 3, 1_700_000_000_123)


@pytest.fixture
def started(home, monkeypatch, unspool):
    """A store with an execution whose card is masked."""
    monkeypatch.setenv("UNSPOOL_STORE", STORE)
    (home / "pay.yaml").write_text(MASKED)
    unspool("deploy", "pay.yaml")
    assert unspool("start", "shop/pay", "--id", "one", "--input", json.dumps(CARD)).code == 0


async def dead_letter_of_start():
    async with opened(STORE, {}) as store:
        [delivery] = await store.receive_messages(Consumer(WORKERS, "w1"), 1, 5)
        id_ = await store.move_to_dead_letters(delivery, "KeyError: 'x'", "Traceback: …")
        return await store.dead_letter("default", id_)


async def archive(letter):
    async with opened(STORE, {}) as store:
        await Archive(store, Path("archive"), payloads_of(os.environ)).write_dead_letter(letter)


def archived_file():
    [file] = Path("archive").rglob("*.jsonl.gz")
    return str(file)


def test_an_archived_dead_letter_is_shown_as_a_stored_one(started, unspool, run_coroutine):
    letter = run_coroutine(dead_letter_of_start())
    run_coroutine(archive(letter))
    file = archived_file()

    for options in ((), ("--json",)):
        of_store, of_file = (unspool("dlq", "show", each, *options) for each in (letter.id, file))
        assert (of_file.code, of_file.stdout) == (0, of_store.stdout)
        assert "KeyError: 'x'" in of_file.stdout
        assert CANARY not in of_file.stdout
        assert "[masked]" in of_file.stdout


def test_an_encrypted_task_is_shown_with_the_key(started, home, monkeypatch, unspool, run_coroutine):
    (home / "keys").write_text(unspool("encryption", "new-key", "first").stdout)
    (home / "keys").chmod(0o600)
    monkeypatch.setenv("UNSPOOL_ENCRYPTION_KEYS_FILE", "keys")
    run_coroutine(archive(LETTER))
    file = archived_file()

    shown = unspool("dlq", "show", file, "--json")
    assert shown.json == {
        "id": "t:7",
        "execution": "one",
        "kind": "task",
        "error": "ValueError: [masked]",
        "attempts": 3,
        "buriedAt": "2023-11-14T22:13:20.123Z",
        "body": {**TASK._asdict(), "arguments": {"card": {"number": "[masked]"}}},
        "traceback": "Traceback: …",
    }
    monkeypatch.delenv("UNSPOOL_ENCRYPTION_KEYS_FILE")
    without_key = unspool("dlq", "show", file)
    assert (without_key.code, without_key.stdout) == (2, "")
    assert "first" in without_key.stderr


def test_a_file_of_an_earlier_version_is_read(started, home, unspool, run_coroutine):
    """It has the document only, without the last line."""
    run_coroutine(archive(LETTER))
    file = archived_file()
    document = json.loads(gzip.decompress(Path(file).read_bytes()).splitlines()[0])
    assert document.pop("archive") == 1
    (home / "old.json.gz").write_bytes(gzip.compress(json.dumps(document).encode() + b"\n"))

    new, old = (unspool("dlq", "show", each) for each in (file, "old.json.gz"))
    assert (old.code, old.stdout) == (0, new.stdout)


def changed(data):
    return gzip.compress(gzip.decompress(data).replace(b"ValueError", b"TypeErrors"))


def without_end(data):
    return gzip.compress(gzip.decompress(data).splitlines(keepends=True)[0])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-9], "the compressed data is damaged"),
        (changed, "do not match their checksum"),
        (without_end, "no last line with the checksum"),
        (lambda _: b"{}", "the compressed data is damaged"),
        (lambda _: gzip.compress(b"{}\n"), "not an archived dead letter"),
    ],
)
def test_a_damaged_file_is_named(started, home, unspool, run_coroutine, damage, said):
    run_coroutine(archive(LETTER))
    (home / "damaged.jsonl.gz").write_bytes(damage(Path(archived_file()).read_bytes()))
    result = unspool("dlq", "show", "damaged.jsonl.gz")
    assert (result.code, result.stdout) == (2, "")
    assert "damaged.jsonl.gz: " in result.stderr
    assert said in result.stderr
