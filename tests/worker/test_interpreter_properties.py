"""Generated workflows against a small model, and the laws every history obeys (fault-matrix I2-I4)."""

import random
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from unspool.definitions.compile import compile_plan
from unspool.eventstore.records import Message, MessageKind
from unspool.worker.interpreter import State, evolve, fold
from unspool.worker.interpreter.snapshot import dump_state, load_state
from unspool.worker.replay import state_at

# -- workflows over a list of numbers: every task appends to it, so the output shows the path

FUNCTIONS = {
    "pair": {"do": [{"first": {"set": "${ . + [100] }"}}, {"second": {"set": "${ . + [200] }"}}]},
    "nested": {"do": [{"inner": {"call": "pair"}}, {"wait": {"wait": {"milliseconds": 1}}}]},
}
PAIR, NESTED, ARRAY = (f"http://texts.test/{name}" for name in ("pair.yaml", "nested.yaml", "array.json"))
EXTERNAL = {PAIR: FUNCTIONS["pair"], NESTED: {"do": [{"inner": {"call": PAIR}}, {"again": {"call": PAIR}}]}}
TEXTS = {address: orjson.dumps(task).decode() for address, task in EXTERNAL.items()}
TEXTS[ARRAY] = '{"type": "array"}'
IS_ARRAY = {"schema": {"resource": {"endpoint": ARRAY}}}
EVENT = {"with": {"type": "emitted", "data": "${ . }"}}
A, B = {"with": {"type": "a"}}, {"with": {"type": "b", "data": [1]}, "correlate": {"n": {"from": ".data"}}}
STRATEGIES = [
    {"one": A},
    {"any": []},
    {"all": [A, B]},
    {"any": [A], "until": "length > 1"},
    {"any": [A, B], "until": {"all": [B, A]}},
]
ITERATORS = [
    {},
    {"foreach": {"output": {"as": ". + [1]"}}},
    {"foreach": {"do": [{"w": {"wait": {"milliseconds": 5}}}], "export": {"as": "$context"}}},
]
HTTP = {"method": "post", "endpoint": "http://h", "body": "${ . }"}
KINDS = ("call", "do", "emit", "fork", "listen", "raise", "set", "try", "wait")
WHEN = st.integers(0, 3).map(lambda n: f"length > {n}")


def named(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{f"t{place}": task} for place, task in enumerate(tasks)]


