"""Checks that a schema cannot express (inventory U, and the entries that it cites)."""
# ruff: noqa: E501 - in tables of messages a case is a line

import json
import time
from functools import partial

import pytest

from unspool.definitions.checks import check
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool, SourceProblem, source_problems
from unspool.definitions.expressions.lexer import LONGEST_SOURCE
from unspool.definitions.problems import MAX_PROBLEMS, Problem, Severity
from unspool.definitions.semantics import known_workflows
from unspool.definitions.semantics.expressions import MAX_IN_TEXT

HEAD = "document: {dsl: '1.0.3', namespace: test, name: w, version: 1.0.0}\n"


def problems(text: str, severity: Severity = Severity.ERROR) -> list[Problem]:
    return [problem for problem in check(load(HEAD + text)) if problem.severity is severity]


def messages(text: str, severity: Severity = Severity.ERROR) -> list[str]:
    return [f"{problem.pointer}: {problem.message}" for problem in problems(text, severity)]


# -- references


@pytest.mark.parametrize(
    ("use", "task", "says"),
    [
        ("errors: {boom: {type: x, status: 1}}", "{raise: {error: bom}}", "/do/0/a/raise/error: no error 'bom' in use.errors, did you mean 'boom'?"),
        ("retries: {often: {}}", "{try: [], catch: {retry: oftn}}", "/do/0/a/catch/retry: no retry policy 'oftn' in use.retries, did you mean 'often'?"),
        ("timeouts: {short: {after: PT1S}}", "{do: [], timeout: long}", "/do/0/a/timeout: no timeout 'long' in use.timeouts"),
        ("secrets: [token]", "{set: '$secrets.tokn'}", "/do/0/a/set: no secret 'tokn' in use.secrets, did you mean 'token'?"),
        ("secrets: [token]", "{set: {x: '${ $secrets[\"other\"] }'}}", "/do/0/a/set/x: no secret 'other' in use.secrets"),
        ("functions: {}", "{call: 'z z'}", "/do/0/a/call: no function 'z z' in use.functions; a function of a catalog is called by name:version@catalog"),
        ("catalogs: {mine: {endpoint: x}}", "{call: 'log:1.0.0@min'}", "/do/0/a/call: no catalog 'min' in use.catalogs, did you mean 'mine'?"),
    ],
)  # fmt: skip
def test_unknown_names_of_components(use: str, task: str, says: str) -> None:
    """Inventory B9, S1, J24."""
    assert messages(f"use: {{{use}}}\ndo:\n- a: {task}\n") == [says]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("gret", "no function 'gret' in use.functions, did you mean 'greet'?"),
        ("htpp", "no function 'htpp' in use.functions, did you mean 'http'?"),
        ("charg-card", "no function 'charg-card' in use.functions, did you mean 'charge-card'?"),
        ("'charge-card:1.3.0'", "no function 'charge-card:1.3.0' in use.functions, did you mean 'charge-card:1.2.0'?"),
        ("zzz", "no function 'zzz' in use.functions; so an executor must have a function of that name"),
    ],
)  # fmt: skip
def test_a_function_that_only_an_executor_can_have_is_a_warning(call: str, says: str) -> None:
    """Inventory B9, J24."""
    text = f"use: {{functions: {{greet: {{set: {{x: 1}}}}}}}}\ndo:\n- a: {{call: {call}}}\n"
    known = {"charge-card", "charge-card:1.2.0"}
    [problem] = check(load(HEAD + text), functions=known)
    assert (problem.pointer, problem.message, problem.severity) == ("/do/0/a/call", says, Severity.WARNING)
    [error] = check(load(HEAD + text), functions=None)
    assert (error.pointer, error.severity) == ("/do/0/a/call", Severity.ERROR)


def test_functions_that_executors_are_known_to_have_can_be_called() -> None:
    text = "do: [{a: {call: charge-card}}, {b: {call: 'charge-card:1.2.0'}}]\n"
    assert check(load(HEAD + text), functions={"charge-card", "charge-card:1.2.0"}) == ()


@pytest.mark.parametrize(
    ("call", "place"),
    [
        ("http, with: {method: get, endpoint: 'http://a[b]@/x'}", "endpoint"),
        ("http, with: {method: get, endpoint: {uri: 'https://[::1]@'}}", "endpoint/uri"),
        ("openapi, with: {operationId: x, document: {endpoint: 'http://h:99999/'}}", "document/endpoint"),
        ("a2a, with: {method: message/send, server: 'http://'}", "server"),
        ("http, with: {method: get, endpoint: 'http://[{host}]/'}", None),
        ("http, with: {method: get, endpoint: '${ .url }'}", None),
        ("own, with: {server: 'http://', endpoint: 'https://'}", None),
        ("http, with: {method: get, endpoint: 'http://u:p@[::1]:80', body: {endpoint: 'http://['}}", None),
    ],
)
def test_an_address_of_a_call_without_a_host_has_a_warning(call: str, place: str | None) -> None:
    message = f"/do/0/a/with/{place}: the host of the address is not valid, so the call fails"
    text = f"use: {{functions: {{own: {{set: {{x: 1}}}}}}}}\ndo: [{{a: {{call: {call}}}}}]\n"
    assert messages(text, Severity.WARNING) == [message] * (place is not None)


def test_unknown_name_of_an_authentication() -> None:
    text = "do:\n- a: {call: http, with: {method: get, endpoint: {uri: x, authentication: {use: me}}}}\n"
    assert messages(text) == [
        "/do/0/a/with/endpoint/authentication/use: no authentication policy 'me' in use.authentications"
    ]


def test_a_secret_of_a_scheme_must_be_declared() -> None:
    text = "use: {{secrets: [{0}], authentications: {{me: {{basic: {{use: mine}}}}}}}}\ndo: []\n"
    assert messages(text.format("mine")) == []
    assert messages(text.format("other")) == [
        "/use/authentications/me/basic/use: no secret 'mine' in use.secrets"
    ]


