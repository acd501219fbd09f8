"""Tests of the functions: they need no store and no executor. Run `pytest` in this directory."""

import asyncio

import pytest
from shop import Line, Order, charge, total

from unspool.functions import Context, TaskError

ORDER = Order(7, [Line("lamp", 60, 2), Line("bulb", 1.5)])


def test_the_total_is_the_sum_of_the_lines():
    assert total(ORDER) == 121.5


def test_an_order_is_charged_once_for_its_key():
    context = Context(idempotency_key="one")
    receipt = asyncio.run(charge(ORDER, context))
    assert (receipt.number, receipt.total, receipt.key) == ("R-7", 121.5, "one")
    assert context.progress == {"charging": 121.5}


def test_an_empty_order_is_not_charged():
    with pytest.raises(TaskError, match="the total is 0"):
        asyncio.run(charge(Order(8), Context()))
