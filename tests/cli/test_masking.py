"""Commands show masked values as masked; an exported history has the real ones, for `replay`."""

import pytest

STORE = ("--store", "sqlite:///s.db")
CANARY = "Canary4111222233334444"
MASKED = """\
document:
  dsl: '1.0.3'
  namespace: shop
  name: pay
  version: '1.0.0'
  metadata: {unspool: {mask: [/card/number]}}
do:
  - keep: {set: {card: '${ .card }'}, export: {as: .}}
  - last: {set: {card: '${ $context.card }'}}
"""


@pytest.fixture
def execution(home, unspool):
    """The id of an execution whose input and output are masked."""
    (home / "pay.yaml").write_text(MASKED)
    ran = unspool("run", "pay.yaml", "--input", f'{{"card": {{"number": "{CANARY}"}}}}', *STORE)
    assert ran.json == {"card": {"number": CANARY}}  # its own author runs it
    [listed] = unspool("executions", "list", "--json", *STORE).lines
    assert listed["output"] == {"card": {"number": "[masked]"}}
    return listed["id"]


def test_commands_show_no_masked_value(unspool, execution):
    for command in (
        ("executions", "list", "--json"),
        ("executions", "show", execution),
        ("executions", "show", execution, "--json"),
        ("history", execution),
        ("history", execution, "--json"),
        ("history", execution, "--tree"),
        ("replay", execution, "--json"),
        ("replay", execution, "--at", "2"),
        ("graph", "--execution", execution, "--svg"),
        ("dlq", "list"),
    ):
        shown = unspool(*command, *STORE)
        assert shown.code == 0, shown.stderr
        assert CANARY not in shown.stdout + shown.stderr, command
    assert "[masked]" in unspool("history", execution, *STORE).stdout
    assert unspool("replay", execution, "--verify", *STORE).code == 0


def test_an_exported_history_can_be_replayed(unspool, execution, home):
    assert unspool("history", execution, "--export", "pay.jsonl", *STORE).code == 0
    assert CANARY in (home / "pay.jsonl").read_text()
    assert unspool("replay", "pay.jsonl", "--verify").code == 0
    for command in (("history", "pay.jsonl"), ("replay", "pay.jsonl", "--json")):
        shown = unspool(*command)
        assert CANARY not in shown.stdout
        assert "[masked]" in shown.stdout


def test_a_pointer_that_is_not_valid_is_a_problem(unspool, home):
    (home / "pay.yaml").write_text(MASKED.replace("/card/number", "card"))
    refused = unspool("validate", "pay.yaml")
    assert refused.code == 2
    assert "pay.yaml:6:31: a pointer begins with '/'" in refused.stdout