@pytest.mark.parametrize(
    "call", ["greet", "log:1.0.0@default", "log:1.0.0@mine", "https://example.com/functions/f@v1.0.0"]
)
def test_known_functions(call: str) -> None:
    use = "use: {functions: {greet: {set: {x: 1}}}, catalogs: {mine: {endpoint: x}}}\n"
    assert messages(f"{use}do:\n- a: {{call: '{call}'}}\n") == []


def test_an_error_may_be_an_expression() -> None:
    """Inventory I25."""
    assert messages("do:\n- a: {raise: {error: '${ .error }'}}\n") == []


# -- flow


def test_task_names_are_unique_within_a_list_only() -> None:
    """Inventory A7."""
    text = "do:\n- a: {do: [{a: {set: {x: 1}}}]}\n- b: {set: {x: 1}}\n- a: {set: {x: 1}}\n"
    assert messages(text) == ["/do/2/a: duplicate task name 'a' in one list, first on line 3"]


@pytest.mark.parametrize("name", ["continue", "exit", "end"])
def test_a_task_cannot_have_the_name_of_a_directive(name: str) -> None:
    """Inventory H7."""
    assert messages(f"do:\n- {name}: {{set: {{x: 1}}}}\n") == [
        f"/do/0/{name}: a task cannot be named '{name}': that is a flow directive"
    ]


FLOW = """do:
- first: {{do: [{{inner: {{set: {{x: 1}}, then: {inner}}}}}, {{other: {{set: {{x: 1}}}}}}]}}
- choose: {{switch: [{{c: {{when: .x, then: {case}}}}}]}}
- attempt: {{try: [], catch: {{then: {catch}}}}}
- last: {{set: {{x: 1}}, then: {last}}}
"""


def flow(
    inner: str = "continue", case: str = "continue", catch: str = "continue", last: str = "end"
) -> list[str]:
    return messages(FLOW.format(inner=inner, case=case, catch=catch, last=last))


def test_then_may_name_a_task_of_the_same_list() -> None:
    """Inventory H4, H6."""
    assert flow(inner="other", case="last", catch="first", last="choose") == []


def test_then_cannot_name_another_task() -> None:
    elsewhere = "is a task of another list; 'then' leads only within its own"
    assert flow(inner="last") == [f"/do/0/first/do/0/inner/then: 'last' {elsewhere}"]
    assert flow(case="inner") == [f"/do/1/choose/switch/0/c/then: 'inner' {elsewhere}"]
    assert flow(catch="lst") == ["/do/2/attempt/catch/then: no task 'lst' in this list, did you mean 'last'?"]
    assert flow(last="edn") == ["/do/3/last/then: no task 'edn' in this list, did you mean 'end'?"]


def test_then_cannot_name_another_branch() -> None:
    """Inventory H9, U14."""
    text = "do:\n- f: {fork: {branches: [{a: {set: {x: 1}, then: b}}, {b: {set: {x: 1}, then: exit}}]}}\n"
    assert messages(text) == [
        "/do/0/f/fork/branches/0/a/then: branches of a fork run at once; 'then' cannot lead from one to another"
    ]


def test_then_of_a_function_cannot_name_a_task() -> None:
    text = "use: {functions: {f: {set: {x: 1}, then: a}}}\ndo:\n- a: {call: f}\n"
    assert messages(text) == ["/use/functions/f/then: a function is a single task; there is no 'a' to go to"]


def test_a_switch_has_one_default() -> None:
    """Inventory I4."""
    text = (
        "do:\n- s:\n    switch:\n    - a: {then: end}\n    - b: {when: .x, then: end}\n    - c: {then: end}\n"
    )
    assert messages(text) == [
        "/do/0/s/switch/2/c: a switch has one default case; another without 'when' is on line 5"
    ]


@pytest.mark.parametrize(
    ("before", "warned"),
    [
        ("{set: {x: 1}, then: end}", True),
        ("{set: {x: 1}, then: end, if: .x}", False),
        ("{raise: {error: {type: x, status: 1}}}", True),
        ("{switch: [{c: {when: .x, then: end}}]}", False),
        ("{switch: [{c: {then: end}}]}", True),
        ("{switch: [{c: {then: continue}}]}", False),
        ("{switch: [{c: {when: .x, then: after}}], then: end}", False),
        ("{try: [], catch: {then: continue}, then: end}", False),
    ],
)
def test_unreachable_tasks_have_a_warning(before: str, warned: bool) -> None:
    """Inventory U11, F11."""
    text = f"do:\n- before: {before}\n- after: {{set: {{x: 1}}}}\n"
    assert messages(text) == []
    assert messages(text, Severity.WARNING) == warned * [
        "/do/1/after: 'after' is never reached: nothing leads past 'before'"
    ]


# -- extensions


def extending(extend: str, *members: str) -> str:
    members = members or ("before: [{b: {set: {a: 1}}}]",)
    return f"use: {{extensions: [{{e: {{extend: {extend}, {', '.join(members)}}}}}]}}\n"


@pytest.mark.parametrize(
    ("extend", "tasks", "warned"),
    [
        ("all", "{set: {x: 1}}", False),
        ("set", "{do: [{b: {set: {x: 1}}}]}", False),
        ("composite", "{fork: {branches: []}}", False),
        ("composite", "{for: {in: .}, do: [{b: {set: {x: 1}}}]}", True),
        ("set", "{wait: PT1S}", True),
    ],
)
def test_an_extension_that_extends_no_task_has_a_warning(extend: str, tasks: str, warned: bool) -> None:
    """Inventory Q1; its own tasks do not count."""
    text = f"{extending(extend)}do: [{{a: {tasks}}}]\n"
    assert messages(text) == []
    assert [
        found.startswith("/use/extensions/0/e/extend: this extends no task: there is no '" + extend)
        for found in messages(text, Severity.WARNING)
    ] == warned * [True]


def test_the_warning_names_the_kinds_there_are() -> None:
    there = "do: [{a: {wait: PT1S}}, {b: {set: {x: 1}}}]\n"
    assert messages(extending("call") + there, Severity.WARNING) == [
        "/use/extensions/0/e/extend: this extends no task: there is no 'call' in this workflow, which has only these: set, wait"
    ]
    assert messages(extending("all") + "do: []\n", Severity.WARNING) == [
        "/use/extensions/0/e/extend: this extends no task: there is no 'all' in this workflow, which has no tasks"
    ]


