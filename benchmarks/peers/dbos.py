"""The workloads on DBOS, in a separate process. DBOS is a library: worker and client are one process."""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks import processes
from benchmarks.measurements import Figures
from benchmarks.peers import figures, installed, postgres, processor_time

PROGRAM = Path(__file__).parent / "programs" / "dbos_program.py"


@contextlib.asynccontextmanager
async def database(postgres_programs: Path | None) -> AsyncIterator[tuple[str, dict[str, int]]]:
    """Yields URL and processes of an empty database; it is SQLite if `postgres_programs` is None."""
    if postgres_programs:
        with postgres.server(postgres_programs) as (url, pid):
            yield url, {"postgres": pid}
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/dbos.sqlite", {}


async def durable_steps(postgres_programs: Path | None, count: int) -> Figures:
    """Measures workflows of five steps each, all started at once."""
    steps = 5
    [seconds], used = await _run(postgres_programs, "throughput", count, steps)
    return figures.of_throughput(count * steps, count, seconds, used)


async def latency(postgres_programs: Path | None, workload: str, size: int, count: int) -> Figures:
    """Measures one workflow at a time, from start to result."""
    times, _ = await _run(postgres_programs, workload, count, size)
    return figures.of_latency(times)


async def timers(postgres_programs: Path | None, count: int) -> Figures:
    """Measures how late the code after a sleep of a second runs, in workflows started at once."""
    late, _ = await _run(postgres_programs, "timers", count, 1000)
    return figures.of_lateness(late)


async def _run(
    postgres_programs: Path | None, workload: str, count: int, size: int
) -> tuple[list[float], dict[str, float]]:
    """Returns what the program printed, and the processor time between `began` and `ended`."""
    async with database(postgres_programs) as (url, pids):
        arguments = [str(PROGRAM), workload, url, str(count), str(size)]
        program = await asyncio.create_subprocess_exec(
            installed.PYTHON, *arguments, stdout=asyncio.subprocess.PIPE, limit=2**24
        )
        assert program.stdout is not None
        pids["workflows"] = program.pid
        try:
            assert await program.stdout.readline() == b"began\n", "DBOS did not start"
            before = processor_time.used(pids)
            assert await program.stdout.readline() == b"ended\n", "DBOS failed"
            used = processor_time.since(before, pids)
            values: list[float] = json.loads(await program.stdout.readline())
        finally:
            await _stop(program)
    return values, used


async def _stop(program: asyncio.subprocess.Process) -> None:
    """Ends the program; kills it if it does not end in time."""
    with contextlib.suppress(ProcessLookupError):
        program.terminate()
        try:
            await asyncio.wait_for(program.wait(), processes.STOP_SECONDS)
        except TimeoutError:
            program.kill()
            await program.wait()
