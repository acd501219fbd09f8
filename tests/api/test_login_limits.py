"""Limits of logins at an issuer: failures, answers that are checked at once, and sizes."""

import asyncio

import pytest
from aiohttp import web
from tests.api.issuer import CLIENT
from tests.api.issuer_flow import agree, begin, come_back, login_at, reason, refused, session_of
from tests.api.keys import bearer

from unspool.api.authentication import failure_limit, issuer_documents, login_limits

DEADLINE_SECONDS = 60

ONE, OTHER = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}


@pytest.fixture
async def locked(store, running_api, issuer, later_clock, monkeypatch):
    """An API with logins at the issuer, which may take as long as a busy machine needs."""
    monkeypatch.setattr(issuer_documents, "FETCH_SECONDS", 600.0)
    async with running_api(store, **login_at(issuer, later_clock)) as running:
        yield running


@pytest.fixture
def rare(monkeypatch):
    """No failure is forgotten in a test."""
    monkeypatch.setattr(failure_limit, "SECONDS", 3600.0)


class Held:
    """A token endpoint that does not answer until it is told to."""

    def __init__(self):
        self.let_go, self.asked = asyncio.Event(), asyncio.Semaphore(0)

    async def answer(self):
        self.asked.release()
        await self.let_go.wait()
        return web.json_response({"error": "invalid_grant"}, status=400)


@pytest.fixture
def held(issuer):
    """It answers at the end of a test, also of one that fails."""
    held = Held()
    yield held
    held.let_go.set()


@pytest.mark.parametrize("limit", ["MOST_AT_ONCE", "MOST_OF_ADDRESS"])
async def test_few_answers_are_checked_at_once(locked, issuer, held, monkeypatch, limit):
    monkeypatch.setattr(login_limits, limit, 1)
    first, second = await begin(locked), await begin(locked)
    answers = [await agree(locked, first), await agree(locked, second)]
    issuer.token_answer = held.answer
    waiting = asyncio.ensure_future(come_back(locked, first, answers[0]))
    await held.asked.acquire()
    async with asyncio.timeout(DEADLINE_SECONDS):
        response = await come_back(locked, second, answers[1])
    assert reason(response) == ("too-many", "/executions/order-7")
    held.let_go.set()
    assert reason(await waiting)[0] == "refused"
    issuer.token_answer = None
    assert "Set-Cookie" not in response.headers  # the login can be finished with the same answer
    assert session_of(await come_back(locked, second, answers[1]))


async def test_an_address_does_not_take_the_places_of_all(locked, issuer, held):
    flows = [await begin(locked) for _ in range(login_limits.MOST_OF_ADDRESS)]
    answers = [await agree(locked, flow) for flow in flows]
    issuer.token_answer = held.answer
    waiting = [
        asyncio.ensure_future(come_back(locked, flow, answer, **ONE))
        for flow, answer in zip(flows, answers, strict=True)
    ]
    for _ in waiting:
        await held.asked.acquire()
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await refused(locked, headers=ONE) == "too-many"
    issuer.token_answer = None
    flow = await begin(locked)
    assert session_of(await come_back(locked, flow, await agree(locked, flow), **OTHER))
    held.let_go.set()
    await asyncio.gather(*waiting)


FAILURES = [
    (lambda: web.json_response({"error": "invalid_grant"}, status=400), "refused"),
    (lambda: web.json_response({}), "invalid"),
    (lambda: web.Response(status=503), "unavailable"),
    (lambda: web.Response(text="no JSON"), "unavailable"),
]


@pytest.mark.parametrize(("answer", "expected"), FAILURES)
async def test_every_failed_exchange_counts(locked, issuer, rare, answer, expected):
    async def exchange():
        return answer()

    issuer.token_answer = exchange
    reasons = [await refused(locked) for _ in range(failure_limit.BURST + 1)]
    assert reasons == [expected] * failure_limit.BURST + ["too-many"]
    assert issuer.exchanges == failure_limit.BURST


async def test_failed_logins_and_wrong_keys_do_not_stop_each_other(locked, issuer, rare):
    for _ in range(failure_limit.BURST):
        await locked.get("/session", 401, headers=bearer("usk_x"))
    await locked.get("/session", 429, headers=bearer("usk_x"))
    flow = await begin(locked)
    assert session_of(await come_back(locked, flow, await agree(locked, flow)))
    for _ in range(failure_limit.BURST):
        await refused(locked, code="unknown", headers=ONE)
    assert await refused(locked, headers=ONE) == "too-many"
    await locked.get("/session", headers=bearer(issuer.token()) | ONE)


@pytest.mark.parametrize(
    ("first", "second", "are_one"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
async def test_an_ipv6_network_is_one_address(locked, rare, first, second, are_one):
    wrong = bearer("usk_x")
    for _ in range(failure_limit.BURST):
        await locked.get("/session", 401, headers=wrong | {"X-Forwarded-For": first})
    expected = 429 if are_one else 401
    await locked.get("/session", expected, headers=wrong | {"X-Forwarded-For": second})


async def test_without_proxies_no_caller_names_an_address(
    store, running_api, issuer, later_clock, rare, monkeypatch
):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "none")
    async with running_api(store, **login_at(issuer, later_clock)) as running:
        for n in range(failure_limit.BURST):
            headers = bearer("usk_x") | {"X-Forwarded-For": f"192.0.2.{n}"}
            await running.get("/session", 401, headers=headers)
        await running.get("/session", 429, headers=bearer("usk_x") | ONE)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"code": "x" * 4097}, "invalid"),
        ({"state": "x" * 4097}, "expired"),
        ({"iss": "x" * 4097}, "invalid"),
        ({"other": "x" * 8192}, "expired"),
    ],
)
async def test_parameters_have_a_longest_length(locked, issuer, changes, expected):
    assert await refused(locked, **changes) == expected
    assert issuer.exchanges == 0


async def test_a_long_code_is_exchanged(locked, issuer):
    flow = await begin(locked)
    answer = await agree(locked, flow)
    code = "x" * 4096
    issuer.codes[code] = issuer.codes[answer["code"]]
    assert session_of(await come_back(locked, flow, answer | {"code": code, "session_state": CLIENT}))
