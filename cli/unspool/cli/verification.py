"""Histories interpreted again: by the definition they were made with, or by a changed one."""

from dataclasses import dataclass

import click

from unspool.api.representations import event_json
from unspool.cli.exits import Stop
from unspool.cli.exports import History
from unspool.cli.output import json_text
from unspool.cli.terminal import printable
from unspool.definitions.compile import plan_of
from unspool.definitions.expressions import JqRunner
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.eventstore.errors import CorruptHistory
from unspool.eventstore.events import Event
from unspool.worker.replay import Divergence, verify


@dataclass(frozen=True, slots=True)
class Verdict:
    """What interpreting one history again came to."""

    history: History
    divergence: Divergence | None

    @property
    def diverged(self) -> bool:
        """Whether it would take another path."""
        return self.divergence is not None

    def reason(self) -> str:
        """In a sentence."""
        if self.divergence is None:
            return f"all {len(self.history.events)} events would come out the same"
        recorded, decided = self.divergence.recorded, self.divergence.decided
        return (
            f"event {self.divergence.seq} would come out differently: "
            f"the history has {_event(recorded)}, now it would be {_event(decided)}"
        )

    def to_json(self) -> dict[str, Json]:
        """As JSON; `recorded` and `decided` are null where nothing was, or would be, done."""
        members: dict[str, Json] = {
            "execution": self.history.execution,
            "workflow": self.history.workflow,
            "events": len(self.history.events),
            "diverges": self.diverged,
        }
        if self.divergence is not None:
            members |= {
                "seq": self.divergence.seq,
                "recorded": _event_json(self.divergence.recorded),
                "decided": _event_json(self.divergence.decided),
                "reason": self.reason(),
            }
        return members

    def problem(self) -> str:
        """As an RFC 7807 problem, in JSON."""
        at = self.divergence and (self.divergence.recorded or self.divergence.decided)
        return json_text(
            {
                "type": "urn:unspool:divergence",
                "title": "History diverges",
                "status": 409,
                "detail": f"{self.history.execution}: {self.reason()}",
                "instance": (at and at.task) or "/",
            }
        )


class Verifier:
    """Verifies histories; compiles each definition once."""

    def __init__(self, jq: JqRunner, error_base: str) -> None:
        self._jq = jq
        self._error_base = error_base
        self._plans: dict[str, Plan] = {}

    def verdict(self, history: History, changed: str | None) -> Verdict:
        """Interprets a history again.

        Args:
            history: the history.
            changed: text of the definition to do it with; None for the history's own.

        Raises:
            Stop: the history's own definition is not known, or the events make no history.
        """
        text = history.definition if changed is None else changed
        if text is None:
            raise Stop(f"the definition {history.workflow} is not at hand; name it with --definition FILE")
        try:
            return Verdict(history, self._verify(history, text))
        except CorruptHistory as error:
            raise Stop(f"the events make no history: {error}") from error

    def _verify(self, history: History, text: str) -> Divergence | None:
        plan = self._plans.get(text)
        if plan is None:
            plan = self._plans[text] = plan_of(text, self._jq)
        return verify(plan, history.execution, history.events, error_base=self._error_base)


def print_verdict(verdict: Verdict) -> None:
    """Shows it to people, in one line."""
    mark = "diverges" if verdict.diverged else "same"
    click.echo(printable(f"{mark:9} {verdict.history.execution or '-'}  {verdict.reason()}"))


def _event(event: Event | None) -> str:
    if event is None:
        return "nothing"
    where = f" of {event.task}" if event.task else ""
    return f"{event.type}{where} {json_text(event.data)}"


def _event_json(event: Event | None) -> Json:
    return None if event is None else event_json(event)
