"""Secrets in the executor: their values, the tasks that get them, masking (inventory S1-S3, K1)."""

import asyncio
import base64
import json
import random
import time
from contextlib import nullcontext
from dataclasses import replace
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from tests.task_contexts import task_context

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.eventstore.records import Message, MessageKind, TaskRequest
from unspool.executor.handlers import default_handlers
from unspool.executor.masking import LongMask, Mask
from unspool.executor.outcome import Completed, Faulted
from unspool.executor.secret_handler import SecretHandler
from unspool.executor.secret_masks import SecretMasks
from unspool.executor.secrets import LocalSecrets, local_secrets, secrets_of
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import current, parked
from unspool.worker.interpreter import State, decide

HEAD = "document: {dsl: '1.0.3', namespace: test, name: test, version: '1.0.0'}\n"
SECRET = 'S3cr3t/Val+ue"x"%41&ü'


@pytest.fixture
def requested(jq: JqPool):
    """The task request that a definition makes."""

    def make(text: str, value=None) -> TaskRequest:
        plan = compile_plan(load(HEAD + text).value, jq)
        decision = decide(plan, State("e1"), Message(MessageKind.START, "e1", {"input": value}), 1)
        assert SECRET not in str(decision.events)
        (request,) = decision.tasks
        assert [event for event in decision.events if event.type == "task.requested"]
        return request

    return make


@pytest.fixture
def execute(jq: JqPool):
    """Runs a request with secrets."""

    async def run(request: TaskRequest, environment: dict[str, str], directory: str = ""):
        provider = LocalSecrets(environment, directory)
        async with default_handlers(ExecutorSettings(allow_shell=True), jq=jq, secrets=provider) as handlers:
            return await handlers[request.kind](request, task_context())

    return run


def shell(environment: str) -> str:
    """A definition that prints the variable K in upper case."""
    return f"""\
use: {{secrets: [token]}}
do:
  - print:
      run:
        shell:
          command: printf %s "$K" | tr a-z A-Z
          environment:
            K: '{environment}'
"""


async def test_an_argument_that_reads_a_secret_travels_as_its_expression(requested, execute):
    request = requested(shell("${ $secrets.token + .a }"), {"a": "-x", "b": 1})
    assert request.arguments["environment"] == {"K": None}
    assert request.arguments["$secrets"] == {
        "declared": ["token"],
        "texts": [
            {
                "at": "/environment/K",
                "text": "${ $secrets.token + .a }",
                "syntax": "value",
                "needs": ["token"],
                "variables": {},
                "input": {"a": "-x", "b": 1},
            }
        ],
    }
    assert await execute(request, {"UNSPOOL_SECRET_TOKEN": "hush"}) == Completed("HUSH-X")


async def test_an_expression_takes_along_only_what_it_reads(requested, execute):
    (alone,) = requested(shell("${ $secrets.token }"), {"a": 1}).arguments["$secrets"]["texts"]
    assert "input" not in alone
    request = requested(shell('${ $workflow.id + $secrets["token"] }'), {"a": 1})
    (text,) = request.arguments["$secrets"]["texts"]
    assert text["variables"].keys() == {"workflow"}
    assert await execute(request, {"UNSPOOL_SECRET_TOKEN": "hush"}) == Completed("E1HUSH")


async def test_an_expression_for_real_jq_is_evaluated_in_the_executor(requested, execute):
    request = requested(shell('${ $secrets.token | ltrimstr("h") | [splits("u")] | join("_") }'))
    assert await execute(request, {"UNSPOOL_SECRET_TOKEN": "huusuh"}) == Completed("__S_H")


async def test_a_secret_that_is_only_named_in_a_text_is_not_needed(requested, execute):
    request = requested(shell('${ $secrets.token + " $secrets.other" # $secrets.third }'))
    (text,) = request.arguments["$secrets"]["texts"]
    assert text["needs"] == ["token"]
    assert await execute(request, {"UNSPOOL_SECRET_TOKEN": "hush"}) == Completed("HUSH $SECRETS.OTHER")


