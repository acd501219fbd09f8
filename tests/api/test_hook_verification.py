"""Every kind of verification, with published signatures or those of OpenSSL."""

import hashlib
import hmac
import json
import logging

import pytest
from tests.api.webhooks import HELLO, HELLO_SUM, NOW, SECRETS, counts, published, send, signature

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


@pytest.fixture
async def api(store, run_hooks):
    """The API with webhooks on an empty SQLite store."""
    async with run_hooks(store) as running:
        yield running


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


async def test_an_old_signature_is_accepted_up_to_the_tolerance(api, stopped_clock):
    header = stripe_header(PAYMENT)
    for later, status in ((300_000, 202), (300_001, 401), (-300_001, 401)):
        stopped_clock.time = NOW + later
        await send(api, "stripe", status, PAYMENT, "application/json", Stripe_Signature=header)


async def test_the_example_of_slack(api, stopped_clock):
    stopped_clock.time = 1531420618_000 + 4000
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
    stopped_clock.time += 300_000
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


async def test_the_example_of_standard_webhooks(api, stopped_clock):
    stopped_clock.time = 1614265330_000
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
async def test_a_signature_with_a_time_in_a_header(api, time, stopped_clock):
    content = f"a/{time}/".encode() + HELLO
    headers = {"X-Time": time, "X-Id": "a", "X-Sum": signature("Jefe", content)}
    await send(api, "timed", 202, **headers)
    for change in ({"X-Id": "b"}, {"X-Id": ""}, {"X-Time": ""}, {"X-Time": "2023-11-14T22:13:20"}):
        await send(api, "timed", 401, **{**headers, **change})
    stopped_clock.time += 60_000
    await send(api, "timed", 202, **headers)
    assert len(await published(api)) == 1  # the second was a replay
    stopped_clock.time += 1
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
    """A changed value needs no restart. An empty secret counts as none, because it can be guessed."""
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
