"""Webhooks over HTTP: every kind of verification, what becomes of bodies, and hostile senders."""

import hashlib
import hmac
import json
import logging
import re
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from unspool.api.hooks.configuration import Hooks, read_hooks
from unspool.cli.node import Node
from unspool.eventstore.opening import open_store
from unspool.executor.secrets import LocalSecrets

HOOKS = """\
github:
  verify: {github: {secret: GITHUB}}
  type: 'com.github.{X-GitHub-Event}'
  subject: '{.repository.full_name}'
  headers: [X-GitHub-Event, X-GitHub-Hook-ID]
plain: {verify: {github: {secret: GITHUB}}, tenant: other}
stripe: {verify: {stripe: {secret: STRIPE}}, type: 'com.stripe.{.type}'}
slack: {verify: {slack: {secret: SLACK}}}
standard: {verify: {standardWebhooks: {secret: STANDARD}}}
gitlab: {verify: {gitlab: {secret: TOKEN}}}
bearer: {verify: {bearer: {secret: [OLD_TOKEN, TOKEN]}}}
token: {verify: {token: {secret: TOKEN, header: X-Key}}, id: {body: '.entry[0].id'}}
sha1: {verify: {hmac: {secret: RFC, header: X-Sum, algorithm: sha1}}}
sha256: {verify: {hmac: {secret: RFC, header: X-Sum, prefix: 'sum='}}}
sha384: {verify: {hmac: {secret: RFC, header: X-Sum, algorithm: sha384, encoding: base64}}}
sha512: {verify: {hmac: {secret: RFC, header: X-Sum, algorithm: sha512}}}
timed:
  verify:
    hmac:
      {secret: RFC, header: X-Sum, timestamp: X-Time, signed: '{X-Id}/{timestamp}/{body}', tolerance: PT1M}
open: {verify: none, headers: [X-Note]}
keyed: {verify: none, id: {header: X-Delivery}}
"""

SECRETS = {
    "GITHUB": "It's a Secret to Everybody",
    "STRIPE": "whsec_canary0815",
    "SLACK": "8f742231b10e8888abcd99yyyzzz85a5",
    "STANDARD": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "TOKEN": "t0ken-canary-ü",
    "RFC": "Jefe",
}

NOW = 1_700_000_000_000

HELLO = b"Hello, World!"
HELLO_SUM = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
"""The example in GitHub's documentation."""

SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
    b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_SUM = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
"""The example in Slack's documentation."""

RFC_BODY = b"what do ya want for nothing?"
"""Test case 2 of RFC 2202 and RFC 4231."""
RFC_SUMS = {
    "sha1": "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
    "sha256": "sum=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "sha384": "r0XS43ZIQDFhf3jStYprG5x+9GT1oBtH5C7Dc2MiRF6OIkDKXmnix4syOez6shZJ",
    "sha512": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
}


