"""Idempotency keys on the command line."""

import json

SYNC = """\
document:
  dsl: '1.0.3'
  namespace: shop
  name: sync
  version: '1.0.0'
  metadata:
    unspool:
      idempotencyKey: sync:${ .org }
do:
  - hello: {set: {org: '${ .org }', n: '${ .n }'}}
"""


def test_a_second_start_joins_the_first(program, unspool, home):
    (home / "sync.yaml").write_text(SYNC)
    store = ("--store", f"sqlite:///{home}/keys.db")
    unspool("deploy", "sync.yaml", *store)

    first = unspool("start", "shop/sync", "--input", '{"org": 7}', *store)
    assert (first.code, first.stderr) == (0, "")
    second = unspool("start", "shop/sync", "--input", '{"org": 7, "n": 2}', *store)
    assert (second.code, second.stdout) == (0, first.stdout)
    assert f"joined execution {first.stdout.strip()}" in second.stderr
    other = unspool("start", "shop/sync", "--input", '{"org": 7}', "--id", "mine", *store)
    assert (other.stdout.strip(), other.stderr) == ("mine", "")

    run = program("run", "sync.yaml", "--input", '{"org": 7, "n": 3}', *store)
    assert (run.code, run.json) == (0, {"org": 7, "n": None})
    assert f"joined execution {first.stdout.strip()}" in run.stderr
    listed = unspool("executions", "list", "--json", *store)
    assert {line["id"] for line in listed.lines} == {first.stdout.strip(), "mine"}
    waited = unspool("start", "shop/sync", "--input", '{"org": 7}', "--wait", *store)
    assert (waited.code, waited.json) == (0, {"org": 7, "n": None})


def test_an_input_without_a_key(program, unspool, home):
    (home / "sync.yaml").write_text(SYNC.replace("sync:${ .org }", "${ .org }"))
    store = ("--store", f"sqlite:///{home}/keys.db")
    unspool("deploy", "sync.yaml", *store)
    for command in (("start", "shop/sync"), ("run", "sync.yaml")):
        result = program(*command, "--input", "{}", *store)
        assert (result.code, result.stdout) == (2, "")
        assert "the idempotency key of shop/sync:1.0.0 cannot be made from this input" in result.stderr


def test_a_run_that_joined_does_not_cancel_the_execution(program, unspool, home):
    (home / "sync.yaml").write_text(
        SYNC.split("do:", maxsplit=1)[0] + "do:\n  - nap: {wait: {minutes: 10}}\n"
    )
    store = ("--store", f"sqlite:///{home}/keys.db")
    unspool("deploy", "sync.yaml", *store)
    first = unspool("start", "shop/sync", "--input", '{"org": 7}', *store).stdout.strip()

    result = program("run", "sync.yaml", "--input", '{"org": 7}', "--timeout", "8", *store)
    assert result.code == 4
    shown = json.loads(unspool("executions", "show", first, "--json", *store).stdout)
    assert shown["status"] == "waiting"


def test_children_and_tree_show_the_execution_that_was_joined(program, unspool, home):
    (home / "sync.yaml").write_text(SYNC)
    parent = SYNC.replace("name: sync", "name: parent").split("  metadata:")[0]
    (home / "parent.yaml").write_text(
        parent + "do: [{ask: {run: {workflow: {namespace: shop, name: sync}}}}]\n"
    )
    store = ("--store", f"sqlite:///{home}/keys.db")
    child = ("--sub", "sync.yaml", "--input", '{"org": 7}')
    program("run", "parent.yaml", *child, *store)
    program("run", "parent.yaml", *child, *store)

    listed = unspool("executions", "list", "--json", *store).lines
    [joined] = [line["id"] for line in listed if line["workflow"]["name"] == "sync"]
    for line in listed:
        if line["workflow"]["name"] == "parent":
            shown = unspool("executions", "show", line["id"], "--json", *store)
            assert shown.json["children"] == [joined]
            tree = unspool("history", line["id"], "--tree", "--json", *store)
            assert {event["execution"] for event in tree.lines} == {line["id"], joined}
