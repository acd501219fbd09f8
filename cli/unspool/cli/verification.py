"""Interprets histories again, with their own definition or with a changed one."""

from dataclasses import dataclass

import click

from unspool.cli.exits import CommandError
from unspool.cli.exports import History
from unspool.cli.output import json_text
from unspool.cli.terminal import printable
from unspool.definitions.compile import plan_of
from unspool.definitions.expressions import JqRunner
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.eventstore.errors import CorruptHistory, NotFound
from unspool.eventstore.event_json import event_json
from unspool.eventstore.events import Event
from unspool.worker.fetched_resources import KeyAndHash, fetched_in
from unspool.worker.replay import Divergence, verify
from unspool.worker.resource_cache import plan_for_replay


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """The result of interpreting one history again."""

    history: History
    divergence: Divergence | None

    @property
    def diverged(self) -> bool:
        """Whether an event differs."""
        return self.divergence is not None

    def reason(self) -> str:
        """Describes the result in one sentence."""
        if self.divergence is None:
            return f"all {len(self.history.events)} events would be the same"
        recorded, decided = self.divergence.recorded, self.divergence.decided
        return (
            f"event {self.divergence.seq} would be different: "
            f"the history has {_event(recorded)}, now it would be {_event(decided)}"
        )

    def to_json(self) -> dict[str, Json]:
        """Returns it as JSON.

        `recorded` is null if the history ends there, `decided` if no event would follow.
        """
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
        """Returns an RFC 7807 problem as JSON text."""
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
    """Verifies histories. It compiles each definition once."""

    def __init__(self, jq: JqRunner, error_base: str) -> None:
        self._jq = jq
        self._error_base = error_base
        self._plans: dict[str, Plan] = {}
        self._with_resources: dict[tuple[str, frozenset[KeyAndHash]], Plan] = {}

    def verify(self, history: History, changed: str | None) -> VerificationResult:
        """Interprets a history again.

        Args:
            history: the history.
            changed: text of the definition to use; None uses the history's own.

        Raises:
            CommandError: the history has no definition, a text of an external resource is missing, or the
                events do not form a history.
        """
        text = history.definition if changed is None else changed
        if text is None:
            raise CommandError(
                f"the definition {history.workflow} is missing; give it with --definition FILE"
            )
        try:
            return VerificationResult(history, self._verify(history, text))
        except CorruptHistory as error:
            raise CommandError(f"the events do not form a history: {error}") from error
        except NotFound as error:
            raise CommandError(f"{history.execution}: {error}") from error

    def _verify(self, history: History, text: str) -> Divergence | None:
        plan = self._plans.get(text)
        if plan is None:
            plan = self._plans[text] = plan_of(text, self._jq)
        if plan.needs_resources:
            plan = self._with_fetched(plan, text, history)
        return verify(plan, history.execution, history.events, error_base=self._error_base)

    def _with_fetched(self, plan: Plan, text: str, history: History) -> Plan:
        """The plan with the resources of a history. Many histories have the same."""
        key = text, fetched_in(history.events)
        plan = self._with_resources.get(key) or plan_for_replay(plan, key[1], history.texts, self._jq)
        self._with_resources[key] = plan
        return plan


def print_result(result: VerificationResult) -> None:
    """Prints a result on one line."""
    mark = "diverges" if result.diverged else "same"
    click.echo(printable(f"{mark:9} {result.history.execution or '-'}  {result.reason()}"))


def _event(event: Event | None) -> str:
    if event is None:
        return "nothing"
    where = f" of {event.task}" if event.task else ""
    return f"{event.type}{where} {json_text(event.data)}"


def _event_json(event: Event | None) -> Json:
    return None if event is None else event_json(event)
