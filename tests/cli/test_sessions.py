"""`unspool sessions`: an operator sees and ends the logins of browsers."""

import pytest

from unspool.cli.stores import opened
from unspool.eventstore.api_keys import Scope, Session

STORE = "sqlite:///s.db"
ENDS = 4_000_000_000_000


async def log_in(name, id_, tenant):
    async with opened(STORE, {}) as store:
        await store.put_session(Session(id_ * 16, "b" * 64, name, tenant, (Scope.READ,), ENDS))


@pytest.fixture
def logged_in(home, monkeypatch, run_coroutine):
    """A store with two sessions of one person, and one of another."""
    monkeypatch.setenv("UNSPOOL_STORE", STORE)
    for name, id_, tenant in (("jwt:ada", "a", "shop"), ("jwt:ada", "b", None), ("jwt:bob", "c", "shop")):
        run_coroutine(log_in(name, id_, tenant))


def test_sessions_are_listed_without_their_secrets(logged_in, unspool):
    shown = unspool("sessions", "list", "--json").lines
    assert [(each["name"], each["tenant"]) for each in shown] == [
        ("jwt:ada", "shop"),
        ("jwt:ada", None),
        ("jwt:bob", "shop"),
    ]
    assert shown[0] == {
        "name": "jwt:ada",
        "tenant": "shop",
        "scopes": ["read"],
        "key": None,
        "expiresAt": "2096-10-02T07:06:40.000Z",
    }
    table = unspool("sessions", "list").stdout
    assert len(table.splitlines()) == 4
    assert "b" * 64 not in table


def test_all_sessions_of_a_name_end(logged_in, unspool):
    ended = unspool("sessions", "end", "jwt:ada")
    assert (ended.code, ended.stderr) == (0, "2 sessions of jwt:ada ended\n")
    assert [each["name"] for each in unspool("sessions", "list", "--json").lines] == ["jwt:bob"]


def test_a_name_without_a_session_is_an_error(logged_in, unspool):
    result = unspool("sessions", "end", "ada")
    assert result.code == 2
    assert "'ada' has no session" in result.stderr