def lists(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(children, min_size=1, max_size=3).map(named)


numbers = st.integers(0, 99)
leaves = st.one_of(
    numbers.map(lambda n: {"set": f"${{ . + [{n}] }}"}),
    numbers.map(lambda n: {"set": f"${{ . + [{n}] }}", "then": "exit"}),
    numbers.map(lambda n: {"if": f"length > {n % 4}", "set": f"${{ . + [{n}] }}"}),
    numbers.map(lambda n: {"call": "http", "with": HTTP, "output": {"as": f". + [{n}]"}}),
    numbers.map(lambda n: {"wait": {"milliseconds": n}}),
    st.sampled_from(sorted(FUNCTIONS)).map(lambda name: {"call": name}),
    st.sampled_from(sorted(EXTERNAL)).map(lambda name: {"call": name}),
    numbers.map(lambda n: {"set": f"${{ . + [{n}] }}", "input": IS_ARRAY, "output": IS_ARRAY}),
    numbers.map(lambda n: {"emit": {"event": EVENT}, "output": {"as": f".data + [{n}]"}}),
    st.tuples(numbers, st.sampled_from(STRATEGIES), st.sampled_from(ITERATORS)).map(
        lambda values: {
            "listen": {"to": values[1]},
            **values[2],
            "output": {"as": f"$input + [{values[0]}]"},
        }
    ),
    st.just({"raise": {"error": {"type": "x:raised", "status": 500}}}),
    numbers.map(lambda n: {"set": f"${{ . + [{n}] }}", "export": {"as": "[($context // [])[], length]"}}),
)


def scopes(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    tasks = lists(children)
    return st.one_of(
        tasks.map(lambda do: {"do": do}),
        tasks.map(lambda do: {"for": {"in": "[1, 2]"}, "do": do}),
        st.tuples(tasks, st.integers(1, 3)).map(
            lambda pair: {
                "for": {"in": "[1, 2, 3]"},
                "metadata": {"unspool": {"concurrency": pair[1]}},
                "do": pair[0],
                "output": {"as": "[.[][]]"},
            }
        ),
        tasks.map(lambda branches: {"fork": {"branches": branches}, "output": {"as": "[.[][]]"}}),
        st.tuples(tasks, tasks).map(
            lambda pair: {
                "try": pair[0],
                "catch": {"errors": {"with": {"type": "x:a"}}, "do": pair[1]},
            }
        ),
        tasks.map(lambda do: {"try": do, "catch": {"retry": {"limit": {"attempt": {"count": 1}}}}}),
    )


def raising(pair: tuple[list[dict[str, Any]], bytes]) -> list[dict[str, Any]]:
    # One type of error in a workflow: if two race in a fork, either may win.
    tasks, type_ = pair
    return orjson.loads(orjson.dumps(tasks).replace(b"x:raised", type_))


workflows = st.tuples(
    lists(st.recursive(leaves, scopes, max_leaves=12)), st.sampled_from([b"x:a", b"x:b"])
).map(raising)


# -- extensions: what they make is discarded, unless they bypass the task

quiet = st.one_of(
    numbers.map(lambda n: {"set": f"${{ . + [{n}] }}"}),
    numbers.map(lambda n: {"set": f"${{ . + [{n}] }}", "export": {"as": "[($context // [])[], length]"}}),
    numbers.map(lambda n: {"call": "http", "with": HTTP, "output": {"as": f". + [{n}]"}}),
    numbers.map(lambda n: {"wait": {"milliseconds": n}}),
    st.sampled_from(sorted(FUNCTIONS)).map(lambda name: {"call": name}),
    st.just({"do": [{"a": {"call": "http", "with": HTTP, "then": "exit"}}, {"b": {"set": "${ [] }"}}]}),
)
bypassing = numbers.map(lambda n: [{"bypass": {"set": f"${{ . + [{n}] }}", "then": "exit"}}])
extensions = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"extend": st.sampled_from(["all", "call", "composite", "for", "set", "try", "wait"])},
            optional={"when": WHEN, "before": lists(quiet), "after": lists(quiet)},
        ),
        st.fixed_dictionaries(
            {"extend": st.sampled_from(["call", "raise", "set", "try", "wait"]), "before": bypassing},
            optional={"when": WHEN, "after": lists(quiet)},
        ),
    ).map(lambda extension: {"extension": extension}),
    max_size=2,
)
generated = st.tuples(workflows, st.one_of(st.just([]), extensions))


class Raised(Exception):
    pass


class Model:
    """A model of how the tasks of a workflow change their input."""

    def __init__(self, extensions: list[dict[str, Any]]) -> None:
        self.extensions = [extension for item in extensions for extension in item.values()]

    def task(self, task: dict[str, Any], data: list[int]) -> list[int]:
        if not holds(task.get("if"), data):
            return data
        bypass = self.bypass(task, data)
        return self.work(task, data) if bypass is None else [*data, *bypass, *added_by_output(task)]

    def bypass(self, task: dict[str, Any], data: list[int]) -> list[int] | None:
        for extension in self.extensions:
            kind = next(kind for kind in ("for", *KINDS) if kind in task)
            extended = extension["extend"] in {"all", "composite" if kind in {"do", "fork"} else kind}
            before = extension.get("before", [{}])[0]
            if extended and holds(extension.get("when"), data) and "bypass" in before:
                return [number_in(before["bypass"]["set"])]
        return None

    def work(self, task: dict[str, Any], data: list[int]) -> list[int]:
        match task:
            case {"set": text}:
                return [*data, number_in(text)]
            case {"call": "http"} | {"emit": _} | {"listen": _}:
                return [*data, *added_by_output(task)]
            case {"call": name}:
                inside = Model([]) if name in EXTERNAL else self  # extensions do not apply there
                return inside.task({**FUNCTIONS, **EXTERNAL}[name], data)
            case {"raise": {"error": {"type": type_}}}:
                raise Raised(type_)
            case {"for": _, "do": tasks}:
                once = self.tasks(tasks, data)
                return once * 3 if "metadata" in task else self.tasks(tasks, once)
            case {"do": tasks}:
                return self.tasks(tasks, data)
            case {"fork": {"branches": branches}}:
                return [n for branch in branches for n in self.task(*branch.values(), data)]
            case {"try": tasks, "catch": {"do": handling}}:
                try:
                    return self.tasks(tasks, data)
                except Raised as error:
                    if str(error) != "x:a":
                        raise
                    return self.tasks(handling, data)
            case {"try": tasks}:
                return self.tasks(tasks, data)
            case _:
                return data

    def tasks(self, tasks: list[dict[str, Any]], data: list[int]) -> list[int]:
        for item in tasks:
            (task,) = item.values()
            skipped = not holds(task.get("if"), data)
            data = self.task(task, data)
            if task.get("then") == "exit" and not skipped:
                break
        return data


