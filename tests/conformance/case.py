"""Cases of the conformance suite: small workflows in YAML with their expected outcome.

README.md of this directory describes the format.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from unspool.definitions.document import load
from unspool.executor.secrets import variable

HERE: Final = Path(__file__).parent
NAMESPACE: Final = "conformance"

ALLOWED: Final = "shell,script,container"
"""What `run` tasks may run."""

CATALOG: Final = HERE / "catalog"
"""The default catalog."""

SERVICES: Final = {"http://service.test": "127.0.0.1", "http://other.test": "localhost"}
"""The addresses that cases call, and the names under which the stand-in of a case is reached."""

PROTOS: Final = HERE.parent / "protos"
"""The directory of the resources with relative addresses."""

GRPC_PORT: Final = "5011"
"""The port of the gRPC service in cases."""

MEMBERS: Final = frozenset(
    [
        "id",
        "also",
        "title",
        "definition",
        "input",
        "workflows",
        "secrets",
        "http",
        "grpc",
        "steps",
        "publish",
        "outputs",
        "unanswered",
        "virtual_time",
        "on_stores",
        "status",
        "output",
        "error",
        "whole_error",
        "path",
        "events",
        "absent",
        "elapsed",
        "problems",
        "warnings",
    ]
)


@dataclass(frozen=True)
class Exchange:
    """A request that a workflow must send, and the reply of the stand-in."""

    method: str
    target: str
    """Path and query, as they are sent."""
    expected: Mapping[str, Any]
    """`headers` and `body`, if the case says something about them."""
    reply: Mapping[str, Any]
    optional: bool


@dataclass(frozen=True)
class Step:
    """Something that is done to a running execution."""

    when: str
    """An event, as `Case.events` writes them; the step waits for it."""
    do: str | None
    """`cancel`, `suspend`, `resume` or `retry`."""
    status: str | None
    """The status phase that the execution has then."""
    publish: Sequence[Mapping[str, Any]] = ()
    """CloudEvents."""


@dataclass(frozen=True)
class Case:
    """One case."""

    id: str
    """Number of the inventory, a dot, a number: `F11.2`."""
    file: str
    members: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        unknown = self.members.keys() - MEMBERS
        assert not unknown, f"{self.id}: unknown members {sorted(unknown)}"
        assert self.members.get("title"), f"{self.id} has no title"

    @property
    def title(self) -> str:
        return str(self.members["title"])

    @property
    def covers(self) -> tuple[str, ...]:
        """The numbers of the inventory that this case covers."""
        return (self.id.partition(".")[0], *self.members.get("also", ()))

    @property
    def name(self) -> str:
        """The name of the workflow, if the definition states none: `f11-2`."""
        return self.id.lower().replace(".", "-")

    @property
    def definition(self) -> str:
        """The text of the definition."""
        return _text(self.members["definition"], self.name)

    @property
    def workflows(self) -> list[str]:
        """The texts of further definitions, for sub-workflows."""
        return [_text(each, f"{self.name}-child") for each in self.members.get("workflows", ())]

    @property
    def input(self) -> Any:
        return self.members.get("input", {})

    @property
    def secrets(self) -> Mapping[str, str]:
        """The environment variables that hold the secrets."""
        return {variable(name): _plain(value) for name, value in self.members.get("secrets", {}).items()}

    @property
    def exchanges(self) -> list[Exchange]:
        return [_exchange(each) for each in self.members.get("http", ())]

    @property
    def steps(self) -> list[Step]:
        steps = self.members.get("steps", ())
        return [Step(s["when"], s.get("do"), s.get("status"), _events(s.get("publish", ()))) for s in steps]

    @property
    def published(self) -> Sequence[Mapping[str, Any]]:
        """The CloudEvents that start the workflow; empty if the case starts it."""
        return _events(self.members.get("publish", ()))

    @property
    def virtual_time(self) -> bool:
        """Whether the case takes too long for real time; then only the interpreter in memory runs it."""
        return bool(self.members.get("virtual_time"))

    @property
    def calls_grpc(self) -> bool:
        """Whether the case calls the gRPC service of `tests/greeter.py`."""
        return bool(self.members.get("grpc"))

    def with_grpc(self, port: int) -> "Case":
        """Returns the case with the real port of the gRPC service."""
        text = json.dumps(self.members).replace(GRPC_PORT, str(port))
        return Case(self.id, self.file, json.loads(text))

    @property
    def on_stores(self) -> bool:
        """Whether a handler talks to the execution while it runs, so that it cannot run in memory."""
        return bool(self.members.get("on_stores"))

    def with_services(self, port: int) -> "Case":
        """Returns the case with the real addresses of its stand-in."""
        text = json.dumps(self.members)
        for written, host in SERVICES.items():
            text = text.replace(written, f"http://{host}:{port}")
        return Case(self.id, self.file, json.loads(text))


def _text(definition: Any, name: str) -> str:
    if isinstance(definition, str):
        return definition
    document = {"dsl": "1.0.3", "namespace": NAMESPACE, "name": name, "version": "1.0.0"}
    written = definition.get("document", {})
    return json.dumps({**definition, "document": {**document, **written}})


def _events(written: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns events with the attributes that a case leaves out."""
    return [
        {"specversion": "1.0", "id": str(number), "source": "/case", **event}
        for number, event in enumerate(written)
    ]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _exchange(written: Mapping[str, Any]) -> Exchange:
    unknown = written.keys() - {"request", "headers", "body", "reply", "optional"}
    assert not unknown, f"unknown members of an exchange: {sorted(unknown)}"
    method, target = written["request"].split(" ", 1)
    expected = {name: written[name] for name in ("headers", "body") if name in written}
    return Exchange(method, target, expected, written.get("reply", {}), written.get("optional", False))


def _cases() -> Iterator[Case]:
    for file in sorted((HERE / "cases").glob("*.yaml")):
        for members in load(file.read_bytes(), name=file.name).value["cases"]:
            yield Case(members["id"], file.name, members)


def _order(case: Case) -> tuple[str, int, int]:
    number, _, place = case.id.partition(".")
    return number[0], int(number[1:]), int(place)


CASES: Final = tuple(sorted(_cases(), key=_order))
