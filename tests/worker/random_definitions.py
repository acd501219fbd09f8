"""Random definitions of every kind of task that the interpreter runs, nested to depth 5."""

from random import Random
from typing import Any

CONDITIONS = ("true", "true", "false", ". != 7", "$context != 3", "length > 1", ".x?", "$item == 1")
VALUES = (
    *("${ . }", "${ [.] }", "${ {n: 1} }", "${ {n: [1]} }", "${ $context }", "${ [$item, $index] }"),
    *("${ $input }", "${ $task.name }", "${ $error }", "${ $event }", "${ .n + 1 }", '${ error("no") }'),
)
DURATIONS = ({"milliseconds": 5}, {"milliseconds": 50}, "PT0S", "PT1S", '${ "PT0.02S" }', "${ .x.y }")
RETRIES = (
    "named",
    {"limit": {"attempt": {"count": 2, "duration": {"milliseconds": 30}}}, "delay": {"milliseconds": 5}},
    {"limit": {"duration": {"milliseconds": 100}}, "delay": {"milliseconds": 20}, "backoff": {"linear": {}}},
    {"when": ".status == 500", "limit": {"attempt": {"count": 1}}},
)
USE = {
    "errors": {"named": {"type": "x:named", "status": 500}},
    "timeouts": {"named": {"after": {"milliseconds": 20}}},
    "retries": {
        "named": {
            "delay": {"milliseconds": 3},
            "jitter": {"from": {"milliseconds": 1}, "to": {"milliseconds": 9}},
            "limit": {"attempt": {"count": 3}},
        }
    },
    "functions": {
        "waits": {"do": [{"a": {"set": {"n": "${ .n }"}}}, {"b": {"wait": {"milliseconds": 3}}}]},
        "calls": {"call": "waits", "with": {"n": "${ .n }"}},
        "listens": {"listen": {"to": {"one": {"with": {"type": "a"}}}}},
    },
}
EXTENDED = (
    "all",
    "call",
    "composite",
    "emit",
    "for",
    "listen",
    "raise",
    "run",
    "set",
    "switch",
    "try",
    "wait",
)
LEAVES = (
    *("call", "emit", "fetched", "function", "listen", "process", "raise", "schema", "set", "sub_workflow"),
    *("subscription", "switch", "wait"),
)
SCOPES = ("do", "foreach", "fork", "for", "iterations", "messages", "try", "try")
FUNCTION, NESTED, ARRAY, OBJECT, API = (
    f"http://texts.test/{name}" for name in ("f.yaml", "n.yaml", "array.json", "object.json", "api.json")
)
TEXTS = {
    FUNCTION: '{do: [{a: {set: {n: "${ .n }"}}}, {b: {wait: {milliseconds: 3}}}]}',
    NESTED: f'{{call: "{FUNCTION}", with: {{n: 3}}, if: ".n == 1"}}',
    ARRAY: '{"type": "array"}',
    OBJECT: '{"type": "object"}',
    API: "{}",
}
"""The texts of the external resources, by address."""
CONSUMED = (
    {"amount": 2},
    {"until": "length > 1"},
    {"while": "length < 2"},
    {"amount": 3, "for": {"milliseconds": 30}},
    {"until": ". == 7", "for": "PT1S"},
)
DIRECTIVES = ("continue", "exit", "end")
MOST_TASKS = 25


