"""`unspool executions cancel|suspend|resume|retry`: asks for an operation and waits for its effect."""

from typing import Final

import click

from unspool.cli.actor import reason_option
from unspool.cli.effects import requested, wait_options
from unspool.cli.exits import Exit
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, target_options
from unspool.cli.output import print_json, say
from unspool.cli.targets.opening import opened_target
from unspool.cli.targets.port import JsonObject
from unspool.eventstore.records import MessageKind

_DONE: Final = {
    MessageKind.CANCEL: "cancelled",
    MessageKind.SUSPEND: "suspended",
    MessageKind.RESUME: "resumed",
    MessageKind.RETRY: "retried",
}


def operation_command(kind: MessageKind, text: str) -> click.Command:
    """Makes the command for one operation, with `text` as its help."""

    @click.command(
        kind.value, help=text, epilog=example(f"unspool executions {kind} 01JD8X4W0M2V5Z7Y3T6K9Q1B0C")
    )
    @click.argument("id_", metavar="ID")
    @reason_option
    @wait_options
    @target_options
    @json_option
    @asynchronous
    async def operate(
        id_: str,
        reason: str | None,
        wait: bool,
        timeout: float,  # noqa: ASYNC109 - an option of the command
        place: Place,
        as_json: bool,
    ) -> int:
        async with opened_target(place) as target:
            operated = await requested(target.operate(kind, id_, reason, timeout if wait else 0.0))
            latest = await target.execution(id_) if operated is None else operated.after
            applied = operated is not None and operated.applied
            if as_json:
                print_json(latest, one_line=True)
            if applied and not as_json and wait:
                click.echo(_outcome(kind, latest))
            if not wait:
                say(f"asked execution {id_} to {kind}")
            if applied or not wait:
                return Exit.DONE
            still = f"execution {id_} is still {latest['status']}"
            say(f"unspool: {still}: no worker has applied {kind} yet; {await target.no_worker(id_)}")
            return Exit.GAVE_UP

    return operate


def _outcome(kind: MessageKind, execution: JsonObject) -> str:
    id_, status = execution["id"], execution["status"]
    if status == _DONE[kind]:
        return f"execution {id_} is {status}"
    return f"execution {id_} was {_DONE[kind]} and is now {status}"
