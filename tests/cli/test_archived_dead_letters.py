"""An archived dead letter is shown as it was in the store."""

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
    [file] = Path("archive").rglob("*.json.gz")
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


def test_what_is_no_archived_dead_letter_is_bad_input(started, home, unspool, run_coroutine):
    run_coroutine(archive(LETTER))
    file = archived_file()
    damaged = home / "damaged.json.gz"
    damaged.write_bytes(Path(file).read_bytes()[:-9])
    (home / "text").write_text("{}")
    for path, said in ((str(damaged), "damaged"), ("text", "damaged"), ("absent.json.gz", "absent.json.gz")):
        result = unspool("dlq", "show", path)
        assert result.code == 2
        assert said in result.stderr
