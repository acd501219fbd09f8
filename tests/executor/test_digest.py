"""Digest authentication (inventory K6; RFC 7616) against servers of ours, and of others (httpbin)."""

import hashlib
import re
import time
from collections.abc import Iterator

import pytest
from aiohttp import web
from tests.executor.flask_server import serving
from yarl import URL

from unspool.executor.authentication.challenges import Challenge, challenges_of
from unspool.executor.authentication.credentials import Sending
from unspool.executor.authentication.digest import Login, answer
from unspool.executor.outcome import Completed, Faulted

LOGIN = {"digest": {"username": "Mufasa", "password": "Circle of Life"}}


class Realm:
    """Checks digest authentication, strictly: a nonce counts up, and is valid for some requests."""

    def __init__(self, algorithm="SHA-256", *, qop="auth", uses=1000, extra="") -> None:
        self.algorithm, self.qop, self.uses, self.extra = algorithm, qop, uses, extra
        self.nonces: dict[str, int] = {}
        self.answers: list[dict[str, str]] = []

    async def __call__(self, request: web.Request) -> web.Response:
        written = request.headers.get("Authorization")
        if written is None:
            return self.challenge()
        (given,) = challenges_of([written])
        sent = given.parameters
        self.answers.append(sent)
        if sent["nonce"] not in self.nonces or self.nonces[sent["nonce"]] >= self.uses:
            return self.challenge(stale=True)
        self.nonces[sent["nonce"]] += 1
        right = (
            sent["username"] == "Mufasa"
            and sent["uri"] == request.raw_path
            and sent.get("nc", "00000001") == f"{self.nonces[sent['nonce']]:08x}"
            and sent["response"] == self.response(sent, request.method, await request.read())
        )
        return web.Response(text="in") if right else self.challenge()

    def challenge(self, *, stale=False) -> web.Response:
        nonce = f'n"{len(self.nonces)}'
        self.nonces[nonce] = 0
        text = f'Digest realm="the \\"realm\\"", nonce="n\\"{len(self.nonces) - 1}", opaque="o, p=q"'
        text += f", algorithm={self.algorithm}" if self.algorithm else ""
        text += f', qop="{self.qop}"' if self.qop else ""
        text += ", stale=TRUE" if stale else ""
        return web.Response(status=401, headers={"WWW-Authenticate": text + self.extra})

    def response(self, sent, method, body) -> str:
        name = (self.algorithm or "MD5").lower().removesuffix("-sess").replace("-", "")

        def hashed(text: bytes) -> str:
            return hashlib.new(name, text).hexdigest()

        key = hashed(b'Mufasa:the "realm":Circle of Life')
        if (self.algorithm or "").lower().endswith("-sess"):
            key = hashed(f"{key}:{sent['nonce']}:{sent['cnonce']}".encode())
        entity = f":{hashed(body)}" if sent.get("qop") == "auth-int" else ""
        request = hashed(f"{method}:{sent['uri']}{entity}".encode())
        counted = f"{sent['nc']}:{sent['cnonce']}:{sent['qop']}:" if "qop" in sent else ""
        assert sent["opaque"] == "o, p=q"
        return hashed(f"{key}:{sent['nonce']}:{counted}{request}".encode())


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "sha-256-SESS", ""])
@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth-int,auth", ""])
async def test_a_challenge_is_answered(http, service, algorithm, qop) -> None:
    service.answers["/a%2Fb"] = service.answers["/a/b"] = realm = Realm(algorithm, qop=qop)
    outcome = await http(
        f"{service.url}/a%2Fb?x=%26y", method="POST", body={"n": 1}, authentication=LOGIN, query={"q": "ä"}
    )
    assert outcome == Completed("in")
    assert [body for body in service.bodies if body] == [b'{"n":1}'] * 2
    assert realm.answers[0].get("qop", "") == ("auth" if "auth" in qop.split(",") else qop)


async def test_further_calls_use_the_challenge_again(http, service) -> None:
    service.answers["/"] = realm = Realm()
    for _ in range(3):
        assert await http(service.url, authentication=LOGIN) == Completed("in")
    assert len(service.requests) == 4
    assert [sent["nc"] for sent in realm.answers] == ["00000001", "00000002", "00000003"]
    assert len({sent["cnonce"] for sent in realm.answers}) == 3


async def test_a_nonce_that_is_too_old_is_replaced(http, service) -> None:
    service.answers["/"] = Realm(uses=1)
    for _ in range(3):
        assert await http(service.url, authentication=LOGIN) == Completed("in")
    assert len(service.requests) == 2 + 2 + 2


async def test_a_nonce_may_be_too_old_at_once(http, service) -> None:
    service.answers["/"] = realm = Realm(uses=0)
    outcome = await http(service.url, authentication=LOGIN)
    assert outcome.error.status == 401
    assert len(service.requests) == 3
    assert len(realm.answers) == 2


