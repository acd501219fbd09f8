"""`unspool encryption`, and commands on a store with encrypted payloads."""

import gzip

import pytest

from unspool.eventstore.encryption.key_ring import parsed_keys

STORE = ("--store", "sqlite:///s.db")


def test_a_key_is_made_for_a_file(unspool):
    first, second = (unspool("encryption", "new-key", "2026-11") for _ in range(2))
    assert first.code == 0
    assert [key.id for key in parsed_keys(first.stdout).keys] == ["2026-11"]
    assert first.stdout != second.stdout
    refused = unspool("encryption", "new-key", "not valid")
    assert (refused.code, refused.stdout) == (2, "")
    assert "the id of a key must match" in refused.stderr


@pytest.fixture
def keys(home, unspool, monkeypatch):
    """A key file that commands use."""
    (home / "keys").write_text(unspool("encryption", "new-key", "a").stdout)
    monkeypatch.setenv("UNSPOOL_ENCRYPTION_KEYS_FILE", "keys")
    return home / "keys"


def test_commands_need_the_keys(unspool, keys, home, monkeypatch):
    ran = unspool("run", "greet.yaml", "--input", '{"name": "CanaryAda"}', *STORE)
    assert ran.json == {"greeting": "Hello CanaryAda"}
    assert not [file for file in home.glob("s.db*") if b"CanaryAda" in file.read_bytes()]
    [execution] = unspool("executions", "list", "--json", *STORE).lines
    assert unspool("replay", execution["id"], "--verify", *STORE).code == 0

    monkeypatch.delenv("UNSPOOL_ENCRYPTION_KEYS_FILE")
    refused = unspool("history", execution["id"], *STORE)
    assert refused.code == 2
    assert f"event 1 of {execution['id']} is encrypted with the key 'a'" in refused.stderr
    monkeypatch.setenv("UNSPOOL_ENCRYPTION_KEYS_FILE", "absent")
    assert unspool("history", execution["id"], *STORE).code == 2


def test_the_keys_in_use_are_counted(unspool, keys, home, monkeypatch):
    arguments = ("run", "greet.yaml", "--input", '{"name": "Ada"}', *STORE)
    monkeypatch.delenv("UNSPOOL_ENCRYPTION_KEYS_FILE")
    assert unspool(*arguments).code == 0
    monkeypatch.setenv("UNSPOOL_ENCRYPTION_KEYS_FILE", "keys")
    assert unspool(*arguments).code == 0
    old = keys.read_text()
    keys.write_text(unspool("encryption", "new-key", "b").stdout + old)
    assert unspool(*arguments).code == 0
    assert unspool(*arguments).code == 0
    event = '{"specversion": "1.0", "id": "1", "source": "urn:x", "type": "t", "data": 1}'
    (home / "event.json").write_text(event)
    assert unspool("events", "publish", "event.json", *STORE).code == 0

    def statuses():
        lines = unspool("encryption", "status", "--json", *STORE).lines
        return {line["key"]: (line["role"], line["removable"], line["records"]) for line in lines}

    counted = statuses()
    assert [(key, counted[key][0]) for key in counted] == [
        ("b", "encrypts"),
        ("a", "decrypts"),
        (None, "none"),
    ]
    assert counted["b"][2]["events"] == 1
    events = counted["a"][2]["historyEvents"]
    assert counted["b"][2]["historyEvents"] == 2 * events
    assert counted[None][2] == {"historyEvents": events}
    assert not any(removable for _, removable, _ in counted.values())
    shown = unspool("encryption", "status", *STORE).stdout.splitlines()
    needed = f"{events} events of histories"
    assert shown[1:] == [f"a (decrypts): {needed}", f"plain: {needed}"]

    keys.write_text(old)
    assert statuses()["b"][0] == "missing"


def test_a_key_that_nothing_needs_can_be_removed(unspool, keys, home):
    old = keys.read_text()
    keys.write_text(unspool("encryption", "new-key", "b").stdout + old)
    assert unspool("run", "greet.yaml", "--input", '{"name": "Ada"}', *STORE).code == 0
    status = ("encryption", "status", *STORE)
    assert "a (decrypts): nothing; it can be removed" in unspool(*status).stdout.splitlines()

    (home / "archive" / "default").mkdir(parents=True)
    sealed = b'{"data": {"$sealed":"a:AAAA"}}\n{"end": {"resources": {"x": "$sealed:c:AAAA"}}}'
    (home / "archive" / "default" / "x.jsonl.gz").write_bytes(gzip.compress(sealed))
    shown = unspool(*status, "--archive", "archive").stdout.splitlines()
    assert shown[1:3] == ["a (decrypts): 1 archived files", "c (missing): 1 archived files"]