class StoppedClock:
    """A clock that shows the time that a test sets."""

    def __init__(self, time=NOW):
        self.time = time

    def now(self):
        return self.time


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def secrets_dir(tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, value in SECRETS.items():
        (folder / name).write_text(value + "\n")
    return folder


@pytest.fixture
def run_hooks(running_api, clock, secrets_dir):
    """Runs the API with webhooks on a store."""

    @asynccontextmanager
    async def run(store, text=HOOKS):
        hooks = Hooks(read_hooks(text.encode(), "hooks.yaml"), LocalSecrets({}, str(secrets_dir)))
        async with running_api(store, hooks=hooks, clock=clock) as api:
            yield api

    return run


@pytest.fixture
async def api(store, run_hooks):
    """The API with webhooks on an empty SQLite store."""
    async with run_hooks(store) as running:
        yield running


@pytest.fixture(params=["sqlite", "redis"])
async def any_store(request, tmp_path):
    """An empty store of each kind, and its URL."""
    url = f"sqlite:///{tmp_path}/any.db"
    if request.param == "redis":
        url = request.getfixturevalue("redis_database")
    store = await open_store(url, {})
    yield store, url
    await store.close()


async def send(api, name, expect, body=HELLO, kind="text/plain", **headers):
    """Sends a body to a webhook; `_` in the name of a header is `-`."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return await api.post(f"/hooks/{name}", expect, data=body, headers={"Content-Type": kind, **named})


async def published(api, tenant="default"):
    return [each.event for each in await api.store.published_events(tenant)]


async def counts(api):
    text = await api.get("//metrics")
    found = re.findall(r'^unspool_hooks_total\{name="(.*?)",result="(.*?)"\} (\d+)$', text, re.MULTILINE)
    return {(name, result): int(count) for name, result, count in found}


def signature(secret, content, algorithm="sha256"):
    """The signature, made by OpenSSL."""
    command = ["openssl", "dgst", f"-{algorithm}", "-hmac", secret]
    return subprocess.check_output(command, input=content).decode().split()[-1]


# -- verification


async def test_the_example_of_github(api):
    body = json.dumps({"repository": {"full_name": "shop/site"}, "n": 9007199254740993}).encode()
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-GitHub-Hook-ID": "42",
    }
    signed = {"X-Hub-Signature-256": "sha256=" + signature(SECRETS["GITHUB"], body)}
    await send(api, "github", 202, body, "application/json", **headers, **signed)
    assert await published(api) == [
        {
            "specversion": "1.0",
            "id": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "source": "/hooks/github",
            "type": "com.github.push",
            "time": "2023-11-14T22:13:20.000Z",
            "subject": "shop/site",
            "xgithubevent": "push",
            "xgithubhookid": "42",
            "datacontenttype": "application/json",
            "data": json.loads(body),
        }
    ]


async def test_a_published_signature_of_github(api):
    assert await send(api, "plain", 202, X_Hub_Signature_256=HELLO_SUM) == {"accepted": 1}
    [event] = await published(api, "other")
    assert (event["type"], event["data"]) == ("hook.plain", "Hello, World!")
    assert await published(api) == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": HELLO_SUM.removeprefix("sha256=")},
        {"X-Hub-Signature-256": HELLO_SUM.replace("sha256", "sha1")},
        {"X-Hub-Signature-256": HELLO_SUM.replace("sha256", "none")},
        {"X-Hub-Signature-256": HELLO_SUM[:-1]},
        {"X-Hub-Signature-256": HELLO_SUM[:-1] + "8"},
        {"X-Hub-Signature-256": HELLO_SUM.replace("7", "７")},  # noqa: RUF001 - a wide digit
        {"X-Hub-Signature-256": "sha256=" + "ß" * 64},
        {"X-Hub-Signature-256": f"{HELLO_SUM}, {HELLO_SUM}"},
        {"X-Hub-Signature-256": "sha256=" + " " * 5000 + HELLO_SUM[7:]},
        {"X-Hub-Signature": HELLO_SUM},
        {"Authorization": f"Bearer {SECRETS['GITHUB']}"},
    ],
)
async def test_a_wrong_signature_leaves_nothing_but_a_count(api, headers, caplog):
    caplog.set_level(logging.DEBUG)
    sent = {"Content-Type": "text/plain", "X-GitHub-Delivery": "1", **headers}
    response, problem = await api.call("POST", "/hooks/plain", 401, data=HELLO, headers=sent)
    assert problem["detail"] == "the signature or token is missing or wrong"
    assert response.headers["WWW-Authenticate"] == "Signature"
    assert await published(api, "other") == []
    assert await counts(api) == {("plain", "unauthorized"): 1}
    assert [record for record in caplog.records if record.name.startswith("unspool")] == []
    # The delivery was not noted as seen.
    await send(api, "plain", 202, X_Hub_Signature_256=HELLO_SUM, X_GitHub_Delivery="1")
    assert len(await published(api, "other")) == 1


async def test_the_bytes_that_were_sent_are_verified(api):
    for body in (b"Hello, World! ", b"hello, World!", b"", HELLO + b"\0"):
        await send(api, "plain", 401, body, X_Hub_Signature_256=HELLO_SUM)
    await send(api, "plain", 202, X_Hub_Signature_256="sha256=" + HELLO_SUM[7:].upper())


async def test_a_header_that_is_sent_twice_is_not_read(api):
    twice = [("Content-Type", "text/plain"), ("X-Hub-Signature-256", HELLO_SUM)]
    for other in (HELLO_SUM, "sha256=00", ""):
        await api.post("/hooks/plain", 401, data=HELLO, headers=[*twice, ("X-Hub-Signature-256", other)])
    ids = [("X-GitHub-Delivery", "1"), ("X-GitHub-Delivery", "2")]
    problem = await api.post("/hooks/plain", 400, data=HELLO, headers=[*twice, *ids])
    assert problem["detail"] == "the header x-github-delivery was sent twice"
    assert await published(api, "other") == []


def stripe_header(body, time=NOW // 1000, secret=SECRETS["STRIPE"]):
    return f"t={time},v1={signature(secret, b'%d.%b' % (time, body))}"


PAYMENT = b'{"id": "evt_1", "type": "payment_intent.succeeded"}'


@pytest.mark.parametrize("change", ["{0}", "{0},v0=00", "v1=00,{0}", "{0},v1=ff", " {0}", "v1=00,v1=,{0},x"])
async def test_stripe(api, change):
    header = change.format(stripe_header(PAYMENT))
    await send(api, "stripe", 202, PAYMENT, "application/json; charset=utf-8", Stripe_Signature=header)
    [event] = await published(api)
    assert (event["id"], event["type"]) == ("evt_1", "com.stripe.payment_intent.succeeded")


@pytest.mark.parametrize(
    "header",
    [
        stripe_header(PAYMENT, NOW // 1000 - 301),
        stripe_header(PAYMENT, NOW // 1000 + 301),
        stripe_header(PAYMENT, secret="other"),
        stripe_header(PAYMENT).replace("v1=", "v0="),
        stripe_header(PAYMENT).replace("v1=", "none="),
        stripe_header(PAYMENT).replace(f"t={NOW // 1000}", f"t={NOW // 1000 + 1}"),
        stripe_header(PAYMENT) + f",t={NOW // 1000}",
        stripe_header(PAYMENT).partition(",")[2],
        stripe_header(PAYMENT).partition(",")[0],
        ",".join(["v1=" + "0" * 64] * 16) + "," + stripe_header(PAYMENT),
        stripe_header(PAYMENT).replace("t=", "t=+"),
        stripe_header(PAYMENT).replace("t=1", "t=١"),  # noqa: RUF001 - an Arabic digit
        "t=,v1=",
        "t=99999999999999999999999,v1=00",
        "t=1e9,v1=00",
        "t=9999-12-31T23:59:59Z,v1=00",
        "t=0001-01-01T00:00:00+23:59,v1=00",
        "=" * 4000,
        "," * 4000,
    ],
)
async def test_stripe_refuses(api, header):
    await send(api, "stripe", 401, PAYMENT, "application/json", Stripe_Signature=header)
    assert await published(api) == []


async def test_an_old_signature_is_accepted_up_to_the_tolerance(api, clock):
    header = stripe_header(PAYMENT)
    for later, status in ((300_000, 202), (300_001, 401), (-300_001, 401)):
        clock.time = NOW + later
        await send(api, "stripe", status, PAYMENT, "application/json", Stripe_Signature=header)


async def test_the_example_of_slack(api, clock):
    clock.time = 1531420618_000 + 4000
    form = "application/x-www-form-urlencoded"
    headers = {"X-Slack-Signature": SLACK_SUM, "X-Slack-Request-Timestamp": "1531420618"}
    for _ in range(2):  # the second is a replay within the tolerance
        await send(api, "slack", 202, SLACK_BODY, form, **headers)
    [event] = await published(api)
    assert event["datacontenttype"] == "application/json"
    assert event["data"]["command"] == "/webhook-collect"
    assert event["data"]["text"] == ""
    await send(api, "slack", 401, SLACK_BODY, form, X_Slack_Signature=SLACK_SUM)
    await send(api, "slack", 401, SLACK_BODY, form, **{**headers, "X-Slack-Request-Timestamp": "1531420619"})
    clock.time += 300_000
    await send(api, "slack", 401, SLACK_BODY, form, **headers)


async def test_the_question_of_slack_is_answered(api):
    """Slack asks a new URL for a text (https://docs.slack.dev/reference/events/url_verification)."""
    body = b'{"type": "url_verification", "challenge": "3eZbrw1aB"}'
    time = str(NOW // 1000)
    headers = {
        "X-Slack-Request-Timestamp": time,
        "X-Slack-Signature": "v0=" + signature(SECRETS["SLACK"], b"v0:%b:%b" % (time.encode(), body)),
    }
    answer = await send(api, "slack", 200, body, "application/json", **headers)
    assert answer == {"challenge": "3eZbrw1aB"}
    assert await published(api) == []
    await send(api, "slack", 401, body, "application/json", X_Slack_Request_Timestamp=time)


async def test_the_example_of_standard_webhooks(api, clock):
    clock.time = 1614265330_000
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1a,xyz v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    await send(api, "standard", 202, body, "application/json", **headers)
    [event] = await published(api)
    assert event["id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    for change in (
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": "1614265331"},
        {"webhook-signature": headers["webhook-signature"].lower()},
        {"webhook-signature": headers["webhook-signature"].replace("v1,", "v2,")},
    ):
        await send(api, "standard", 401, body, "application/json", **{**headers, **change})


@pytest.mark.parametrize("name", RFC_SUMS)
async def test_the_vectors_of_the_rfcs(api, name):
    await send(api, name, 202, RFC_BODY, X_Sum=RFC_SUMS[name])
    await send(api, name, 401, RFC_BODY + b"!", X_Sum=RFC_SUMS[name])
    others = [text for other, text in RFC_SUMS.items() if other != name]
    for text in [*others, "sum=" + RFC_SUMS[name], RFC_SUMS[name] + "=", RFC_SUMS[name][:-2]]:
        await send(api, name, 401, RFC_BODY, X_Sum=text)
    assert len(await published(api)) == 1


@pytest.mark.parametrize(
    "time", [f"{NOW // 1000}", f"{NOW}", "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00"]
)
async def test_a_signature_with_a_time_in_a_header(api, time, clock):
    content = f"a/{time}/".encode() + HELLO
    headers = {"X-Time": time, "X-Id": "a", "X-Sum": signature("Jefe", content)}
    await send(api, "timed", 202, **headers)
    for change in ({"X-Id": "b"}, {"X-Id": ""}, {"X-Time": ""}, {"X-Time": "2023-11-14T22:13:20"}):
        await send(api, "timed", 401, **{**headers, **change})
    clock.time += 60_000
    await send(api, "timed", 202, **headers)
    assert len(await published(api)) == 1  # the second was a replay
    clock.time += 1
    await send(api, "timed", 401, **headers)


async def test_tokens(api):
    token = SECRETS["TOKEN"]
    await send(api, "gitlab", 202, X_Gitlab_Token=token, Idempotency_Key="1")
    await send(api, "bearer", 202, Authorization=f"Bearer {token}")
    await send(api, "bearer", 202, Authorization=f"bearer  {token}")
    body = b'{"entry": [{"id": 7}]}'
    await send(api, "token", 202, body, "application/json", X_Key=token)
    assert [event["id"] for event in await published(api)][::3] == ["1", "7"]
    for wrong in ("", "x", token[:-1], token + "x", "Bearer", "Bearer ", f"Basic {token}", token.upper()):
        await send(api, "gitlab", 401, X_Gitlab_Token=wrong)
        response, _ = await api.call("POST", "/hooks/bearer", 401, headers={"Authorization": wrong})
        assert response.headers["WWW-Authenticate"] == "Bearer"
    await send(api, "bearer", 401, Authorization=token)
    await api.post(f"/hooks/token?X-Key={token}", 401, data=body)


async def test_without_a_value_of_the_secret_everything_is_refused(api, secrets_dir):
    """A changed value needs no restart; an empty secret, which anybody knows, counts as none."""
    empty = hmac.new(b"", HELLO, hashlib.sha256).hexdigest()
    blank = hmac.new(b" ", HELLO, hashlib.sha256).hexdigest()
    file = secrets_dir / "GITHUB"
    for value in ("", "\n", " ", '{"a": "b"}', "[]"):
        file.write_text(value)
        for text in (HELLO_SUM, f"sha256={empty}", f"sha256={blank}"):
            await send(api, "plain", 401, X_Hub_Signature_256=text)
    file.unlink()
    await send(api, "plain", 401, X_Hub_Signature_256=HELLO_SUM)
    for value in ("whsec_", "whsec_not base64", "="):
        (secrets_dir / "STANDARD").write_text(value)
        await send(
            api, "standard", 401, webhook_signature="v1,", webhook_id="a", webhook_timestamp="1700000000"
        )
    (secrets_dir / "TOKEN").write_text("")
    await send(api, "bearer", 401, Authorization="Bearer ")
    await send(api, "bearer", 401, Authorization="Bearer")
    assert await counts(api) == {
        ("plain", "no_secret"): 16,
        ("standard", "no_secret"): 3,
        ("bearer", "no_secret"): 2,
    }
    file.write_text(SECRETS["GITHUB"])
    await send(api, "plain", 202, X_Hub_Signature_256=HELLO_SUM)
    (secrets_dir / "OLD_TOKEN").write_text("old")
    await send(api, "bearer", 202, Authorization="Bearer old")


# -- the event


@pytest.mark.parametrize(
    ("kind", "body", "members"),
    [
        ("application/json", b'{"a": [1, null]}', {"data": {"a": [1, None]}}),
        ("application/vnd.x+json; charset=utf-8", b"[1]", {"data": [1]}),
        ("application/json", b"null", {"data": None}),
        ("application/json", b"", {}),
        ("text/plain; charset=utf-8", "é\n".encode(), {"data": "é\n"}),
        ("application/xml", b"<a/>", {"data_base64": "PGEvPg=="}),
        ("application/octet-stream", b"\xff\x00", {"data_base64": "/wA="}),
        ("multipart/form-data; boundary=x", b"--x--", {"data_base64": "LS14LS0="}),
    ],
)
async def test_bodies(api, kind, body, members):
    await send(api, "open", 202, body, kind)
    [event] = await published(api)
    assert event.pop("id")
    assert event == {
        "specversion": "1.0",
        "source": "/hooks/open",
        "type": "hook.open",
        "time": "2023-11-14T22:13:20.000Z",
        "datacontenttype": kind,
        **members,
    }


async def test_forms(api):
    body = b"a=1&b=x%20y+z&b=&b=%C3%A9&c&__proto__=1&=empty"
    await send(api, "open", 202, body, "application/x-www-form-urlencoded; charset=utf-8")
    [event] = await published(api)
    assert event["data"] == {"a": "1", "b": ["x y z", "", "é"], "c": "", "__proto__": "1", "": "empty"}


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b'"\xff"', 400),
        ("application/json", b'"\\ud800"', 400),
        ("application/json", b"NaN", 400),
        ("application/json", b"9" * 30, 400),
        ("application/json", b"[" * 101 + b"]" * 101, 400),
        ("application/json", b"[" * 90_000, 400),
        ("text/plain", b"\xff", 400),
        ("application/x-www-form-urlencoded", b"a=%FF", 400),
        ("application/x-www-form-urlencoded", b"\xff=1", 400),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 1001), 400),
        ("text/" + "x" * 2000, b"x", 422),
        ("text/\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), b"x", 202),
        ("text/plain", b"x" * 100_001, 413),
    ],
)
async def test_bodies_that_make_no_event(api, kind, body, status):
    await send(api, "open", status, body, kind)
    assert len(await published(api)) == (status == 202)
    assert await counts(api) == {("open", "accepted" if status == 202 else "rejected"): 1}