@pytest.mark.parametrize("password", ["wrong pass", "wröng"])
async def test_a_wrong_password_is_tried_once(http, service, password) -> None:
    service.answers["/"] = Realm()
    wrong = {"digest": {"username": "Mufasa", "password": password}}
    outcome = await http(service.url, authentication=wrong)
    assert isinstance(outcome, Faulted)
    assert (outcome.error.status, outcome.error.type.rpartition("/")[2]) == (401, "communication")
    assert password not in str(outcome.error)
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    "challenge",
    [
        None,
        "Basic realm=x",
        "Digest",
        "Digest realm=x",
        'Digest realm="x", nonce=""',
        'Digest realm="x", nonce="n", algorithm=SHA-1',
        'Digest realm="x", nonce="n", qop="auth-conf"',
        'Digest realm="x, nonce="n"',
        "Digest " + "a=" * 3000,
        "Digest " + '"' * 3000,
        "Digest " + "a" * 6000,
    ],
)
async def test_other_challenges_are_not_answered(http, service, challenge) -> None:
    service.answer("/", status=401, **({"WWW_Authenticate": challenge} if challenge else {}))
    outcome = await http(service.url, authentication=LOGIN)
    assert outcome.error.status == 401
    assert len(service.requests) == 1


async def test_the_first_challenge_that_is_known_is_answered(http, service) -> None:
    service.answers["/"] = Realm("SHA-256", extra=', Basic realm="other", Digest realm=x, nonce=y')
    assert await http(service.url, authentication=LOGIN) == Completed("in")


async def test_no_other_origin_gets_an_answer(http, service) -> None:
    service.answers["/private"] = Realm()
    service.answer("/a", status=307, Location=f"{service.elsewhere}/private")
    service.answer("/b", status=307, Location="/private")
    outcome = await http(f"{service.url}/a", authentication=LOGIN, redirect=True)
    assert outcome.error.status == 401
    assert all("Authorization" not in request.headers for request in service.requests)
    assert await http(f"{service.url}/b", authentication=LOGIN, redirect=True) == Completed("in")


async def test_the_answer_is_hidden_in_the_output(http, service) -> None:
    service.answers["/"] = Realm()
    outcome = await http(service.url, authentication=LOGIN, output="response")
    assert outcome.output["request"]["headers"]["Authorization"] == "***"


# -- examples of RFC 7616

RFC_URL = URL("http://www.example.org/dir/index.html")
RFC_CHALLENGE = {
    "realm": "http-auth@example.org",
    "qop": "auth, auth-int",
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
}


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_the_standard(algorithm, response) -> None:
    challenge = Challenge("digest", {**RFC_CHALLENGE, "algorithm": algorithm})
    login = Login("Mufasa", "Circle of Life")
    nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    sent = answer(challenge, login, Sending("GET", RFC_URL), 1, nonce)
    assert sent == (
        'Digest username="Mufasa", realm="http-auth@example.org", '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", '
        f'response="{response}", algorithm={algorithm}, '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", qop=auth, nc=00000001, '
        f'cnonce="{nonce}"'
    )


def test_a_user_can_be_hidden() -> None:
    """RFC 7616, 3.9.2, with the value of its erratum 4897."""
    challenge = Challenge(
        "digest",
        {
            "realm": "api@example.org",
            "qop": "auth",
            "algorithm": "SHA-512-256",
            "nonce": "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            "opaque": "HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS",
            "userhash": "true",
        },
    )
    sending = Sending("GET", URL("http://api.example.org/doe.json"))
    cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
    sent = answer(challenge, Login("Jäsøn Doe", "Secret, or not?"), sending, 1, cnonce)
    assert 'username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"' in sent
    assert 'response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"' in sent
    assert sent.endswith("userhash=true")
    del challenge.parameters["userhash"]
    sent = answer(challenge, Login("Jäsøn Doe", "Secret, or not?"), sending, 1, cnonce)
    assert sent.startswith("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, ")


# -- challenges


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["Basic"], [("basic", {})]),
        (['Basic realm="a, b=\\"c\\""'], [("basic", {"realm": 'a, b="c"'})]),
        (["Negotiate, Basic realm=x , a=b"], [("negotiate", {}), ("basic", {"realm": "x", "a": "b"})]),
        ([",, Digest  a = 1,,b=2"], [("digest", {"a": "1", "b": "2"})]),
        (["Basic a=1, A=2"], [("basic", {"a": "1"})]),
        (["Bearer error=x", "Basic"], [("bearer", {"error": "x"}), ("basic", {})]),
        (["a=b"], []),
        (["", '"'], []),
    ],
)
def test_challenges(values, found) -> None:
    assert challenges_of(values) == [Challenge(*each) for each in found]


@pytest.mark.parametrize("piece", ['"', "a", "a=", 'a="', "\\", 'a="\\', ", ", "a=b,", "a b ", " \t"])
def test_challenges_take_linear_time(piece) -> None:
    started = time.process_time()
    challenges_of(["Digest " + piece * 20_000] * 10)
    assert time.process_time() - started < 3


# -- a server of others


@pytest.fixture(scope="module")
def httpbin() -> Iterator[str]:
    application = pytest.importorskip("httpbin", reason="needs httpbin").app
    with serving(application) as url:
        yield url


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("qop", ["auth", "auth-int", "none"])
async def test_httpbin_accepts_the_answer(http, httpbin, algorithm, qop) -> None:
    login = {"digest": {"username": "ann", "password": "pass-word"}}
    url = f"{httpbin}/digest-auth/{qop}/ann/pass-word/{algorithm}"
    for _ in range(2):
        assert await http(url, authentication=login) == Completed({"authenticated": True, "user": "ann"})


async def test_httpbin_refuses_a_wrong_password(http, httpbin) -> None:
    login = {"digest": {"username": "ann", "password": "wrong-word"}}
    outcome = await http(f"{httpbin}/digest-auth/auth/ann/pass-word/SHA-256", authentication=login)
    assert isinstance(outcome, Faulted)
    assert re.search(r"/errors/communication$", outcome.error.type)
    assert outcome.error.status == 401
