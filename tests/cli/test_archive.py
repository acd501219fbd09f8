"""A timer service archives and deletes an execution; `history` and `replay` read the file."""

import gzip
import time

import pytest

STORE = ("--store", "sqlite:///past.db")
DEADLINE_SECONDS = 240


@pytest.fixture
def before(program, unspool):
    """The id of an execution, its history, and its state after three events."""
    assert program("run", "greet.yaml", "--input", '{"name": "Ada Lovelace"}', *STORE).code == 0
    [execution] = unspool("executions", "list", "--json", *STORE).lines
    id_ = execution["id"]
    state = unspool("replay", id_, "--at", "3", "--json", *STORE).json
    return id_, unspool("history", id_, "--json", *STORE).lines, state


@pytest.fixture
def archived(before, start_program, unspool, home):
    """The file of that execution, which is no longer in the store."""
    settings = {
        "UNSPOOL_RETENTION": "0s",
        "UNSPOOL_ARCHIVE": "archive",
        "UNSPOOL_RETENTION_INTERVAL": "0.1",
    }
    service = start_program("timer", *STORE, **settings)
    try:
        give_up_at = time.monotonic() + DEADLINE_SECONDS
        while unspool("executions", "list", "--json", *STORE).lines:
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
    finally:
        service.terminate()
        _, errors = service.communicate(timeout=DEADLINE_SECONDS)
    assert service.returncode == 0, errors
    [file] = (home / "archive" / "default").glob(f"*/{before[0]}.*.jsonl.gz")
    return file


def test_the_file_replaces_the_execution(before, archived, unspool, home):
    id_, events, state = before
    file = str(archived.relative_to(home))

    assert unspool("history", id_, *STORE).code == 2
    assert unspool("history", file, "--json").lines == events
    assert len(unspool("history", file).stdout.splitlines()) == len(events) + 1
    assert unspool("replay", file, "--at", "3", "--json").json == state
    assert unspool("replay", file, "--verify").code == 0


def test_a_damaged_file_is_bad_input(archived, unspool):
    data = archived.read_bytes()
    archived.write_bytes(data[:-9])
    for command in ("history", "replay"):
        result = unspool(command, str(archived))
        assert result.code == 2
        assert f"{archived}: the compressed data is damaged" in result.stderr


def test_what_a_file_cannot_do(archived, unspool):
    assert unspool("history", str(archived), "--tree").code == 2
    assert unspool("history", str(archived), "--export", "copy.jsonl").code == 2
    assert unspool("history", "nowhere/one.jsonl.gz").code == 2


@pytest.fixture
def keys(home, unspool, monkeypatch):
    """A key file that commands use."""
    (home / "keys").write_text(unspool("encryption", "new-key", "a").stdout)
    monkeypatch.setenv("UNSPOOL_ENCRYPTION_KEYS_FILE", "keys")


def test_an_encrypted_file_needs_the_keys(keys, before, archived, unspool, monkeypatch):
    assert b"Lovelace" not in gzip.decompress(archived.read_bytes())
    assert unspool("history", str(archived), "--json").lines == before[1]
    assert unspool("replay", str(archived), "--verify").code == 0
    monkeypatch.delenv("UNSPOOL_ENCRYPTION_KEYS_FILE")
    refused = unspool("history", str(archived))
    assert refused.code == 2
    assert "is encrypted with the key 'a'" in refused.stderr