async def test_a_compressed_body_is_refused(api):
    await send(api, "open", 415, Content_Encoding="gzip")
    await send(api, "open", 202, Content_Encoding="identity")


@pytest.mark.parametrize("note", ["x" * 1025, "x" * 5000, "a\tb"])
async def test_headers_that_cannot_be_attributes(api, note):
    response, _ = await api.call("POST", "/hooks/open", data=HELLO, headers={"X-Note": note})
    assert response.status in {400, 422}
    assert await published(api) == []


async def test_headers_are_optional_and_utf_8(api):
    await send(api, "open", 202, X_Note="é", ce_type="other", ce_id="1")
    await send(api, "open", 202)
    first, second = await published(api)
    assert (first["xnote"], first["type"], first["id"] == "1") == ("é", "hook.open", False)
    assert "xnote" not in second


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{}", "the member .entry[0].id of the body is missing"),
        (b'{"entry": {"0": {"id": 1}}}', "the member .entry[0].id of the body is missing"),
        (b'{"entry": [{"id": ""}]}', "the member .entry[0].id of the body is missing"),
        (b'{"entry": [{"id": true}]}', "the member .entry[0].id of the body must be text or a whole number"),
        (b'{"entry": [{"id": 1.5}]}', "the member .entry[0].id of the body must be text or a whole number"),
        (b'{"entry": [{"id": "a\\nb"}]}', "the member .entry[0].id of the body has control characters"),
        (b'[{"entry": 1}]', "the member .entry[0].id of the body is missing"),
        (b'"x"', "the member .entry[0].id of the body is missing"),
    ],
)
async def test_an_id_that_is_configured_must_be_there(api, body, problem):
    answer = await send(api, "token", 422, body, "application/json", X_Key=SECRETS["TOKEN"])
    assert answer["detail"] == problem


