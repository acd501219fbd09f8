"""Definitions: stored once, found by identity, ordered by semantic versioning."""

from unspool.eventstore.results import Stored


async def test_a_definition_is_stored_once(store, make):
    definition = make.definition("1.0.0", text="do: [] # ä€😀")

    assert await store.put_definition("default", definition) is Stored.CREATED
    assert await store.put_definition("default", definition) is Stored.SAME
    assert await store.put_definition("default", make.definition("1.0.0", text="other")) is Stored.DIFFERENT

    assert await store.definition("default", "shop", "order", "1.0.0") == definition


async def test_the_time_of_storing_does_not_make_a_definition_different(store, make):
    await store.put_definition("default", make.definition("1.0.0"))
    again = make.definition("1.0.0")

    assert await store.put_definition("default", again) is Stored.SAME


async def test_the_latest_is_the_highest_by_precedence_not_by_text_or_time(store, make):
    for version in ("1.10.0", "1.9.0", "2.0.0-rc.1", "1.2.0", "2.0.0-rc.2"):
        await store.put_definition("default", make.definition(version))

    latest = await store.definition("default", "shop", "order")

    assert latest.ref.version == "2.0.0-rc.2"
    assert await store.resolve("default", "shop", "order") == latest.ref


async def test_the_latest_of_versions_that_differ_in_build_metadata_is_always_the_same(store, make):
    for build in ("b", "d", "a", "e", "c"):
        await store.put_definition("default", make.definition(f"1.0.0+{build}"))

    assert (await store.resolve("default", "shop", "order")).version == "1.0.0+e"
    versions = [found.ref.version for found in await store.definitions("default", "shop", "order")]
    assert versions == [f"1.0.0+{build}" for build in "abcde"]


async def test_an_unknown_definition_is_none(store, make):
    await store.put_definition("default", make.definition("1.0.0"))

    for find in (store.definition, store.resolve):
        assert await find("default", "shop", "order", "1.0.0") is not None
        assert await find("default", "shop", "order", "1.0.1") is None
        assert await find("default", "shop", "orders") is None
        assert await find("default", "sho", "porder") is None
        assert await find("other", "shop", "order") is None


async def test_definitions_are_listed_by_name_and_ascending_version(store, make):
    for name, version in (("pack", "1.0.0"), ("order", "1.10.0"), ("order", "1.9.0"), ("order", "1.9.0-a")):
        await store.put_definition("default", make.definition(version, name))

    everything = await store.definitions("default")
    of_order = await store.definitions("default", "shop", "order")

    assert [(d.ref.name, d.ref.version) for d in everything] == [
        ("order", "1.9.0-a"),
        ("order", "1.9.0"),
        ("order", "1.10.0"),
        ("pack", "1.0.0"),
    ]
    assert of_order == everything[:3]


async def test_tenants_do_not_see_each_other(store, make):
    await store.put_definition("a", make.definition("1.0.0"))

    assert await store.definitions("b") == []
    assert await store.put_definition("b", make.definition("1.0.0", text="mine")) is Stored.CREATED