@pytest.mark.parametrize(("name", "printed"), [("token", "HUSH"), ("other", "NONE")])
async def test_a_computed_name_reads_only_declared_secrets(requested, execute, name, printed):
    request = requested(shell('${ $secrets[.name] // "none" }'), {"name": name})
    environment = {"UNSPOOL_SECRET_TOKEN": "hush", "UNSPOOL_SECRET_OTHER": "hidden"}
    assert await execute(request, environment) == Completed(printed)


async def test_data_cannot_name_a_secret(requested, execute):
    request = requested(shell("${ .x }"), {"x": "${ $secrets.token }", "$secrets": {"texts": []}})
    assert await execute(request, {"UNSPOOL_SECRET_TOKEN": "hush"}) == Completed("${ $SECRETS.TOKEN }")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            shell("${ $secrets.token }"),
            "'token' has no value in this executor; by default it is in UNSPOOL_SECRET_TOKEN",
        ),
        (shell("${ $secrets.other }"), "'other' is not declared"),
    ],
)
async def test_a_missing_secret_is_an_authorization_error_that_names_it(requested, execute, text, named):
    outcome = await execute(requested(text), {"UNSPOOL_SECRET_OTHER": "x"})
    assert isinstance(outcome, Faulted)
    assert outcome.error.status == 403
    assert outcome.error.type.endswith("authorization")
    assert named in str(outcome.error.detail)


async def test_a_request_without_the_member_is_run_as_before(execute):
    request = TaskRequest("e", "1", "/do/0/t", "shell", {"command": "echo $secrets"})
    assert await execute(request, {}) == Completed("")


@pytest.mark.parametrize(
    ("scheme", "value", "header"),
    [
        (
            "basic",
            '{"username": "ann", "password": "pass-word"}',
            "Basic " + base64.b64encode(b"ann:pass-word").decode(),
        ),
        ("bearer", "tok-en", "Bearer tok-en"),
        ("bearer", '{"token": "tok-en"}', "Bearer tok-en"),
    ],
)
async def test_a_scheme_of_a_policy_is_a_secret(requested, execute, service, scheme, value, header):
    service.answer("/", "{}", Content_Type="application/json")
    request = requested(f"""\
use: {{secrets: [me], authentications: {{mine: {{{scheme}: {{use: me}}}}}}}}
do: [{{t: {{call: http, with: {{method: get, headers: {{X: '${{ $authorization.scheme }}'}},
  endpoint: {{uri: '{service.url}/', authentication: {{use: mine}}}}}}}}}}]
""")
    assert await execute(request, {"UNSPOOL_SECRET_ME": value}) == Completed({})
    assert service.requests[0].headers["Authorization"] == header
    assert service.requests[0].headers["X"] == header.split()[0]


async def test_a_secret_in_an_address(requested, execute, service):
    service.answer("/a%2Fb", "ok")
    service.answer("/a/b", "ok")
    request = requested(f"""\
use: {{secrets: [me]}}
do: [{{t: {{call: http, with: {{method: get, endpoint: '{service.url}/${{ $secrets.me | @uri }}'}}}}}}]
""")
    await execute(request, {"UNSPOOL_SECRET_ME": "a/b"})
    assert service.requests[0].raw_path == "/a%2Fb"


# -- providers


@pytest.mark.parametrize("name", ["api-key.v1", "API_KEY_V1", "Api-Key_v1"])
def test_names_of_environment_variables(name):
    assert LocalSecrets({"UNSPOOL_SECRET_API_KEY_V1": "x"}).secret(name) == "x"


@pytest.mark.parametrize(
    ("text", "value"), [("12", "12"), ('{"a": 1}', {"a": 1}), ("[1]", [1]), ("{no", "{no"), ('"q"', '"q"')]
)
def test_json_objects_and_arrays_are_parsed(text, value):
    assert LocalSecrets({"UNSPOOL_SECRET_A": text}).secret("a") == value