def test_a_function_counts_as_a_task() -> None:
    text = (
        extending("wait").replace("use: {", "use: {functions: {f: {wait: PT1S}}, ") + "do: [{a: {call: f}}]\n"
    )
    assert messages(text, Severity.WARNING) == []


@pytest.mark.parametrize("members", [["when: .x"], ["before: []", "after: []"]])
def test_an_extension_without_tasks_has_a_warning(members: list[str]) -> None:
    text = extending("all", *members) + "do: [{a: {set: {x: 1}}}]\n"
    assert messages(text, Severity.WARNING) == [
        "/use/extensions/0/e: an extension without tasks in 'before' or 'after' does nothing"
    ]


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ("before: [{b: {call: 'gr et'}}]", "/before/0/b/call: no function 'gr et' in use.functions, did you mean 'greet'?"),
        ("after: [{b: {set: {x: 1}, then: a}}]", "/after/0/b/then: 'a' is a task of another list; 'then' leads only within its own"),
        ("before: [{b: {set: {x: 1}, then: exti}}]", "/before/0/b/then: no task 'exti' in this list, did you mean 'exit'?"),
        ("before: [{b: {wait: PT-1S}}]", "/before/0/b/wait: 'PT-1S' is not an ISO 8601 duration such as 'PT1M30S', or a runtime expression"),
        ("when: '$secrets.a', before: [{b: {set: {x: 1}}}]", "/when: no secret 'a' in use.secrets"),
    ],
)  # fmt: skip
def test_the_tasks_and_the_condition_of_an_extension_are_checked(members: str, says: str) -> None:
    text = extending("all", members).replace("use: {", "use: {functions: {greet: {set: {x: 1}}}, ")
    assert messages(text + "do: [{a: {call: greet}}]\n") == [f"/use/extensions/0/e{says}"]


def test_the_condition_of_an_extension_compiles(jq: JqPool) -> None:
    """Inventory D4, D10."""
    text = extending("all", "when: '$task.call ='", "before: [{b: {set: {x: 1}}}]")
    check_jq = partial(source_problems, jq=jq)
    found = check(load(HEAD + text + "do: [{a: {set: {x: 1}}}]\n"), expression_problems=check_jq)
    assert [problem.pointer for problem in found] == ["/use/extensions/0/e/when"]


def test_an_unknown_kind_has_a_suggestion() -> None:
    text = extending("swich") + "do: [{a: {set: {x: 1}}}]\n"
    assert messages(text)[0].endswith("did you mean 'switch'?")
    assert messages(text, Severity.WARNING) == []


def test_the_number_of_extensions_is_limited() -> None:
    extension = "{e: {extend: all, before: [{b: {set: {x: 1}}}]}}"
    do = "do: [{a: {set: {x: 1}}}]\n"
    assert messages(f"use: {{extensions: [{', '.join([extension] * 100)}]}}\n{do}") == []
    assert messages(f"use: {{extensions: [{', '.join([extension] * 101)}]}}\n{do}") == [
        "/use/extensions: a definition has at most 100 extensions"
    ]


# -- values


@pytest.mark.parametrize(
    "name", ["context", "input", "output", "secrets", "authorization", "task", "workflow", "runtime", "ENV"]
)
def test_variables_cannot_hide_builtin_variables(name: str) -> None:
    """Inventory E13."""
    hidden = f"the variable '{name}' would hide the built-in ${name}"
    assert messages(f"do:\n- a: {{for: {{each: {name}, in: .x}}, do: []}}\n") == [
        f"/do/0/a/for/each: {hidden}"
    ]
    assert messages(f"do:\n- a: {{try: [], catch: {{as: {name}}}}}\n") == [f"/do/0/a/catch/as: {hidden}"]


@pytest.mark.parametrize("name", ["1a", "a-b", "a b", "", "é", "$a"])
def test_variables_are_jq_identifiers(name: str) -> None:
    (message,) = messages(f"do:\n- a: {{for: {{at: '{name}', in: .x}}, do: []}}\n")
    assert "is not a valid name of a variable" in message


def test_item_and_index_have_different_names() -> None:
    assert messages("do:\n- a: {for: {each: i, at: i, in: .x}, do: []}\n") == [
        "/do/0/a/for/at: the item and its index cannot both be called 'i'"
    ]


def test_durations_have_limits() -> None:
    """Inventory N5."""
    assert messages("do:\n- a: {wait: {seconds: -1}}\n") == ["/do/0/a/wait: a duration is not negative"]
    assert messages("do:\n- a: {wait: P20Y}\n") == ["/do/0/a/wait: a duration is at most 10 years"]
    assert messages("do:\n- a: {wait: '${ .delay }'}\n- b: {wait: {seconds: 0}}\n") == []


def test_one_mistake_gives_one_problem() -> None:
    assert len(messages("do:\n- a: {wait: {second: 1}}\n- b: {wait: 1s}\n")) == 2


def test_data_schemas_are_compiled() -> None:
    (message,) = messages("do: []\ninput: {schema: {document: {$ref: 'http://127.0.0.1/x'}}}\n")
    assert message == "/input/schema/document: the reference 'http://127.0.0.1/x' leads outside the schema"


def test_formats_and_languages_that_are_not_supported() -> None:
    assert messages("do: []\ninput: {schema: {format: avro, document: {}}}\nevaluate: {language: js}\n") == [
        "/input/schema/format: schemas are written in 'json' here, not in 'avro'",
        "/evaluate/language: expressions are written in 'jq' here, not in 'js'",
    ]
    assert (
        messages(
            "do: []\ninput: {schema: {format: 'json:draft-07', document: {}}}\nevaluate: {language: jq}\n"
        )
        == []
    )


# -- expressions


