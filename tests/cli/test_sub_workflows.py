"""Sub-workflows on the command line."""

import json

HEAD = "document: {dsl: '1.0.3', namespace: shop, name: %s, version: '1.0.0'}\n"
PARENT = HEAD % "parent" + "do: [{ask: {run: {workflow: {namespace: shop, name: child}}}}]\n"
CHILD = HEAD % "child" + "do: [{answer: {set: '${ {got: .n} }'}}]\n"


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
