"""Restate and DBOS under the same workloads: trivial Python steps, each of them durable.

In-worker steps (`set`, `switch`) have no counterpart: in a peer, code between steps is not recorded, and
what is recorded is a durable step. The settings of each peer are in the module that starts it and in
docs/benchmarks.md.
"""

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from benchmarks.measurements import Figures
from benchmarks.peers import dbos, installed, restate

Measurements = dict[str, Callable[[], Awaitable[Figures]]]


def measure_peers(scale: int) -> Measurements:
    """Returns the measurements of the installed peers by name; `scale` divides their sizes.

    For each that is not, a line on standard error says how to install it.
    """
    return _restate(scale) | _dbos(scale)


def _restate(scale: int) -> Measurements:
    server = installed.restate_server()
    if server is None or not installed.has_modules("restate", "granian"):
        return _skip("Restate", installed.HOW_TO_INSTALL_RESTATE)
    measurements: Measurements = {
        "durable steps, Restate by default": partial(
            restate.durable_steps, server, restate.DEFAULTS, 4000 // scale
        ),
        "2 000 one-second timers, Restate": partial(restate.timers, server, restate.SYNCED, 2000),
    }
    for name, configuration in {"Restate": restate.SYNCED, "Restate no fsync": restate.WITHOUT_FSYNC}.items():
        latency = partial(restate.latency, server, configuration)
        measurements |= {
            f"durable steps, {name}": partial(restate.durable_steps, server, configuration, 4000 // scale),
            f"latency of one step, {name}": partial(latency, "sequence", 1, 500 // scale),
            f"latency of ten steps, {name}": partial(latency, "sequence", 10, 200 // scale),
            f"fan-out of 100, {name}": partial(latency, "fan_out", 100, 40 // scale),
        }
    return measurements


def _dbos(scale: int) -> Measurements:
    if not installed.has_modules("dbos"):
        return _skip("DBOS", installed.HOW_TO_INSTALL_DBOS)
    stores: dict[str, Path | None] = {"DBOS sqlite": None}
    if programs := installed.postgres():
        stores["DBOS postgres"] = programs
    else:
        _skip("DBOS on PostgreSQL", installed.HOW_TO_INSTALL_POSTGRES)
    measurements: Measurements = {}
    for name, store in stores.items():
        latency = partial(dbos.latency, store)
        measurements |= {
            f"durable steps, {name}": partial(dbos.durable_steps, store, 800 // scale),
            f"latency of one step, {name}": partial(latency, "latency", 1, 500 // scale),
            f"latency of ten steps, {name}": partial(latency, "latency", 10, 200 // scale),
            f"fan-out of 100, {name}": partial(latency, "fan-out", 100, 40 // scale),
            f"2 000 one-second timers, {name}": partial(dbos.timers, store, 2000),
        }
    return measurements


def _skip(peer: str, how_to_install: str) -> Measurements:
    print(f"{peer} is left out, it is not installed:\n    {how_to_install}", file=sys.stderr)
    return {}