def expressions_in(text: str) -> list[tuple[str, str]]:
    """Returns pointer and source of every expression, in the order of the text."""
    found = check(
        load(HEAD + text), expression_problems=lambda source, _: [SourceProblem(f"<{source.strip()}>", 0)]
    )
    return [(problem.pointer, problem.message) for problem in found if problem.message.startswith("<")]


def test_every_expression_is_checked() -> None:
    """Inventory D4, D5, D7, D14."""
    assert expressions_in(
        """do:
- a:
    if: .bare
    input: {from: '${ .wrapped }'}
    call: http
    with:
      method: get
      endpoint: https://x/{id}/${.piece}
      headers: {h: 'a ${ .one } b ${ .two }'}
      body: [{deep: '${ .deep }', literal: .literal}]
    output: {as: {x: '${ .x }', y: 1}}
    export: {as: $context}
    timeout: {after: '${ .duration }'}
- b:
    for: {in: .list}
    while: .go
    do: []
- c:
    try: []
    catch: {when: .when, retry: {exceptWhen: .not}}
- d:
    switch: [{c: {when: .case, then: end}}]
"""
    ) == [
        ("/do/0/a/if", "<.bare>"),
        ("/do/0/a/input/from", "<.wrapped>"),
        ("/do/0/a/with/endpoint", "<.piece>"),
        ("/do/0/a/with/headers/h", "<.one>"),
        ("/do/0/a/with/headers/h", "<.two>"),
        ("/do/0/a/with/body/0/deep", "<.deep>"),
        ("/do/0/a/output/as/x", "<.x>"),
        ("/do/0/a/export/as", "<$context>"),
        ("/do/0/a/timeout/after", "<.duration>"),
        ("/do/1/b/for/in", "<.list>"),
        ("/do/1/b/while", "<.go>"),
        ("/do/2/c/catch/when", "<.when>"),
        ("/do/2/c/catch/retry/exceptWhen", "<.not>"),
        ("/do/3/d/switch/0/c/when", "<.case>"),
    ]


def test_scripts_and_shell_variables_are_not_expressions() -> None:
    """Inventory D7, I61."""
    assert expressions_in(
        """do:
- a: {run: {script: {language: js, code: 'console.log(`${ name }`)', arguments: ['${ .arg }']}}}
- b: {run: {shell: {command: 'echo ${HOME:-x} $1 ${ .name }'}}}
"""
    ) == [
        ("/do/0/a/run/script/arguments/0", "<.arg>"),
        ("/do/1/b/run/shell/command", "<.name>"),
    ]


def test_expressions_have_limits() -> None:
    (message,) = messages(f"do:\n- a: {{set: {'x' * (LONGEST_SOURCE + 1)}}}\n")
    assert "an expression has at most" in message
    (message,) = messages(f"do:\n- a: {{set: {{x: '{'${' * 300_000}'}}}}\n")
    assert message == f"/do/0/a/set/x: a text has at most {MAX_IN_TEXT} expressions"


def test_a_text_with_many_expressions_is_checked_in_linear_time() -> None:
    began = time.process_time()
    (message,) = messages(f"do:\n- a: {{set: {{x: '{'${a}' * 240_000}'}}}}\n")
    assert message == f"/do/0/a/set/x: a text has at most {MAX_IN_TEXT} expressions"
    assert time.process_time() - began < 3, "with a look at all of it for each expression it takes longer"


def test_text_that_looks_like_an_expression_has_a_warning() -> None:
    """Inventory D5, U13."""
    text = "do:\n- a: {set: {x: .customer, y: $input.name, z: a.b, p: ./file, q: '${ .x }', r: '$5', s: '...'}}\n"
    assert [problem.pointer for problem in problems(text, Severity.WARNING)] == [
        "/do/0/a/set/x",
        "/do/0/a/set/y",
    ]
    assert problems(text) == []
    assert messages(text + "evaluate: {mode: loose}\n", Severity.WARNING) == []


@pytest.mark.parametrize(
    ("text", "like_one"),
    [
        (r'"Hello \(.name)"', True),
        (r' "\($input.a):\(.b)" ', True),
        ('"sync:" + .org', True),
        ('.first + " " + .last', True),
        ('$context.a + .b + "x"', True),
        ('.a + "b"\n+ .c', True),
        (r"C:\(x)", False),
        (r'"a line \(x\)"', False),
        (r'"a \(.b) c" and more', False),
        ('"quoted"', False),
        (r'"${ .a }: \(.b)"', False),
        ("1 + 1", False),
        (".NET + Java", False),
    ],
)
def test_text_that_adds_or_interpolates_looks_like_an_expression(text: str, like_one: bool) -> None:
    """Inventory U13."""
    found = messages(f"do:\n- a: {{set: {{x: {json.dumps(text)}}}}}\n", Severity.WARNING)
    assert [f"/do/0/a/set/x: '{text.strip()[:5]}" in each for each in found] == [True] * like_one


def test_problems_are_in_the_order_of_the_text() -> None:
    text = "do:\n- a: {wait: {days: -1}}\n- b: {set: {x: 1}, then: c}\n- d: {cal: 1}\n- e: {call: no pe}\n"
    assert [problem.line for problem in problems(text)] == [3, 4, 5, 6]


def unknown(text: str, jq: JqPool) -> list[str]:
    found = check(load(HEAD + text), expression_problems=partial(source_problems, jq=jq))
    return [problem.pointer for problem in found if "is not defined" in problem.message]


@pytest.mark.parametrize(
    ("task", "where"),
    [
        ("set: {x: '${ $typo }', y: '${ $context }'}", ["set/x"]),
        ("set: {x: '${ . as $y | [$y, $z] }'}", ["set/x"]),
        ("set: {x: '${ def f($y): $y; [f(1), $z] }'}", ["set/x"]),
        ("set: {x: '${ reduce .[] as [$a, $b] (0; . + $a) }'}", []),
        ("set: {x: '${ $item }'}", ["set/x"]),
        ("if: $index > 1, set: {x: 1}", ["if"]),
        ("for: {in: .x}, while: $item != $index, do: [{b: {set: {x: '${ [$item, $index] }'}}}]", []),
        ("for: {in: .x, each: e}, do: [{b: {set: {x: '${ $item }', y: '${ $e }'}}}]", ["do/0/b/set/x"]),
        ("try: [{b: {set: {x: 1}}}], catch: {when: $error.status == 1}, output: {as: $error}", []),
        ("try: [{b: {set: {x: 1}}}], catch: {as: e, when: $error.status == 1}", ["catch/when"]),
        ("listen: {to: {one: {}}}, foreach: {item: i, do: [{b: {set: {x: '${ [$i, $index] }'}}}]}", []),
    ],
)
def test_unknown_variables_are_reported(task: str, where: list[str], jq: JqPool) -> None:
    """Inventory D10, E12, U5."""
    found = unknown(f"do:\n- a: {{{task}}}\n", jq)
    assert found == [f"/do/0/a/{place}" for place in where]


