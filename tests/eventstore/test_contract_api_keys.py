"""The keys of the API's callers and the sessions that are made with them."""

import asyncio

from unspool.eventstore.api_keys import (
    ApiKey,
    Scope,
    Session,
    new_credential,
    parse_credential,
    sha256_of_secret,
    with_included,
)

CI = ApiKey("00000000000000c1", "ci", "shop", (Scope.START, Scope.READ), "ab" * 32, 1_000, 9_000, "cli:ada")
ROOT = ApiKey("0000000000000001", "root", None, (Scope.ADMIN,), "cd" * 32, 2_000)

DEADLINE_SECONDS = 60


def login(id_: str, expires_at: int) -> Session:
    return Session(id_, "ef" * 32, "key:ci", "shop", (Scope.READ,), expires_at, CI.id)


async def test_keys_are_stored_and_listed_the_oldest_first(store):
    assert await store.api_keys() == []
    assert await store.api_key(CI.id) is None
    await store.put_api_key(ROOT)
    await store.put_api_key(CI)

    assert await store.api_keys() == [CI, ROOT]
    assert [await store.api_key(key.id) for key in (CI, ROOT)] == [CI, ROOT]


async def test_a_key_is_deleted_once(store):
    await store.put_api_key(CI)
    await store.put_api_key(ROOT)

    assert await store.delete_api_key(CI.id)
    assert not await store.delete_api_key(CI.id)
    assert await store.api_key(CI.id) is None
    assert await store.api_keys() == [ROOT]


async def test_all_processes_see_keys_and_sessions(store, other):
    ends = await store.now() + 3_600_000
    await store.put_api_key(CI)
    await store.put_session(login("a" * 16, ends))

    assert await other.api_key(CI.id) == CI
    assert await other.session("a" * 16) == login("a" * 16, ends)
    await other.delete_api_key(CI.id)
    await other.delete_session("a" * 16)
    assert await store.api_key(CI.id) is None
    assert await store.session("a" * 16) is None


async def test_a_session_ends_at_its_time(store):
    now = await store.now()
    await store.put_session(login("a" * 16, now + 100))
    await store.put_session(login("b" * 16, now + 3_600_000))

    async with asyncio.timeout(DEADLINE_SECONDS):
        while await store.session("a" * 16):
            await asyncio.sleep(0.02)
    assert await store.now() >= now + 100
    assert await store.session("b" * 16) == login("b" * 16, now + 3_600_000)


async def test_sessions_are_listed_until_they_end_or_are_deleted(store, other):
    now = await store.now()
    first, second, ended = (
        login(letter * 16, now + left) for letter, left in (("b", 3_600_000), ("a", 7_200_000), ("c", 1))
    )
    for session in (second, ended, first):
        await store.put_session(session)

    async with asyncio.timeout(DEADLINE_SECONDS):
        while await other.sessions() != [first, second]:
            await asyncio.sleep(0.02)
    await other.delete_session(first.id)
    assert await store.sessions() == [second]


async def test_sessions_are_not_keys(store):
    await store.put_session(login("a" * 16, await store.now() + 3_600_000))
    assert await store.api_keys() == []
    assert await store.api_key("a" * 16) is None
    await store.delete_session("b" * 16)


def test_a_credential_is_read_as_it_was_made():
    made = new_credential()
    assert parse_credential(made.text()) == made
    assert made.matches(sha256_of_secret(made.secret))
    assert not new_credential().matches(sha256_of_secret(made.secret))
    for text in ("", "usk_", made.secret, made.text() + "A", made.text().upper(), "x" * 100_000):
        assert parse_credential(text) is None


def test_operate_includes_read_and_start_and_admin_everything():
    assert with_included([Scope.OPERATE]) == {Scope.READ, Scope.START, Scope.OPERATE}
    assert with_included([Scope.ADMIN]) == set(Scope)
    assert with_included([Scope.START]) == {Scope.START}
    assert with_included([]) == set()


def test_a_key_expires():
    assert CI.is_expired(9_000)
    assert not CI.is_expired(8_999)
    assert not ROOT.is_expired(10**15)