def test_files_are_read_at_each_use(tmp_path):
    provider = LocalSecrets({}, str(tmp_path))
    assert provider.secret("db.main") is None
    (tmp_path / "db.main").write_text("one\n")
    assert provider.secret("db.main") == "one"
    (tmp_path / "db.main").write_text("two")
    assert provider.secret("db.main") == "two"


@pytest.mark.parametrize("name", ["../outside", "..", ".hidden", "a/b", ""])
def test_a_name_does_not_lead_out_of_the_directory(tmp_path, name):
    (tmp_path / "outside").write_text("x")
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / ".hidden").write_text("x")
    (tmp_path / "in" / "a" / "b").write_text("x")
    assert LocalSecrets({}, str(tmp_path / "in")).secret(name) is None


# -- tenants


def of(tmp_path, tenant, *, shared=False):
    """Returns the value of the secret `token` for a tenant."""
    environment = {"UNSPOOL_SECRET_TOKEN": "of default"}
    return secrets_of(local_secrets(environment, str(tmp_path), shared=shared), tenant).secret("token")


def test_each_tenant_has_secrets_of_its_own(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "token").write_text("of shop")
    assert of(tmp_path, "default") == "of default"
    assert of(tmp_path, "shop") == "of shop"
    assert [of(tmp_path, tenant) for tenant in ("bank", "Shop", "SHOP", "token")] == [None] * 4
    assert {of(tmp_path, tenant, shared=True) for tenant in ("default", "shop", "bank")} == {"of default"}


def test_a_tenant_without_a_directory_has_no_secrets():
    provider = local_secrets({"UNSPOOL_SECRET_TOKEN": "x"}, "", shared=False)
    assert secrets_of(provider, "shop").secret("token") is None
    assert provider.secret("token") == "x"


def test_the_default_tenant_cannot_read_files_of_others(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "token").write_text("of shop")
    provider = local_secrets({}, str(tmp_path), shared=False)
    assert [provider.secret(name) for name in ("shop", "shop/token", "shop\\token")] == [None] * 3


async def test_a_task_gets_the_secrets_of_its_tenant(requested, jq, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "token").write_text("of shop")
    provider = local_secrets({"UNSPOOL_SECRET_TOKEN": "of default"}, str(tmp_path), shared=False)
    request = requested(shell("${ $secrets.token | length | tostring }"))
    async with default_handlers(ExecutorSettings(allow_shell=True), jq=jq, secrets=provider) as handlers:
        lengths = {
            tenant: await handlers[request.kind](request, replace(task_context(), tenant=tenant))
            for tenant in ("default", "shop", "bank")
        }
    assert (lengths["default"].output, lengths["shop"].output) == ("10", "7")
    assert "UNSPOOL_SECRETS_SHARED" in lengths["bank"].error.detail


# -- masking


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower().replace("s3cr3t%2fval%2bue", "S3cr3t%2fVal%2bue"),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(json.dumps(SECRET))[3:-3],
        *(
            base64.b64encode(b"user:"[:n] + SECRET.encode() + b"z" * m).decode()
            for n in range(4)
            for m in range(3)
        ),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_forms_of_a_secret_are_masked(form):
    text = Mask([SECRET]).text(f"<{form}>")
    assert "***" in text
    assert len(text) <= len("<***>") + 12  # the text before and after it in base64
    assert Mask([{"a": [SECRET]}]).value({form: [form]}) == {text[1:-1]: [text[1:-1]]}


def test_short_values_are_not_masked():
    assert Mask(["abc", {"a": "x", "b": "long"}]).text("abc x long") == "abc x ***"


def test_numbers_are_masked():
    assert Mask(["123456"]).value([123456, 1, True, None]) == ["***", 1, True, None]


QUOTES = '\'\'""""""""\'"\'"\'"\'"\'"\'"\'"\'"\'"\'"'