def test_components_may_use_any_variable(jq: JqPool) -> None:
    text = "use: {retries: {r: {when: $error.status > 1, exceptWhen: $problem}}}\ndo: []\n"
    assert unknown(text, jq) == []


@pytest.mark.parametrize(
    ("loop", "where"),
    [
        ("for: {in: .x, each: a, at: a}", "for/at"),
        ("for: {in: .x, at: item}", "for/at"),
        ("for: {in: .x, each: index}", "for/each"),
        ("for: {in: .x, each: index, at: item}", None),
    ],
)
def test_default_names_of_item_and_index_are_compared_too(loop: str, where: str | None) -> None:
    """Inventory U7."""
    found = [found.pointer for found in problems(f"do:\n- a: {{{loop}, do: []}}\n")]
    assert found == ([] if where is None else [f"/do/0/a/{where}"])


def test_in_loose_mode_a_text_may_be_plain_text(jq: JqPool) -> None:
    """Inventory D2."""
    text = """
evaluate: {mode: loose}
do:
- a: {set: {x: 1}, output: {as: Hello world}}
- b: {set: {x: '${ bad( }'}, if: bad(}
"""
    found = check(load(HEAD + text), expression_problems=partial(source_problems, jq=jq))
    assert [found.pointer for found in found] == ["/do/1/b/if"]


def case_warnings(tasks: str) -> list[str]:
    text = "do:\n- s: {switch: [{one: {when: .x, then: a}}, {two: {then: b}}]}\n" + tasks
    assert messages(text) == []
    return [f"{found.line}:{found.column}: {found.message}" for found in problems(text, Severity.WARNING)]


@pytest.mark.parametrize("between", ["", "- c: {{wait: PT1S}}\n"])
def test_a_case_that_continues_into_another_case_has_a_warning(between: str) -> None:
    """Inventory H1, H8."""
    tasks = "- a: {{set: {{x: 1}}{then}}}\n" + between + "- b: {{set: {{x: 2}}}}\n"
    (warning,) = case_warnings(tasks.format(then=""))
    assert warning == (
        "4:3: after 'a' the flow continues to 'b', the target of another case of 's'; write 'then: exit' or "
        "'then: end' on 'a' if only one of them should run, or 'then: continue' if both should"
    )
    for then in ("exit", "end", "continue", "b"):
        found = case_warnings(tasks.format(then=f", then: {then}"))
        assert not any("another case" in message for message in found)


@pytest.mark.parametrize(
    "between",
    [
        "- b: {set: {x: 1}, then: exit}\n- a: {set: {x: 2}}\n",
        "- a: {raise: {error: {type: x, status: 1}}}\n- b: {set: {x: 2}}\n",
        "- a: {set: {x: 1}}\n- c: {switch: [{y: {then: exit}}]}\n- b: {set: {x: 2}}\n",
    ],
)
def test_cases_that_stay_apart_have_no_warning(between: str) -> None:
    assert not any("another case" in message for message in case_warnings(between))


def test_many_warnings_hide_no_error() -> None:
    pairs = "".join(f"- a{i}: {{set: {{x: 1}}, then: end}}\n- b{i}: {{set: {{x: 1}}}}\n" for i in range(150))
    assert messages(f"do:\n{pairs}- z: {{wait: {{seconds: -1}}}}\n") == [
        "/do/300/z/wait: a duration is not negative"
    ]
    assert len(problems(f"do:\n{pairs}", Severity.WARNING)) == MAX_PROBLEMS


# -- loops side by side


@pytest.mark.parametrize("concurrency", ["0", "-1", "1001", "1.5", "'10'", "true", "null", "[]", "'${ .n }'"])
def test_concurrency_is_a_whole_number(concurrency: str) -> None:
    mark = f"metadata: {{unspool: {{concurrency: {concurrency}}}}}"
    [found] = problems(f"do:\n- a:\n    for: {{in: .}}\n    {mark}\n    do: []\n")
    assert (found.pointer, found.line) == ("/do/0/a/metadata/unspool/concurrency", 5)
    assert found.message.startswith("expected a whole number from 1 to 1000") or found.message == (
        f"{concurrency} is not between 1 and 1000"
    )


def test_while_is_refused_beside_concurrency() -> None:
    text = "do:\n- a:\n    for: {in: .}\n    while: 'true'\n    metadata: {unspool: {concurrency: 2}}\n    do: []\n"
    [found] = problems(text)
    assert (found.pointer, found.line) == ("/do/0/a/while", 5)
    assert "'while'" in found.message


@pytest.mark.parametrize(
    "metadata",
    ["{unspool: {concurrency: 1}}", "{unspool: {concurrency: 1000}}", "{other: 1}", "{unspool: 7}"],
)
def test_other_metadata_of_a_loop_is_free(metadata: str) -> None:
    assert messages(f"do: [{{a: {{for: {{in: .}}, metadata: {metadata}, do: []}}}}]\n") == []


def test_concurrency_of_another_task_has_a_warning() -> None:
    text = "do: [{a: {do: [], metadata: {unspool: {concurrency: 2}}}}]\n"
    assert messages(text) == []
    [found] = messages(text, Severity.WARNING)
    assert found.startswith("/do/0/a/metadata/unspool/concurrency: ")


