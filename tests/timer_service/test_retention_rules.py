"""The rules of `UNSPOOL_RETENTION`: which applies, and which are refused."""

import pytest

from unspool.eventstore.records import Status, WorkflowRef
from unspool.eventstore.settings import BadSetting
from unspool.timer_service import RetentionSettings
from unspool.timer_service.retention_rules import retention_rules

DAY = 86_400_000
RULES = "30d; faulted=90d;orders/*=7d ; orders/pay:faulted=forever; orders/pay=1h; orders/*:cancelled=2w"


@pytest.mark.parametrize(
    ("workflow", "status", "kept"),
    [
        ("shop/sell", Status.COMPLETED, 30 * DAY),
        ("shop/sell", Status.FAULTED, 90 * DAY),
        ("orders/ship", Status.COMPLETED, 7 * DAY),
        ("orders/ship", Status.FAULTED, 7 * DAY),
        ("orders/ship", Status.CANCELLED, 14 * DAY),
        ("orders/pay", Status.FAULTED, None),
        ("orders/pay", Status.CANCELLED, DAY // 24),
    ],
)
def test_the_most_specific_rule_applies(workflow, status, kept):
    assert retention_rules(RULES).kept_for(WorkflowRef(*workflow.split("/"), "1.0.0"), status) == kept


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("30d", 30 * DAY),
        ("faulted=90d", 30 * DAY),
        (RULES, DAY // 24),
        ("forever; faulted=0s", 0),
        ("forever", None),
    ],
)
def test_the_shortest_time(text, shortest):
    assert retention_rules(text).shortest == shortest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30", r"'30': '30' is not a time, such as 12h, 30d, 8w or forever"),
        ("-1d", "'-1d' is not a time"),
        ("1.5d", "'1.5d' is not a time"),
        ("30d; running=1d", "'running=1d': 'running' is not a status of an ended execution: cancelled, comp"),
        ("orders=1d", "'orders' is not a status"),
        ("a b/c=1d", "'a b/c' is not a workflow: NAMESPACE/NAME"),
        ("orders/pay:=1d", "'' is not a status"),
        ("*/pay=1d", "is not a workflow"),
        ("faulted=", "'' is not a time"),
        ("30d; 40d", "'40d': there is another rule for the same executions"),
        ("faulted=1d; faulted=2d", "'faulted=2d': there is another rule"),
        ("9999999999d", "is not a time"),
    ],
)
def test_rules_that_are_not_valid(text, message):
    with pytest.raises(BadSetting, match=message) as refused:
        RetentionSettings(rules=text)
    assert str(refused.value).startswith("UNSPOOL_RETENTION: ")