@pytest.mark.parametrize(
    "secret", ["+abcd", "\\\\\\\\x\\y", "%%%%%%%%", "aaaa/aaaa", f"a{QUOTES}b", 'a\\"\né' * 30]
)
@pytest.mark.parametrize(
    "piece", ["\\", "%25", "%5C", "a", "+", "'", QUOTES, f"a{QUOTES * 4}", 'a\\\\\\"\\n\\u00e9']
)
def test_masking_takes_linear_time(secret, piece):
    started = time.process_time()
    Mask([secret]).text(piece * (200_000 // len(piece)))
    assert time.process_time() - started < 3


def test_a_secret_with_backslashes_is_masked():
    secret = 'C:\\\\dir\\"name"'
    for form in (secret, json.dumps(secret), json.dumps(json.dumps(secret)), quote(json.dumps(secret))):
        assert "dir" not in Mask([secret]).text(form)


@pytest.mark.parametrize(
    "encode", ["base64", "base64 | sed 's/^/  /'", "od -An -v -tx1 | tr -d ' '", "sed 's#/#\\\\/#g'"]
)
async def test_a_secret_is_masked_in_what_a_command_prints(requested, execute, encode):
    token = "ghp_" + "kxl/TqW9" * 12
    request = requested(shell("${ $secrets.token }"))
    command = f'printf %s "$K" | {encode}'
    request = request._replace(arguments={**request.arguments, "command": command})
    outcome = await execute(request, {"UNSPOOL_SECRET_TOKEN": token})
    assert isinstance(outcome, Completed)
    assert str(outcome.output).strip(" =\n") == "***"


# -- `$authorization` of policies for tokens


TOKEN_POLICY = """\
use: {{secrets: [me], authentications: {{mine: {{oauth2: {policy}}}}}}}
do: [{{t: {{call: http, with: {{method: post, headers: {{X: '{header}'}}, body: '{body}',
  endpoint: {{uri: '{url}/', authentication: {{use: mine}}}}}}}}}}]
"""


@pytest.mark.parametrize("secret", [False, True])
async def test_arguments_can_read_the_token(requested, execute, service, secret):
    # K8: the worker does not know the token, so such arguments travel as expressions
    async def token(_):
        return web.json_response({"access_token": "a-t0ken-of-the-provider", "expires_in": 3600})

    async def echo(request):
        return web.json_response({"body": await request.json(), "x": request.headers["X"]})

    service.answers["/oauth2/token"], service.answers["/"] = token, echo
    members = {"authority": service.url, "grant": "client_credentials", "client": {"id": "a", "secret": "b"}}
    request = requested(
        TOKEN_POLICY.format(
            policy="{use: me}" if secret else json.dumps(members),
            header="${ $authorization.scheme }/${ $authorization.parameter }",
            body="${ {n: ., token: $authorization.parameter} }",
            url=service.url,
        ),
        7,
    )
    outcome = await execute(request, {"UNSPOOL_SECRET_ME": json.dumps(members)})
    assert outcome == Completed({"body": {"n": 7, "token": "***"}, "x": "Bearer/***"})
    called = service.requests[1]
    assert called.headers["Authorization"] == "Bearer a-t0ken-of-the-provider"
    assert called.headers["X"] == "Bearer/a-t0ken-of-the-provider"
    assert json.loads(service.bodies[1]) == {"n": 7, "token": "a-t0ken-of-the-provider"}
    assert len(service.requests) == 2


async def test_an_argument_that_reads_the_token_fails_with_the_error_of_the_token(
    requested, execute, service
):
    members = {"authority": service.url, "grant": "client_credentials"}
    request = requested(
        TOKEN_POLICY.format(
            policy=json.dumps(members), header="${ $authorization.parameter }", body="x", url=service.url
        )
    )
    service.answer("/oauth2/token", '{"error": "invalid_client"}', status=401)
    outcome = await execute(request, {})
    assert isinstance(outcome, Faulted)
    assert (outcome.error.status, outcome.error.type.rpartition("/")[2]) == (401, "authentication")


def test_long_texts_are_masked():
    token = "".join(chr(33 + n * 7 % 90) for n in range(2000))
    mask = LongMask(token)
    for form in (
        token,
        quote(token),
        quote_plus(token).lower() if token.lower() == token else quote_plus(token),
        json.dumps(token)[1:-1],
        *(base64.b64encode(b"user:"[:n] + token.encode() + b"z").decode() for n in range(3)),
        base64.urlsafe_b64encode(token.encode()).decode(),
    ):
        text = mask.text(f"<{form}>")
        assert "***" in text
        assert len(text) < 30
    assert mask.value({token: [token, 1, None]}) == {"***": ["***", 1, None]}


# -- secrets that are addresses


def post(endpoint: str, more: str = "") -> str:
    """A definition that posts to an address with the secret `hook`."""
    return f"""\
use: {{secrets: [hook]}}
do: [{{t: {{call: http, with: {{method: post, endpoint: '{endpoint}', body: {{}} {more}}}}}}}]
"""


HOOK = "/services/T0000/B000%2F1/PATHSECRET77"


@pytest.mark.parametrize("end", ["", "?sig=QUERY", "#fragment", "/", "?"])
@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST", "ann:passw0rd@127.0.0.1"])
async def test_an_address_is_masked_as_the_executor_shows_it(requested, execute, service, end, status, host):
    async def answer(_):
        return web.Response(status=status)

    service.answers[HOOK] = service.answers[HOOK.replace("%2F", "/")] = service.answers[HOOK + "/"] = answer
    secret = f"http://{host}:{service.url.rpartition(':')[2]}{HOOK}{end}"
    outcome = await execute(
        requested(post("${ $secrets.hook }", ", output: response")), {"UNSPOOL_SECRET_HOOK": secret}
    )
    shown = str(outcome.output if isinstance(outcome, Completed) else outcome.error.to_json())
    assert len(service.requests) == 1
    assert "***" in shown
    assert "T0000" not in shown
    assert "QUERY" not in shown


@pytest.mark.parametrize(
    ("secret", "endpoint"),
    [
        ("s3cr3t-T0k3n", '${ "http://" + $secrets.hook + ".invalid/" }'),
        ("S3cr3t-T0k3n.invalid/PATH/s3cr3t-t0k3n", '${ "http://" + $secrets.hook }'),
        ("Gehe\u00efm-T0k3n.invalid", '${ "http://" + $secrets.hook }'),
        ("/s3cr3t-t0k3n/x?s3cr3t-t0k3n", '${ "http://unknown.invalid" + $secrets.hook }'),
        ("a/../s3cr3t-t0k3n", '${ "http://unknown.invalid/" + $secrets.hook }'),
    ],
)
async def test_a_part_of_an_address_is_masked_as_the_executor_shows_it(requested, execute, secret, endpoint):
    outcome = await execute(requested(post(endpoint)), {"UNSPOOL_SECRET_HOOK": secret})
    assert isinstance(outcome, Faulted)
    assert "***" in str(outcome.error.detail)
    assert "t0k3n" not in str(outcome.error.detail).lower()


async def test_the_address_of_an_authority_is_masked(requested, execute, service):
    secret = f"{service.url}/services/PATHSECRET77?sig=QUERY"
    policy = "{authority: '${ $secrets.me }', grant: client_credentials, client: {id: a, secret: b}}"
    text = TOKEN_POLICY.format(policy=policy, header="x", body="x", url=service.url)
    service.answer("/services/PATHSECRET77/oauth2/token", "{}", status=404)
    outcome = await execute(requested(text), {"UNSPOOL_SECRET_ME": secret})
    assert isinstance(outcome, Faulted)
    assert "***" in str(outcome.error.detail)
    assert "PATHSECRET77" not in str(outcome.error.to_json())


@pytest.mark.parametrize("secret", ["p[a]ssW0rd@", "[::1]p4ss@", "//[::1]@/p4ss", "https://[a]:b@"])
def test_a_secret_that_looks_like_an_address_without_a_host_is_masked(secret):
    assert Mask([secret]).text(f"no {secret}") == "no ***"


def test_what_is_no_address_has_no_other_forms():
    mask = Mask(["Main", "ann@example.com", "k9?x#abcdef", "https://example.com/orders/7?key=abc"])
    kept = "main @example.com k9?x https://example.com/orders/8 /orders/7"
    assert mask.text(kept) == kept


async def test_what_a_task_waits_for_is_masked(requested):
    waits: list[str] = []

    async def wait(_request, context):
        with (
            context.parked("messages of nats://s3cr3t-t0k3n.invalid"),
            parked("the limit of s3cr3t-t0k3n.invalid"),
        ):
            return Completed(None)

    def noted(why):
        waits.append(why)
        return nullcontext()

    context = task_context(parked=noted)
    secrets = LocalSecrets({"UNSPOOL_SECRET_HOOK": "S3cr3t-T0k3n.invalid"})
    token = current.set(context)
    await SecretHandler(wait, secrets, None)(requested(post("http://a.invalid")), context)
    current.reset(token)
    assert waits == ["messages of nats://***", "the limit of ***"]


# -- large secrets


def certificates(characters: int) -> str:
    """Lines of 64 characters, as a chain of certificates has them."""
    text = base64.b64encode(random.Random(characters).randbytes(characters)).decode()[:characters]
    return "\n".join(text[at : at + 64] for at in range(0, characters, 64))


@pytest.mark.parametrize("characters", [2048, 40_960])
def test_a_large_secret_and_its_lines_are_masked(characters):
    secret = certificates(characters)
    mask = Mask([secret, "short-secret"])
    line = secret.splitlines()[7]
    forms = (
        secret,
        json.dumps(secret),
        json.dumps(json.dumps(secret)),
        quote_plus(secret),
        base64.b64encode(b"a" + secret.encode()).decode(),
        line,
        quote(line, safe="").lower() if line == line.lower() else quote(line, safe=""),
        base64.b64encode(b"ab" + line.encode()).decode(),
    )
    for form in forms:
        text = mask.text(f"<{form}> short%2Dsecret")
        assert "***" in text[:8]
        assert text.endswith("> ***")
        assert not any(each in text for each in secret.splitlines())
        assert len(text) < 30 + 8 * (form.count("\\n") + 1)
    assert mask.text(line[:-1]) == line[:-1]


def test_a_secret_is_masked_wherever_it_is_in_a_large_text():
    mask = Mask([SECRET, certificates(8192)])
    for before in range(16_384 - 24, 16_384 + 2):
        for form in (SECRET, quote(SECRET, safe=""), base64.b64encode(SECRET.encode() * 2).decode()):
            text = mask.text("é" * before + form)
            assert text.startswith("é" * before + "***")
            assert len(text) < before + 8


def test_masks_are_kept_by_value_within_a_bound():
    masks = SecretMasks()
    first = masks.of(["one-secret"])
    assert masks.of(["one-secret"]) is first
    assert masks.of(["two-secret"]).text("one-secret two-secret") == "one-secret ***"
    for number in range(100):
        masks.of([f"secret-{number}"])
    assert masks.of(["one-secret"]) is not first


async def test_a_large_secret_does_not_stop_the_other_tasks_of_an_executor(jq, requested):
    environment = {"UNSPOOL_SECRET_TOKEN": certificates(40_960)}
    request = requested(shell("xx"))
    request = request._replace(
        arguments={**request.arguments, "command": "head -c 400000 /dev/zero | tr '\\0' x"}
    )
    stopped: list[float] = []
    async with default_handlers(
        ExecutorSettings(allow_shell=True), jq=jq, secrets=LocalSecrets(environment)
    ) as handlers:
        run = asyncio.ensure_future(handlers["shell"](request, task_context()))
        while not run.done():
            before = time.thread_time()
            await asyncio.wait({run}, timeout=0.01)
            stopped.append(time.thread_time() - before)
        assert await run == Completed("x" * 400_000)
    assert max(stopped) < 0.5  # seconds of the event loop's thread