def test_concurrency_of_a_function_is_checked() -> None:
    function = "{for: {in: .}, metadata: {unspool: {concurrency: 0}}, do: []}"
    [found] = messages(f"use: {{functions: {{f: {function}}}}}\ndo: [{{a: {{call: f}}}}]\n")
    assert found.startswith("/use/functions/f/metadata/unspool/concurrency: ")


RETRY = "{limit: {attempt: {count: %s}}}"


@pytest.mark.parametrize(
    ("use", "catch", "says"),
    [
        ("{}", "{errors: {with: {type: '${ .t }', status: 404}}}", "/do/0/t/catch/errors/with/type: 'type' is compared with this text as it is; write an expression in 'when'"),
        ("{}", f"{{retry: {RETRY % -1}}}", "/do/0/t/catch/retry/limit/attempt/count: nothing is retried; without 'count' the number of retries has no limit"),
        (f"{{retries: {{r: {RETRY % -2}}}}}", "{retry: r}", "/use/retries/r/limit/attempt/count: nothing is retried; without 'count' the number of retries has no limit"),
        (f"{{retries: {{r: {RETRY % 0}}}}}", "{errors: {with: {type: 'x:y', detail: '$ {'}}, retry: r}", None),
    ],
)  # fmt: skip
def test_a_catch_that_cannot_do_what_it_says_is_reported(use: str, catch: str, says: str | None) -> None:
    text = f"use: {use}\ndo: [{{t: {{try: [{{a: {{set: {{x: 1}}}}}}], catch: {catch}}}}}]\n"
    assert messages(text, Severity.WARNING) == ([says] if says else [])


@pytest.mark.parametrize(
    ("text", "unclosed"),
    [
        ("${ .a", "${ .a"),
        ("n is ${ .n } of ${ .m", "${ .m"),
        ("x ${ {a: 1 }", "${ {a: 1 }"),
        ('${ "}" ', '${ "}" '),
        ("${ {a: 1} } and ${ .b }", None),
        ("${ .a # }", None),
        ("$ { .a", None),
    ],
)
def test_an_expression_that_is_not_closed_is_reported(text: str, unclosed: str | None) -> None:
    found = messages(f"do: [{{a: {{set: {{x: '{text}'}}}}}}]\n", Severity.WARNING)
    says = f"/do/0/a/set/x: '{unclosed}' is plain text: no '}}' ends the expression"
    assert found == ([says] if unclosed else [])


# -- secrets


@pytest.mark.parametrize(
    ("do", "pointer"),
    [
        ("set: {x: '${ $secrets.token }'}", "/do/0/a/set/x"),
        ("if: $secrets.token\n      set: {x: 1}", "/do/0/a/if"),
        ("set: {x: 1}\n      output: {as: '${ $secrets.token }'}", "/do/0/a/output/as"),
        ("switch: [{one: {when: $secrets.token, then: exit}}]", "/do/0/a/switch/0/one/when"),
        ("set: {call: http, with: {x: '${ $secrets.token }'}}", "/do/0/a/set/with/x"),
        ("set: {run: {shell: {command: '${ $secrets.token }'}}}", "/do/0/a/set/run/shell/command"),
    ],
)
def test_secrets_are_refused_where_the_worker_would_store_them(do: str, pointer: str) -> None:
    text = f"use: {{secrets: [token]}}\ndo:\n  - a:\n      {do}\n"
    (found,) = problems(text)
    assert found.pointer == pointer
    assert found.message.startswith("$secrets cannot be read here, because")
    lines = (HEAD + text).splitlines()
    assert lines[found.line - 1][found.column - 1 :].startswith("$secrets")


@pytest.mark.parametrize(
    "text",
    [
        """'${ "write $secrets.apiKey into the header" }'""",
        """'${ "write \\($workflow.id) $secrets[\\"apiKey\\"]" }'""",
        "'${ .a # not $secrets.apiKey }'",
    ],
)
def test_a_text_or_a_comment_about_a_secret_reads_none(text: str) -> None:
    """Inventory B9, D10."""
    assert messages(f"do:\n- a:\n    set:\n      x: {text}\n") == []


@pytest.mark.parametrize(
    "read", ["$secrets.old", '$secrets["old"]', '$secrets.["old"]', '$secrets."old"', "$ secrets.old", '"\\($secrets.old)"']
)  # fmt: skip
def test_each_way_to_read_a_secret_names_it(read: str) -> None:
    (found,) = problems(
        f"use: {{secrets: [token]}}\ndo:\n- a:\n    call: http\n    with:\n      method: get\n      endpoint: http://a\n      body: '${{ {read} }}'\n"
    )
    assert found.message == "no secret 'old' in use.secrets"


def test_an_argument_can_have_any_name() -> None:
    body = "{foreach: {x: '${ $secrets.token }'}, subscription: {foreach: '${ $secrets.token }'}}"
    call = f"{{call: http, with: {{method: post, endpoint: http://a, body: {body}}}}}"
    assert messages(f"use: {{secrets: [token]}}\ndo: [{{a: {call}}}]\n") == []


@pytest.mark.parametrize("call", ["leak", "'leak:1.0.0'"])
def test_a_function_of_executors_can_read_secrets(call: str) -> None:
    text = f"use: {{secrets: [token]}}\ndo:\n- a:\n    call: {call}\n    with: {{key: '${{ $secrets.token }}'}}\n"
    found = check(load(HEAD + text), functions={"leak", "leak:1.0.0"})
    assert [problem.message for problem in found] == []


@pytest.mark.parametrize(
    "use", ["functions: {leak: {set: {x: 1}}}", "functions: {}, catalogs: {mine: {endpoint: 'http://a'}}"]
)
def test_a_function_of_the_workflow_gets_no_secret(use: str) -> None:
    """The worker evaluates its input, which is in the history."""
    call = "leak" if "leak" in use else "'log:1.0.0@mine'"
    text = f"use: {{secrets: [token], {use}}}\ndo:\n- a:\n    call: {call}\n    with: {{key: '${{ $secrets.token }}'}}\n"
    (found,) = problems(text)
    assert found.message.startswith("$secrets cannot be read here, because")


