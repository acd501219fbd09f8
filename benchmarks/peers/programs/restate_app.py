"""Restate's handlers, served by the peers' interpreter as ASGI application `restate_app:app`."""

import time
from datetime import timedelta

import restate

bench = restate.Service("Bench")


async def echo(value: int) -> int:
    return value


@bench.handler()
async def sequence(context: restate.Context, steps: int) -> int:
    value = 0
    for _ in range(steps):
        value = await context.run_typed("step", echo, value=value)
    return value


@bench.handler()
async def fan_out(context: restate.Context, width: int) -> int:
    await restate.gather(*(context.run_typed("branch", echo, value=branch) for branch in range(width)))
    return width


@bench.handler()
async def nap(context: restate.Context, milliseconds: int) -> float:
    """Returns by how many milliseconds the code after the sleep runs late."""
    began = time.time()
    await context.sleep(timedelta(milliseconds=milliseconds))
    return (time.time() - began) * 1000 - milliseconds


app = restate.app(services=[bench])
