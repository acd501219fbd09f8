"""`unspool doctor`: checks the store and the services, and says what to change."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

import click

from unspool.api.system_status import system_json
from unspool.api.transports import Transports
from unspool.cli.exits import Exit
from unspool.cli.loop import asynchronous
from unspool.cli.options import example, json_option, no_api_option, store_option
from unspool.cli.output import print_json, print_table
from unspool.cli.retention_check import retention_findings
from unspool.cli.stores import opened, without_password
from unspool.cli.system import print_services
from unspool.cli.terminal import printable, styled
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.queues import QUEUES
from unspool.eventstore.monitoring.diagnosis import service_findings, transport_findings
from unspool.eventstore.monitoring.store_status import StoreStatus, read_status
from unspool.eventstore.opening import default_url
from unspool.eventstore.operations import Finding, Inspection
from unspool.eventstore.port import EventStore

_LEVELS: Final = {True: ("must", "red"), False: ("should", "yellow")}


class Diagnosis(NamedTuple):
    """What a check of a store and its services has found."""

    inspection: Inspection
    status: StoreStatus
    transports: Transports
    findings: list[Finding]

    @property
    def fine(self) -> bool:
        """Whether nothing must change."""
        return not any(finding.must for finding in self.findings)


@click.command(epilog=example("unspool doctor --store redis://localhost:6379/0"))
@no_api_option
@store_option
@json_option
@asynchronous
async def doctor(url: str | None, as_json: bool) -> int:
    """Check the store and the services, and say what to change.

    Exit code 1: something must change. 5: the store cannot be reached.
    """
    url = url or default_url(os.environ)
    async with opened(url, create=False) as store:
        diagnosis = await _diagnosed(store)
    if as_json:
        print_json(_json(url, diagnosis))
    else:
        _print(url, diagnosis)
    return Exit.DONE if diagnosis.fine else Exit.FAULTED


async def _diagnosed(store: EventStore) -> Diagnosis:
    inspection = await store.inspect()
    status = await read_status(store, QUEUES)
    functions, sinks, sources = await asyncio.gather(store.functions(), store.sinks(), store.sources())
    findings = [
        *inspection.findings,
        *service_findings(status, functions),
        *transport_findings(sinks, sources, status.now),
        *await retention_findings(store),
    ]
    findings.sort(key=lambda finding: not finding.must)
    return Diagnosis(inspection, status, Transports(sinks, sources, status.now), findings)


def _json(url: str, diagnosis: Diagnosis) -> dict[str, Json]:
    shown = system_json(diagnosis.status, diagnosis.transports)
    store: dict[str, Json] = {"url": without_password(url), **shown["store"], **diagnosis.inspection.facts}
    return {
        "fine": diagnosis.fine,
        "findings": [
            {
                "check": finding.check,
                "level": _LEVELS[finding.must][0],
                "problem": finding.problem,
                "advice": finding.advice,
            }
            for finding in diagnosis.findings
        ],
        **shown,
        "store": store,
    }


def _print(url: str, diagnosis: Diagnosis) -> None:
    shown = _json(url, diagnosis)
    print_table(("STORE", ""), [(name, str(value)) for name, value in shown["store"].items()])
    click.echo()
    print_services(shown)
    click.echo()
    for finding in diagnosis.findings:
        level, colour = _LEVELS[finding.must]
        click.echo(f"{styled(level, colour, sys.stdout)}: {printable(finding.problem)}; {finding.advice}")
    click.echo(_summary(diagnosis.findings))


def _summary(findings: Sequence[Finding]) -> str:
    must = sum(finding.must for finding in findings)
    if not findings:
        return "everything is fine"
    return f"{must} must change, {len(findings) - must} should"