# -- events


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("{listen: {to: {one: {with: {type: 'a('}}}}}", ["/do/0/a/listen/to/one/with/type: 'a(' is not a regular expression, or one with look-around or a back-reference"]),
        ("{listen: {to: {one: {with: {type: 'a)|(b'}}}}}", ["/do/0/a/listen/to/one/with/type: 'a)|(b' is not a regular expression, or one with look-around or a back-reference"]),
        ("{listen: {to: {any: [{with: {data: {x: '(?=a)'}}}]}}}", ["/do/0/a/listen/to/any/0/with/data/x: '(?=a)' is not a regular expression, or one with look-around or a back-reference"]),
        ("{listen: {to: {any: [], until: {all: [{with: {orderId: x}}]}}}}", ["/do/0/a/listen/to/until/all/0/with/orderId: 'orderId' is not an attribute of a CloudEvent: use lower-case letters and digits"]),
        ("{emit: {event: {with: {type: t, data_base64: AAE=}}}}", []),
        ("{listen: {to: {one: {with: {data_base64: AAE=}}}}}", []),
        ("{emit: {event: {with: {type: t, X: 1}}}}", ["/do/0/a/emit/event/with/X: 'X' is not an attribute of a CloudEvent: use lower-case letters and digits"]),
        ("{listen: {to: {one: {with: {type: 'a.b', subject: '${ .x | test(\"(\") }'}}}}}", []),
    ],
)  # fmt: skip
def test_events(task: str, says: list[str]) -> None:
    """Inventory P5."""
    assert messages(f"do:\n- a: {task}\n") == says


NEVER = "this condition never holds, so only a timeout or a cancellation ends the task"


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("{listen: {to: {any: [], until: '${ false }'}}}", ["/do/0/a/listen/to/until: this condition never holds, so only a timeout or a cancellation ends the task"]),
        ("{listen: {to: {one: {with: {type: t}, correlate: {k: {from: .x}}}}}}", ["/do/0/a/listen/to/one/correlate/k: 'k' is used once and has no 'expect', so it is compared with nothing"]),
        ("{listen: {to: {all: [{with: {type: t}, correlate: {k: {from: .x}}}, {with: {type: u}, correlate: {k: {from: .y}}}]}}}", []),
        ("{listen: {to: {any: [{with: {type: t}, correlate: {k: {from: .x}}}], until: 'length > 2'}}}", []),
        ("{listen: {to: {any: [], until: '1 > 2'}}}", [f"/do/0/a/listen/to/until: {NEVER}"]),
        ("{listen: {to: {any: [], until: empty}}}", [f"/do/0/a/listen/to/until: {NEVER}"]),
        ("{listen: {to: {any: [], until: '\"a\" | length == 2'}}}", [f"/do/0/a/listen/to/until: {NEVER}"]),
        *(
            (f"{{listen: {{to: {{any: [], until: '{until}'}}}}}}", [f"/do/0/a/listen/to/until: {NEVER}"])
            for until in (
                "length > 3 and false",
                "length < 1",
                "length == 0",
                "(. | length) <= 0",
                "0.5 >= length",
                "length == -1",
                "length == 2.5",
                "length > 5 and .[0].ok and length < 3",
                "length > 5 and (length < 3 or length == 4)",
                "length < 1 or false",
                "null == .",
                ". == []",
                "not",
                '. == "done"',
                'length == "3"',
                '"2" <= length',
                "length < null",
                "length >= []",
                ". | length == 0",
                ". | length > 2 and length < 2",
                f"{'. | ' * 99}not",
            )
        ),
        *(
            (f"{{listen: {{to: {{any: [], until: '{until}'}}}}}}", [])
            for until in (
                "length > 3 or false",
                "length <= 1",
                "length == 2.0",
                "length > -1",
                "length > 5 and length < 7",
                "length < 2 or length > 9",
                "(.[0] | length) < 1",
                ". == [1]",
                "length == $context.n",
                "(length < 1) | not",
                'length < "3"',
                "length > true",
                ". | length > 2",
                ". | length | . > 2",
            )
        ),
        ("{listen: {to: {any: [], until: '1 < 2'}}}", []),
        ("{listen: {to: {any: [], until: 'now > 2'}}}", []),
        ("{listen: {to: {any: [], until: '.temperature > 38'}}}", ["/do/0/a/listen/to/until: '.temperature' fails: the input of 'until' is the list of the events up to now; the last one is '.[-1]'"]),
        ("{listen: {to: {any: [], until: '$context.x and .done'}}}", []),
        ("{listen: {to: {any: [], until: '(.done // .[0].done) or any(.[]; .done)'}}}", []),
        ("{listen: {to: {any: [], until: '.[-1].temperature > 38'}}}", []),
        ("{listen: {to: {any: [], until: {all: []}}}}", ["/do/0/a/listen/to/until/all: this needs no event, so it is met at once"]),
        ("{listen: {to: {any: [], until: {any: []}}}}", []),
        ("{listen: {to: {any: [], until: {one: {with: {type: ''}}}}}}", ["/do/0/a/listen/to/until/one/with/type: no event matches: 'type' is never empty"]),
        ("{listen: {to: {one: {with: {data: '${ 1 == 2 }'}}}}}", ["/do/0/a/listen/to/one/with/data: no event matches: this expression is never true"]),
        ("{listen: {to: {one: {with: {data: '${ .x == 2 }', subject: ''}}}}}", []),
        ("{listen: {to: {any: [{with: {type: t}, correlate: {k: {from: .x}}}, {with: {type: u}, correlate: {k: {from: .x}}}]}}}", [f"/do/0/a/listen/to/any/{n}/correlate/k: one event is enough here, so 'k' is compared with nothing" for n in (0, 1)]),
        ("{listen: {to: {any: [{with: {type: t}, correlate: {k: {from: .x}}}], until: {one: {with: {type: u}, correlate: {k: {from: .x}}}}}}}", []),
        ("{listen: {to: {any: [{with: {type: t}, correlate: {k: {from: .x}}}], until: {one: {with: {type: u}, correlate: {j: {from: .x}}}}}}}", ["/do/0/a/listen/to/until/one/correlate/j: 'j' is used once and has no 'expect', so it is compared with nothing"]),
        ("{emit: {event: {}}}", ["/do/0/a/emit/event: this event has no type, so the task faults; write its attributes in 'with'"]),
    ],
)  # fmt: skip
def test_warnings_of_events(task: str, says: list[str]) -> None:
    """Inventory I40, P2, P7."""
    assert messages(f"do:\n- a: {task}\n", Severity.WARNING) == says