def holds(condition: str | None, data: list[int]) -> bool:
    return condition is None or len(data) > int(condition.rsplit(" ", 1)[1])


def number_in(text: str) -> int:
    return int(text.split("[")[1].split("]", maxsplit=1)[0])


def added_by_output(task: dict[str, Any]) -> list[int]:
    own = task.get("call") == "http" or "emit" in task or "listen" in task
    return [number_in(task["output"]["as"])] if own else []


def definition(tasks: list[dict[str, Any]], extensions: list[dict[str, Any]]) -> dict[str, Any]:
    document = {"dsl": "1.0.3", "namespace": "n", "name": "w", "version": "1.0.0"}
    return {
        "document": document,
        "use": {"functions": FUNCTIONS, "extensions": extensions},
        "do": tasks,
    }


@settings(max_examples=150, deadline=None)
@given(workflow=generated, seed=st.integers(0, 2**16))
def test_generated_workflows_come_out_as_the_model_says(interpreted, jq, workflow, seed):
    world = interpreted(compile_plan(definition(*workflow), jq), random.Random(seed), TEXTS)
    tasks, extensions = workflow
    try:
        output = Model(extensions).tasks(tasks, [])
    except Raised as error:
        assert world.error["type"] == str(error)
        assert world.error["instance"] == world.of("task.faulted")[-1].data["error"]["instance"]
    else:
        assert world.output == output


@settings(max_examples=60, deadline=None)
@given(workflow=generated, seed=st.integers(0, 2**16))
def test_laws_of_every_history(interpreted, jq, workflow, seed):
    world = interpreted(compile_plan(definition(*workflow), jq), random.Random(seed), TEXTS)
    history = world.history
    assert [event.seq for event in history] == list(range(1, len(history) + 1))  # I2
    ends = [e.run for e in history if e.type in {"task.completed", "task.faulted", "task.cancelled"}]
    assert len(ends) == len(set(ends))  # I3
    assert history[-1].type in {"workflow.completed", "workflow.faulted"}
    state = State("execution")
    for event in history:  # I4: the fold from any snapshot is the same as the fold of the whole history
        revived = load_state(dump_state(state))
        assert revived == state
        state = evolve(revived, event)
        assert state == state_at("execution", history, event.seq)
    assert state == fold(State("execution"), history) == world.state


@settings(max_examples=60, deadline=None)
@given(workflow=generated, seed=st.integers(0, 2**16), data=st.data())
def test_repeated_and_late_messages_change_nothing(interpreted, jq, workflow, seed, data):
    world = interpreted(compile_plan(definition(*workflow), jq), random.Random(seed), TEXTS)
    result = orjson.dumps(world.state.output)
    length = len(world.history)
    for request in world.requests:
        world.reply(request, data.draw(st.sampled_from([[1], None, {"forged": True}])))
    world.inbox.append(Message(MessageKind.START, "execution", {"input": []}))
    world.inbox.append(Message(MessageKind.CONTINUE, "execution", {}))
    world.settle()
    assert (len(world.history), orjson.dumps(world.state.output)) == (length, result)