async def test_a_type_needs_its_values(api):
    body = b'{"repository": {"full_name": "shop/site"}}'
    signed = {"X-Hub-Signature-256": "sha256=" + signature(SECRETS["GITHUB"], body)}
    answer = await send(api, "github", 422, body, "application/json", **signed)
    assert answer["detail"] == "the header x-github-event is missing"


async def test_the_configuration_names_the_tenant(api):
    for tenant, status in (("evil", 202), ("default", 202), ("../x", 400)):
        await send(api, "plain", status, X_Tenant=tenant, X_Hub_Signature_256=HELLO_SUM)
    assert await published(api, "evil") == await published(api) == []
    assert len(await published(api, "other")) == 2


async def test_only_configured_webhooks_exist(api):
    for name in ("nothing", "Github", "github%2F", "github%00", "..", "x" * 5000, "%FF"):
        await api.post(f"/hooks/{name}", 404, data=HELLO)
    await api.post("/hooks/", 404)
    await api.get("/hooks/github", 405)
    assert await counts(api) == {}


async def test_pages_of_other_sites_cannot_send(api):
    await send(api, "open", 403, Origin="https://evil.example")


async def test_an_unavailable_store_is_reported(api):
    await api.store.close()
    await send(api, "open", 503)
    await send(api, "plain", 401)
    assert await counts(api) == {("open", "unavailable"): 1, ("plain", "unauthorized"): 1}


