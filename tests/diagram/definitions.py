"""Definitions for tests of diagrams: every kind of task, hostile names, and generated ones."""

from random import Random
from typing import Any

from hypothesis import strategies as st

from unspool.definitions.checks import parse_definition
from unspool.definitions.compile import compile_plan
from unspool.definitions.plan import Plan

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]><svg onload=alert(1)>",
    "&amp;&#x3c;b&#x3e;",
    "{{7*7}} ${1} `x`",
    "a\nb\tc\r\x1b[31m",
    "\u202egnp.exe",
    "x" * 4000,
    "名前" * 60,
    "🙂" * 40,
    'n0["x"] --> n1\nend',
    "</title></style>",
    "--> end; click n0 href",
]

ADDRESS = "http://shop.test/{id}"
CALLS: list[dict[str, Any]] = [
    {"call": "http", "with": {"method": "get", "endpoint": ADDRESS}},
    {"call": "http", "with": {"method": "post", "endpoint": '${ "\\(.base)/orders" }'}},
    {"call": "http", "with": {"method": "put", "endpoint": {"uri": ADDRESS}}},
    {
        "call": "grpc",
        "with": {
            "proto": {"endpoint": ADDRESS},
            "service": {"name": "S", "host": "h"},
            "method": "m",
        },
    },
    {"call": "openapi", "with": {"document": {"endpoint": ADDRESS}, "operationId": "op"}},
    {
        "call": "asyncapi",
        "with": {
            "document": {"endpoint": ADDRESS},
            "channel": "orders",
            "message": {"payload": {}},
        },
    },
    {
        "call": "mcp",
        "with": {
            "method": "tools/call",
            "parameters": {"name": "t"},
            "transport": {"http": {"endpoint": ADDRESS}},
        },
    },
    {"call": "a2a", "with": {"method": "message/send", "server": ADDRESS}},
    {"call": "declared"},
    {"call": "registered-elsewhere"},
]
LEAVES: list[dict[str, Any]] = [
    {"set": {"a": 1, "b": 2}},
    {"set": "${ . }"},
    {"emit": {"event": {"with": {"type": "t", "source": "http://s"}}}},
    {"listen": {"to": {"one": {"with": {"type": "a"}}}}},
    {"listen": {"to": {"any": []}}},
    {"listen": {"to": {"all": [{"with": {"type": "a"}}, {"with": {"source": "http://s"}}]}}},
    {"listen": {"to": {"any": [{"with": {"type": "a"}}], "until": "length > 2"}}},
    {"raise": {"error": {"type": "http://e/x", "status": 500}}},
    {"run": {"shell": {"command": "echo"}}},
    {"run": {"script": {"language": "js", "code": "1"}, "await": False}},
    {"run": {"container": {"image": "i"}}},
    {"run": {"workflow": {"namespace": "n", "name": "w", "version": "1.0.0"}}},
    {"wait": {"minutes": 1, "seconds": 30}},
    {"wait": "PT1S"},
    *CALLS,
]
SCHEDULES = [{"every": {"hours": 1}}, {"cron": "0 0 * * *"}, {"on": {"one": {"with": {"type": "a"}}}}]
RETRY = {"delay": {"seconds": 3}, "backoff": {"exponential": {}}, "limit": {"attempt": {"count": 5}}}

Task = dict[str, Any]
Tasks = list[Task]


class Generator:
    """Makes a definition from random numbers."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.left = random.randint(1, 25)
        """How many more tasks may have lists inside."""

    def chance(self, of: int) -> bool:
        return self.random.randrange(of) == 0

    def definition(self) -> dict[str, Any]:
        written = definition(self.tasks())
        written["use"]["extensions"] = [{f"e{n}": self.extension()} for n in range(self.random.randint(0, 2))]
        written["document"]["title"] = self.name(0)
        if self.chance(3):
            written["schedule"] = self.random.choice(SCHEDULES)
        return written

    def name(self, place: int) -> str:
        return f"{self.random.choice(HOSTILE)}{place}" if self.chance(3) else f"task{place}"

    def tasks(self, *, jumps: bool = True) -> Tasks:
        listed = [self.name(place) for place in range(self.random.randint(1, 4))]
        targets = ["continue", "exit", "end", *listed]
        return [{name: self.task(targets if jumps else ["continue", "end"])} for name in listed]

    def task(self, targets: list[str]) -> Task:
        if self.chance(6):
            task: Task = {"switch": self.cases(targets)}
        else:
            task = dict(self.scope() if self.left > 0 and self.chance(2) else self.random.choice(LEAVES))
        if self.chance(3):
            task["then"] = self.random.choice(targets)
        if self.chance(4):
            task["if"] = "${ .x > 1 }"
        if self.chance(6):
            task["timeout"] = {"after": {"seconds": 5}}
        return task

    def cases(self, targets: list[str]) -> Tasks:
        when = [{"when": "${ .n == 1 }"}] * self.random.randint(0, 4)
        others = [{}] if not when or self.chance(2) else []
        return [
            {self.name(place): {**case, "then": self.random.choice(targets)}}
            for place, case in enumerate([*when, *others])
        ]

    def scope(self) -> Task:
        self.left -= 1
        match self.random.randrange(6):
            case 0:
                return {"do": self.tasks()}
            case 1:
                return {"for": {"in": "[1, 2]"}, "while": ". != null", "do": self.tasks()}
            case 2:
                return {"for": {"in": "[1]"}, "metadata": {"unspool": {"concurrency": 3}}, "do": self.tasks()}
            case 3:
                return {"fork": {"branches": self.tasks(jumps=False), "compete": self.chance(2)}}
            case 4:
                return {"try": self.tasks(), "catch": self.catch()}
            case _:
                listen = {"to": {"any": [{"with": {"type": "a"}}], "until": "length > 2"}}
                return {"listen": listen, "foreach": {"item": "e", "do": self.tasks()}}

    def catch(self) -> Task:
        catch: Task = {}
        if self.chance(2):
            catch["do"] = self.tasks()
        if self.chance(2):
            catch["retry"] = RETRY
        if self.chance(3):
            catch["then"] = self.random.choice(["continue", "exit", "end"])
        if self.chance(2):
            catch["errors"] = {"with": {"type": "http://e/x"}}
        return catch

    def extension(self) -> Task:
        extension: Task = {"extend": self.random.choice(["all", "call", "set"])}
        for stage in ("before", "after"):
            if self.chance(2):
                extension[stage] = [{self.name(0): self.random.choice(LEAVES)}]
        return extension


definitions = st.randoms(use_true_random=False).map(lambda random: Generator(random).definition())


def definition(do: Tasks, **members: Any) -> dict[str, Any]:
    """A definition with these tasks."""
    return {
        "document": {"dsl": "1.0.3", "namespace": "n", "name": "w", "version": "1.0.0"},
        "use": {"functions": {"declared": {"do": [{"inside": {"set": {"a": 1}}}]}}},
        "do": do,
        **members,
    }


def plan(written: dict[str, Any]) -> Plan:
    """The plan of a definition."""
    return compile_plan(written, None)


def checked_plan(text: str) -> Plan:
    """The plan of a definition that passes the checks."""
    return compile_plan(parse_definition(text).value, None)
