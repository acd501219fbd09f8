"""Any values of an author's expressions are sent or refused with an error; no other exception is raised."""

import contextlib
import re
from functools import partial
from typing import cast

from hypothesis import example, given
from hypothesis import strategies as st

from unspool.definitions.errors import WorkflowError
from unspool.eventstore.records import TaskRequest
from unspool.executor.authentication.policies import Authentication
from unspool.executor.http import request as http
from unspool.executor.http.response import UnreadableContent, content
from unspool.executor.outbound import Outbound
from unspool.executor.outcome import Rejected
from unspool.executor.runs import shell

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
uris = (
    text
    | text.map(lambda rest: f"http://{rest}")
    | text.map(lambda rest: f"https://host/{rest}")
    | st.sampled_from(
        [
            "http://a..b/",
            "http://[::1%25lo]/",
            "http://h:0/",
            "http://@/",
            "http://u:p@h",
            "//h/",
            "http://./",
        ]
    )
    | st.text("a1.:/@?#[]%", max_size=9).map(lambda rest: f"http://{rest}")
)


def prepared_or_error(prepare, request: TaskRequest):
    try:
        return prepare(request)
    except Rejected as rejected:
        return rejected.error


@example(endpoint={"uri": "http://a[b]@/x"}, method="get", rest={})
@example(endpoint={"uri": "http://[::1]@"}, method="get", rest={})
@example(endpoint={"uri": "http://./"}, method="get", rest={})
@given(
    endpoint=st.fixed_dictionaries({"uri": uris | json}, optional={"authentication": json}),
    method=st.sampled_from(["get", "POST"]) | json,
    rest=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("headers", "query", "body", "output", "redirect"), json)
    ),
)
def test_http_arguments(endpoint, method, rest) -> None:
    arguments = {"method": method, "endpoint": endpoint, **rest}
    prepare = partial(http.prepare, credentials_of=Authentication(cast("Outbound", None)).credentials)
    prepared = prepared_or_error(prepare, TaskRequest("e", "r", "/do/0/x", "http", arguments))
    if isinstance(prepared, WorkflowError):
        assert prepared.status == 500 if prepared.type.endswith("/communication") else 400
        assert prepared.detail
        return
    assert prepared.url.scheme in {"http", "https"}
    assert re.fullmatch(r"/[!-~]*", prepared.url.raw_path_qs)
    assert prepared.label  # as errors name the request
    for name, value in prepared.headers.items():
        assert not set("\r\n\0") & set(name + value)


@given(
    command=json, rest=st.dictionaries(st.sampled_from(["arguments", "environment", "stdin", "return"]), json)
)
def test_shell_arguments(command, rest) -> None:
    arguments = {"command": command, **rest}
    prepared = prepared_or_error(shell.prepare, TaskRequest("e", "r", "/do/0/x", "shell", arguments))
    if isinstance(prepared, WorkflowError):
        assert prepared.status == 400
        assert prepared.detail
        return
    program, options = prepared
    assert "\0" not in "".join([program.script, *program.arguments, *options.environment.values()])


@given(
    body=st.binary(max_size=60),
    kind=st.sampled_from(["application/json", "text/plain", "application/x+json", "x/y", ""]) | text,
    charset=st.sampled_from(["utf-8", "utf-16", "utf-7", "idna", "punycode", "undefined", "zlib", "hex"])
    | text,
)
@example(body=b"{", kind="application/json", charset="undefined")
def test_responses(body, kind, charset) -> None:
    for content_type in (kind, f"{kind}; charset={charset}", f'{kind};charset="{charset}'):
        with contextlib.suppress(UnreadableContent):
            value = content(body, content_type)
            assert body or value is None