# -- on both stores


async def test_a_redelivery_is_one_event(any_store, run_hooks):
    store, _ = any_store
    async with run_hooks(store) as api:
        for delivery, body in (("1", b"a"), ("1", b"a"), ("2", b"a"), ("1", b"b")):
            await send(api, "keyed", 202, body, X_Delivery=delivery)
        await send(api, "open", 202, X_Delivery="1")
        await send(api, "open", 202, X_Delivery="1")
        found = [(event["source"], event["data"]) for event in await published(api)]
    hello = HELLO.decode()
    assert found[:2] == [("/hooks/keyed", "a"), ("/hooks/keyed", "a")]
    assert found[2:] == [("/hooks/open", hello), ("/hooks/open", hello)]


LISTENER = """\
document: {dsl: '1.0.3', namespace: test, name: review, version: '1.0.0'}
do:
  - push:
      listen:
        to:
          one:
            with: {type: com.github.push, source: /hooks/github, subject: shop/site}
      output: {as: '${ .[0].commit }'}
"""


async def test_a_workflow_gets_what_a_service_sends(any_store, run_hooks, clock, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    store, url = any_store
    async with run_hooks(store) as api, Node(store, url):
        await api.deploy(LISTENER)
        path = "/workflows/test/review/executions"
        execution = await api.post(path, 202, json={})
        await waiting(api, execution["id"])
        body = b'{"repository": {"full_name": "shop/site"}, "commit": "f00"}'
        signed = {"X-Hub-Signature-256": "sha256=" + signature(SECRETS["GITHUB"], body)}
        headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", **signed}
        await send(api, "github", 401, body, "application/json", **{**headers, "X-Hub-Signature-256": "no"})
        await send(api, "github", 202, body, "application/json", **headers)
        async with api.session.get(f"{api.url}/api/v1/executions/{execution['id']}/events/stream") as stream:
            history = await stream.text()
        done = await api.get(f"/executions/{execution['id']}")
        assert (done["status"], done["output"]) == ("completed", "f00")
        everything = history + json.dumps(await published(api)) + await api.get("//metrics") + caplog.text
    assert [value for value in SECRETS.values() if value in everything] == []


async def waiting(api, id_):
    """Waits until the execution listens."""
    async with api.session.get(f"{api.url}/api/v1/executions/{id_}/events/stream") as stream:
        async for line in stream.content:
            if b"correlation-started" in line:
                return


# -- the configuration


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: {}", ["1:1: missing property 'verify' (/a)"]),
        ("- a", ["1:1: a file of webhooks is a mapping of their names (/)"]),
        ("a: {verify: nonne}", ["1:13: 'nonne' is not one of none, did you mean 'none'? (/a/verify)"]),
        ("a: {verify: {none: {}}}", ["no verification kind here"]),
        ("a: {verify: {githbu: {secret: S}}}", ["did you mean 'github' instead of 'githbu'?"]),
        ("a: {verify: {github: {secret: S}, stripe: {secret: S}}}", ["two kinds of verification in one"]),
        ("a: {verify: {github: {}}}", ["missing property 'secret'"]),
        ("a: {verify: {github: {secret: S, algorithm: none}}}", ["unknown property 'algorithm'"]),
        (
            "a: {verify: {hmac: {secret: S, header: X, algorithm: none}}}",
            ["'none' is not one of sha1, sha256"],
        ),
        ("a: {verify: {hmac: {secret: S, header: X, algorithm: md5}}}", ["'md5' is not one of sha1, sha256"]),
        ("a: {verify: {hmac: {secret: S, header: X, signed: '{timestamp}'}}}", ["write {body} once"]),
        (
            "a: {verify: {hmac: {secret: S, header: X, signed: '{timestamp}{body}'}}}",
            ["each needs the other"],
        ),
        (
            "a: {verify: {hmac: {secret: S, header: X, timestamp: T, signed: '{body}'}}}",
            ["each needs the other"],
        ),
        ("a: {verify: {hmac: {secret: S, header: X, signed: '{body'}}}", ["without other braces"]),
        ("a: {verify: {hmac: {secret: S, header: X, signed: '{body}{a b}'}}}", ["the name of a header"]),
        ("a: {verify: {hmac: {secret: S, header: X, tolerance: PT1M}}}", ["'tolerance' needs 'timestamp'"]),
        ("a: {verify: {stripe: {secret: S, tolerance: 300}}}", ["expected text, found the number 300"]),
        ("a: {verify: {stripe: {secret: S, tolerance: PT0S}}}", ["at most a day"]),
        ("a: {verify: {stripe: {secret: S, tolerance: P2D}}}", ["at most a day"]),
        ("a: {verify: {stripe: {secret: S, tolerance: 5m}}}", ["'5m' is not an ISO 8601 duration"]),
        ("a: {verify: {github: {secret: []}}}", ["at least one item is needed"]),
        ("a: {verify: {token: {secret: S, header: 'a b'}}}", ["'a b' is not the name of a header"]),
        ("a: {verify: none, typ: x}", ["unknown property 'typ', did you mean 'type'?"]),
        ("a: {verify: none, type: '{a b}'}", ["expected {X-Header} with the name of a header"]),
        ("a: {verify: none, type: 'x{'}", ["without other braces"]),
        ("a: {verify: none, type: {.a: }}", ["expected text, found a mapping"]),
        ("a: {verify: none, id: {header: X, body: .a}}", ["two kinds of id in one"]),
        ("a: {verify: none, id: {body: a}}", ["expected a path in the body"]),
        ("a: {verify: none, headers: [Id]}", ["no attribute of an event can have the name"]),
        ("a: {verify: none, headers: ['--']}", ["no attribute of an event can have the name"]),
        ("a: {verify: none, headers: [X-A, x_a]}", ["have the same attribute, 'xa'"]),
        ("a: {verify: none, headers: [Authorization]}", ["the header authorization has a secret"]),
        ("a: {verify: {gitlab: {secret: S}}, type: '{X-Gitlab-Token}'}", ["x-gitlab-token has a secret"]),
        ("a: {verify: {token: {secret: S, header: X}}, id: {header: x}}", ["the header x has a secret"]),
        ("a: {verify: none, tenant: a/b}", ["'a/b' is not a tenant"]),
        ("a/b: {verify: none}", ["the name of a webhook has 1 to 63 letters"]),
        ("a: {verify: none}\na: {verify: none}", ["2:1: duplicate key 'a', first on line 1"]),
        ("a: {verify: none, id: {}}\nb: {verify: none, x: 1}", ["no id kind here", "2:19: unknown property"]),
        ("a: [", ["not YAML"]),
        ("", ["the document is empty"]),
    ],
)
def test_a_file_with_mistakes(text, problems):
    with pytest.raises(ValueError, match=r"^hooks.yaml:\d+:\d+: ") as raised:
        read_hooks(text.encode(), "hooks.yaml")
    lines = str(raised.value).splitlines()
    assert len(lines) == len(problems)
    for line, problem in zip(lines, problems, strict=True):
        assert problem in line


def test_a_secret_in_the_place_of_its_name_is_not_shown():
    for secret in ("whsec_abc/def+12=", "a b", "é", ".hidden", "/etc/passwd"):
        for written in (f"'{secret}'", f"[S, '{secret}']"):
            with pytest.raises(ValueError, match="not its value") as raised:
                read_hooks(f"a: {{verify: {{github: {{secret: {written}}}}}}}".encode(), "f")
            assert secret not in str(raised.value)


def test_no_file_is_no_webhook(tmp_path: Path):
    assert Hooks().by_name == read_hooks(b"{}", "f") == {}
