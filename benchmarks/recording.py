"""Runs measurements one after another and records each result at once: a later failure loses none.

A measurement that fails is recorded as `{"failed": cause}` in place of its figures.
"""

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from benchmarks.measurements import Figures

Failure = dict[str, str]
Results = dict[str, Figures | Failure]


def record(
    measurements: Mapping[str, Callable[[], Awaitable[Figures]]], file: Path | None, seconds: float
) -> bool:
    """Runs the measurements; prints each result and writes all so far to `file`. Returns whether none failed.

    A measurement that takes longer than `seconds` fails.
    """
    results: Results = {}
    for name, measurement in measurements.items():
        results[name] = _result(measurement, seconds)
        print(f"{name}\n    {_line(results[name])}", flush=True)
        if file is not None:
            _replace(file, json.dumps(results, indent=2))
    return not any("failed" in result for result in results.values())


def _result(measurement: Callable[[], Awaitable[Figures]], seconds: float) -> Figures | Failure:
    async def measured() -> Figures:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await measurement()
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(f"no result after {seconds:g} s") from None

    try:
        return asyncio.run(measured())
    except Exception as error:  # noqa: BLE001 - the other measurements still run
        traceback.print_exc()
        return {"failed": _cause(error)}


def _cause(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _line(result: Figures | Failure) -> str:
    return "  ".join(
        f"{what}: {value}" if isinstance(value, str) else f"{what} {value:,.1f}"
        for what, value in result.items()
    )


def _replace(file: Path, text: str) -> None:
    """Writes a file so that it is complete even if this process is killed."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(text)
    new.replace(file)
