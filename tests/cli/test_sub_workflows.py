"""Sub-workflows on the command line."""

import asyncio
import json

from unspool.eventstore.events import Event
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import Commit, ExecutionKey, Start, WorkflowRef

HEAD = "document: {dsl: '1.0.3', namespace: shop, name: %s, version: '1.0.0'}\n"
PARENT = HEAD % "parent" + "do: [{ask: {run: {workflow: {namespace: shop, name: child}}}}]\n"
CHILD = HEAD % "child" + "do: [{answer: {set: '${ {got: .n} }'}}]\n"


def test_a_sub_workflow_that_could_not_start_is_no_child(program, home):
    """`refused` faults because of its input, but it has started."""
    run = "run: {workflow: {namespace: shop, name: %s}}"
    asked = "try: [{ask: {%s}}], catch: {}" % (run % "unknown")
    (home / "parent.yaml").write_text(
        HEAD % "parent" + f"do: [{{t: {{{asked}}}}}, {{u: {{{run % 'refused'}}}}}]\n"
    )
    (home / "refused.yaml").write_text(HEAD % "refused" + "input: {schema: {document: false}}\ndo: []\n")
    store = ("--store", f"sqlite:///{home}/sub.db")
    program("run", "parent.yaml", "--sub", "refused.yaml", "--input", "{}", *store)

    listed = program("executions", "list", "--json", *store).stdout.splitlines()
    ids = {each["workflow"]["name"]: each["id"] for each in map(json.loads, listed)}
    assert set(ids) == {"parent", "refused"}
    shown = program("executions", "show", ids["parent"], "--json", *store).json
    assert shown["children"] == [ids["refused"]]
    tree = program("history", ids["parent"], "--tree", "--json", *store).stdout.splitlines()
    assert {json.loads(line)["execution"] for line in tree} == set(ids.values())


def test_a_run_with_a_sub_workflow_its_children_and_its_tree(program, home):
    (home / "parent.yaml").write_text(PARENT)
    (home / "child.yaml").write_text(CHILD)
    store = ("--store", f"sqlite:///{home}/sub.db")

    result = program("run", "parent.yaml", "--sub", "child.yaml", "--input", '{"n": 7}', *store)
    assert (result.code, result.json) == (0, {"got": 7})

    listed = program("executions", "list", "--json", *store)
    child, parent = sorted(map(json.loads, listed.stdout.splitlines()), key=lambda e: e["workflow"]["name"])
    assert parent["parent"] is None
    assert child["parent"]["execution"] == parent["id"]
    shown = program("executions", "show", parent["id"], "--json", *store)
    assert shown.json["children"] == [child["id"]]

    tree = program("history", parent["id"], "--tree", "--json", *store)
    events = [json.loads(line) for line in tree.stdout.splitlines()]
    place = next(n for n, event in enumerate(events) if event["type"] == "child.started")
    nested = [event for event in events if event["execution"] == child["id"]]
    assert events[place + 1 : place + 1 + len(nested)] == nested
    assert [nested[0]["type"], nested[-1]["type"]] == ["workflow.started", "workflow.completed"]
    text = program("history", parent["id"], "--tree", *store).stdout
    assert any(line.startswith("  1 ") for line in text.splitlines())


async def store_chain(url: str, length: int) -> None:
    """Each execution has joined the next one. Starts have a limit of levels, joins have none."""
    store = await open_store(url, {})

    async def add(number: int) -> None:
        key, following = ExecutionKey("default", f"e{number}"), f"e{number + 1}"
        await store.start(Start(key, WorkflowRef("shop", "chain", "1.0.0"), {}, 0))
        joined = {"child": "c", "execution": following, "workflow": ["shop", "chain", "1.0.0"]}
        event = Event(1, "child.joined", 0, "/do/0/next", "r1", joined)
        await store.commit(Commit(key=key, commit_id="c1", expected_version=0, events=(event,)))

    try:
        await asyncio.gather(*(add(number) for number in range(length)))
    finally:
        await store.close()


def test_the_tree_of_a_long_chain_of_joined_executions(unspool, home, run_coroutine):
    store, length = f"sqlite:///{home}/chain.db", 1200
    run_coroutine(store_chain(store, length))
    tree = unspool("history", "e0", "--tree", "--json", "--store", store)
    assert tree.code == 0
    shown = [json.loads(line)["execution"] for line in tree.stdout.splitlines()]
    assert shown == [f"e{number}" for number in range(length)]