class RandomDefinition:
    """Makes one definition from a source of chance."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._tasks = 0

    def make(self) -> dict[str, Any]:
        document = {"dsl": "1.0.3", "namespace": "n", "name": "w", "version": "1.0.0"}
        extensions = [{f"e{place}": self._extension()} for place in range(self._pick((0, 0, 0, 1, 2)))]
        return {
            "document": document,
            "use": {**USE, "extensions": extensions},
            **self._maybe(0.2, timeout={"after": {"milliseconds": self._pick((10, 200))}}),
            **self._maybe(0.2, output={"as": self._pick(VALUES)}),
            "do": self._list(4, most=4),
        }

    def _pick(self, choices: Any) -> Any:
        return self._chance.choice(choices)

    def _maybe(self, probability: float, **members: Any) -> dict[str, Any]:
        return members if self._chance.random() < probability else {}

    def _extension(self) -> dict[str, Any]:
        return {
            "extend": self._pick(EXTENDED),
            **self._maybe(0.3, when=self._pick(CONDITIONS)),
            **self._maybe(0.7, before=self._list(1)),
            **self._maybe(0.7, after=self._list(1)),
        }

    def _list(self, depth: int, *, least: int = 1, most: int = 3, branches: bool = False) -> list[Any]:
        names = [f"t{place}" for place in range(self._chance.randint(least, most))]
        targets = DIRECTIVES if branches else (*DIRECTIVES, *names)
        return [{name: self._task(depth, targets)} for name in names]

    def _task(self, depth: int, targets: tuple[str, ...]) -> dict[str, Any]:
        self._tasks += 1
        kinds = LEAVES if depth == 0 or self._tasks > MOST_TASKS else LEAVES + SCOPES * 2
        kind = self._pick(kinds)
        make = getattr(self, f"_{kind}")
        return {
            **(make(targets) if kind == "switch" else make(depth - 1) if kind in SCOPES else make()),
            **self._maybe(0.1, **{"if": self._pick(CONDITIONS)}),
            **self._maybe(0.1, input={"from": self._pick(VALUES)}),
            **self._maybe(0.1, output={"as": self._pick(VALUES)}),
            **self._maybe(0.15, export={"as": self._pick(VALUES)}),
            **self._maybe(0.12, timeout=self._pick(({"after": self._pick(DURATIONS)}, "named"))),
            **self._maybe(0.15, then=self._pick(targets)),
        }

    # -- tasks without tasks inside

    def _set(self) -> dict[str, Any]:
        return {"set": self._pick(VALUES)}

    def _call(self) -> dict[str, Any]:
        arguments = {"method": "post", "endpoint": "http://h", "body": self._pick(VALUES)}
        return {"call": "http", "with": arguments}

    def _function(self) -> dict[str, Any]:
        return {"call": self._pick(sorted(USE["functions"])), "with": {"n": 1}}

    def _fetched(self) -> dict[str, Any]:
        return {"call": self._pick((FUNCTION, NESTED)), "with": {"n": 1}}

    def _schema(self) -> dict[str, Any]:
        schema = {"resource": {"endpoint": self._pick((ARRAY, OBJECT))}}
        return {"do": [{"a": {"set": self._pick(VALUES), "output": {"schema": schema}}}]}

    def _process(self) -> dict[str, Any]:
        shell = {"command": "true", "arguments": [self._pick(VALUES)]}
        return {"run": {"shell": shell, **self._maybe(0.3, **{"await": False})}}

    def _sub_workflow(self) -> dict[str, Any]:
        workflow = {"namespace": "n", "name": "c", "version": "1.0.0", "input": self._pick(VALUES)}
        return {"run": {"workflow": workflow, **self._maybe(0.3, **{"await": False})}}

    def _wait(self) -> dict[str, Any]:
        return {"wait": self._pick(DURATIONS)}

    def _raise(self) -> dict[str, Any]:
        return {"raise": {"error": self._pick(("named", {"type": "x:e", "status": 400}, "${ .n }"))}}

    def _emit(self) -> dict[str, Any]:
        event = {"type": self._pick(("a", "b", "${ .x }")), "data": self._pick(VALUES)}
        return {"emit": {"event": {"with": event}}}

    def _switch(self, targets: tuple[str, ...]) -> dict[str, Any]:
        default = self._maybe(0.5, otherwise={"then": self._pick(targets)})
        cases = [{"first": {"when": self._pick(CONDITIONS), "then": self._pick(targets)}}]
        return {"switch": cases + ([default] if default else [])}

    def _listen(self) -> dict[str, Any]:
        return {"listen": {"to": self._strategy(), "read": self._pick(("data", "envelope", "raw"))}}

    def _strategy(self, *, until: bool = True) -> dict[str, Any]:
        kind = self._pick(("one", "any", "all"))
        if kind == "one":
            return {"one": self._filter()}
        filters = [self._filter() for _ in range(self._chance.randint(0, 2))]
        if kind == "all" or not until:
            return {kind: filters}
        condition = self._pick(("length >= 2", "length > 0", self._strategy(until=False)))
        return {"any": filters, **self._maybe(0.6, until=condition)}

    def _filter(self) -> dict[str, Any]:
        data = {"n": self._pick((1, "${ . > 0 }", "${ $context }"))}
        key = {"from": ".data.n", **self._maybe(0.4, expect=self._pick(("1", "${ .n }", "${ $context }")))}
        return {
            "with": {"type": self._pick("ab"), **self._maybe(0.3, data=data)},
            **self._maybe(0.35, correlate={"key": key}),
        }

    def _subscription(self, **members: Any) -> dict[str, Any]:
        subscription = {"consume": self._pick(CONSUMED), **members}
        arguments = {"document": {"endpoint": API}, "operation": "o", "subscription": subscription}
        return {"call": "asyncapi", "with": arguments}

    # -- scopes

    def _do(self, depth: int) -> dict[str, Any]:
        return {"do": self._list(depth, least=0)}

    def _for(self, depth: int) -> dict[str, Any]:
        items = self._pick(("[1, 2, 3]", "[]", ".n", "$context", "null"))
        return {
            "for": {"in": items},
            "do": self._list(depth),
            **self._maybe(0.2, **{"while": self._pick(CONDITIONS)}),
        }

    def _iterations(self, depth: int) -> dict[str, Any]:
        concurrency = {"unspool": {"concurrency": self._chance.randint(1, 4)}}
        items = self._pick(("[range(5)]", "[1, 2]", "[]", ".n"))
        return {"for": {"in": items}, "metadata": concurrency, "do": self._list(depth)}

    def _fork(self, depth: int) -> dict[str, Any]:
        branches = self._list(depth, least=0, branches=True)
        return {"fork": {"compete": self._pick((True, False)), "branches": branches}}

    def _foreach(self, depth: int) -> dict[str, Any]:
        return {"listen": {"to": self._strategy()}, "foreach": self._iterator(depth)}

    def _messages(self, depth: int) -> dict[str, Any]:
        return self._subscription(foreach=self._iterator(depth))

    def _iterator(self, depth: int) -> dict[str, Any]:
        return {
            "item": "event",
            **self._maybe(0.7, do=self._list(depth)),
            **self._maybe(0.3, output={"as": self._pick(VALUES)}),
            **self._maybe(0.3, export={"as": self._pick(VALUES)}),
        }

    def _try(self, depth: int) -> dict[str, Any]:
        catch = {
            **self._maybe(0.3, errors={"with": {"status": self._pick((400, 408, 500))}}),
            **self._maybe(0.2, when=self._pick(CONDITIONS)),
            **self._maybe(0.5, do=self._list(depth)),
            **self._maybe(0.2, then=self._pick(DIRECTIVES)),
            **self._maybe(0.5, retry=self._pick(RETRIES)),
        }
        return {"try": self._list(depth), "catch": catch}