def test_the_events_of_a_schedule_are_checked() -> None:
    text = "schedule: {on: {any: [{with: {type: 'a(', orderId: x}}], until: 'false'}}\ndo: []\n"
    assert messages(text) == [
        "/schedule/on/any/0/with/type: 'a(' is not a regular expression, or one with look-around or a back-reference",
        "/schedule/on/any/0/with/orderId: 'orderId' is not an attribute of a CloudEvent: use lower-case letters and digits",
    ]
    assert messages(text, Severity.WARNING) == [
        "/schedule/on/until: this condition never holds, so the schedule starts nothing"
    ]
    assert messages("schedule: {on: {all: []}}\ndo: []\n") == [
        "/schedule/on/all: no event starts this workflow; 'all' needs a filter"
    ]
    assert messages("schedule: {on: {all: []}}\ndo: []\n", Severity.WARNING) == []
    assert messages("schedule: {on: {any: []}}\ndo: []\n", Severity.WARNING) == [
        "/schedule/on/any: every event starts this workflow or is held for it, also what its own executions publish"
    ]


LISTEN = "{listen: {to: {one: {with: {type: x}}}}}"
SUBSCRIPTION = "{document: {endpoint: 'http://h'}, channel: c, subscription: {consume: {amount: 1}}}"
WAITS = "waits for events each time that a task is extended, which then waits too"


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (LISTEN, [f"/use/extensions/0/e/before/0/b: this task {WAITS}"]),
        (f"{{do: [{{c: {LISTEN}}}]}}", [f"/use/extensions/0/e/before/0/b/do/0/c: this task {WAITS}"]),
        ("{call: ask}", [f"/use/extensions/0/e/before/0/b: the function 'ask' {WAITS}"]),
        ("{call: outer}", [f"/use/extensions/0/e/before/0/b: the function 'outer' {WAITS}"]),
        ("{call: other}", []),
        (
            f"{{call: asyncapi, with: {SUBSCRIPTION}}}",
            [f"/use/extensions/0/e/before/0/b: this task {WAITS}"],
        ),
    ],
)
def test_waiting_inside_an_extension(task: str, says: list[str]) -> None:
    functions = f"{{ask: {LISTEN}, outer: {{do: [{{c: {{call: ask}}}}]}}, other: {{call: other}}}}"
    extensions = f"[{{e: {{extend: set, before: [{{b: {task}}}]}}}}]"
    text = f"use: {{functions: {functions}, extensions: {extensions}}}\ndo: [{{a: {{set: {{x: 1}}}}}}]\n"
    assert messages(text, Severity.WARNING) == says


# -- sub-workflows


@pytest.mark.parametrize(
    ("workflow", "says"),
    [
        ("{namespace: shop, name: pay}", []),
        ("{namespace: shop, name: pay, version: latest}", []),
        ("{namespace: shop, name: pay, version: '1.1.0'}", []),
        ("{namespace: shop, name: pay, version: '2.0.0'}", ["version: 'shop/pay' has no version '2.0.0' in these files, only 1.0.0, 1.1.0"]),
        ("{namespace: shop, name: pai}", ["name: no workflow 'shop/pai' in these files, did you mean 'pay'?"]),
        ("{namespace: shp, name: pay}", ["name: no workflow 'shp/pay' in these files, did you mean 'shop/pay'?"]),
        ("{namespace: other, name: x}", ["name: no workflow 'other/x' in these files"]),
    ],
)  # fmt: skip
def test_sub_workflows_that_are_not_there(workflow: str, says: list[str]) -> None:
    document = load(f"{HEAD}do: [{{a: {{run: {{workflow: {workflow}}}}}}}]\n")
    known = known_workflows(
        [
            {"document": {"namespace": "shop", "name": "pay", "version": "1.1.0"}},
            {"document": {"namespace": "shop", "name": "pay", "version": "1.0.0"}},
            {"document": {"namespace": "shop"}},
            {"document": 5},
        ]
    )
    found = check(document, workflows=known)
    assert [f"{each.pointer.rpartition('/')[2]}: {each.message}" for each in found] == says
    assert check(document) == ()


# -- calls of gRPC


SERVICE = "service: {name: S, host: h}, method: M"


@pytest.mark.parametrize(
    ("task", "place"),
    [
        (f"call: grpc, with: {{{SERVICE}}}", "with: without 'proto'"),
        (f"call: grpc, with: {{proto: {{endpoint: x}}, {SERVICE}, arguments: [{{}}]}}", "with/arguments: "),
        (
            f"call: grpc, with: {{proto: {{endpoint: x}}, {SERVICE}, arguments: '${{ .a }}'}}",
            "with/arguments: ",
        ),
        ("set: {x: 1}, metadata: {unspool: {tls: true}}", "metadata/unspool/tls: "),
    ],
)
def test_what_only_unspool_knows_of_grpc_has_a_warning(task: str, place: str) -> None:
    """J19, J20"""
    text = f"do: [{{a: {{{task}}}}}]\n"
    assert messages(text) == []
    [found] = messages(text, Severity.WARNING)
    assert found.startswith(f"/do/0/a/{place}")


def test_tls_is_true_or_false() -> None:
    grpc = f"call: grpc, with: {{proto: {{endpoint: x}}, {SERVICE}}}"
    assert messages(f"do: [{{a: {{{grpc}, metadata: {{unspool: {{tls: false}}}}}}}}]\n") == []
    [found] = messages(f"do: [{{a: {{{grpc}, metadata: {{unspool: {{tls: maybe}}}}}}}}]\n")
    assert found.startswith("/do/0/a/metadata/unspool/tls: expected true or false")
