"""`@function`: what authors write, and what their unit tests need (docs/functions.md)."""

import asyncio
import inspect
import subprocess
import sys

import pytest

from unspool.functions import Cancelled, Context, TaskError, function
from unspool.functions.declaration import declaration_of


@function("charge-card", version="1.2.0", queue="payments")
async def charge(order: dict, context: Context) -> dict:
    """Charges a card."""
    context.heartbeat({"sent": 1})
    return {"receipt": order["id"], "key": context.idempotency_key}


@function("refund")
def refund(order: dict) -> str:
    if order["amount"] <= 0:
        raise TaskError("https://example.com/errors/nothing-to-refund", 422, detail="0 was paid")
    return f"refunded {order['amount']}"


async def test_a_unit_test_calls_the_plain_function():
    context = Context(idempotency_key="k")
    assert await charge({"id": 7}, context) == {"receipt": 7, "key": "k"}
    assert context.progress == {"sent": 1}
    assert (charge.__name__, charge.__doc__) == ("charge", "Charges a card.")
    assert inspect.iscoroutinefunction(charge)
    assert refund({"amount": 2}) == "refunded 2"
    with pytest.raises(TaskError, match="0 was paid") as caught:
        refund({"amount": 0})
    assert (caught.value.status, caught.value.title) == (422, "nothing-to-refund")


def test_a_test_can_cancel_a_function():
    @function("slow")
    def slow(context: Context) -> None:
        while True:
            context.wait(60)

    context = Context()
    context.cancel()
    assert context.cancelled
    with pytest.raises(Cancelled):
        slow(context)
    with pytest.raises(Cancelled):
        context.heartbeat()


def test_a_unit_test_imports_nothing_else_of_unspool():
    code = (
        "import sys; before = set(sys.modules); import unspool.functions\n"
        "new = set(sys.modules) - before\n"
        "print(*(each for each in new if each.split('.')[0] not in sys.stdlib_module_names))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) == {
        "unspool",
        "unspool.functions",
        "unspool.functions.context",
        "unspool.functions.declaration",
        "unspool.functions.errors",
    }


def test_the_declaration_says_what_the_decorator_was_given():
    found = declaration_of(charge)
    assert (found.name, found.version, found.queue) == ("charge-card", "1.2.0", "payments")
    found = declaration_of(refund)
    assert (found.name, found.version, found.queue) == ("refund", "1.0.0", None)
    assert declaration_of(asyncio) is None
    assert declaration_of(7) is None


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"name": "two words"}, "letters, digits"),
        ({"name": ""}, "letters, digits"),
        ({"name": "x" * 101}, "at most 100"),
        ({"name": "../../etc"}, "letters, digits"),
        ({"name": "a:1"}, "letters, digits"),
        ({"name": "http"}, "a call of the DSL"),
        ({"name": "a", "version": "1"}, "semantic version"),
        ({"name": "a", "version": "01.0.0"}, "semantic version"),
        ({"name": "a", "queue": "a b"}, "queue"),
    ],
)
def test_bad_arguments_are_refused(arguments, cause):
    with pytest.raises(ValueError, match=cause):
        function(**arguments)


def test_a_decorator_without_a_name_is_refused():
    with pytest.raises(TypeError, match=r'write @function\("name"\)'):
        function(refund)


def test_a_second_declaration_is_refused():
    with pytest.raises(TypeError, match="more than one @function"):
        function("other")(refund)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("", 400), ValueError),
        (("https://example.com/x", 99), ValueError),
        (("https://example.com/x", 600), ValueError),
        (("https://example.com/x", True), TypeError),
        (("https://example.com/x", "400"), TypeError),
        ((404, 404), TypeError),
        (("https://example.com/x", 400, 7), TypeError),
    ],
)
def test_the_members_of_an_error_are_checked(arguments, error):
    with pytest.raises(error):
        TaskError(*arguments)
