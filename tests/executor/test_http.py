"""`call: http` (inventory J.2, K; dsl-reference.md, "HTTP Call") against a real server."""

import asyncio
import base64
import gzip
import json
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from urllib.parse import quote

import pytest
from aiohttp import web

from unspool.definitions.errors import WorkflowError
from unspool.definitions.uri_template import UriTemplate
from unspool.executor.outcome import Completed, Faulted
from unspool.executor.settings import ExecutorSettings

JSON = "application/json"


def kind(outcome: Faulted) -> tuple[str, int]:
    assert isinstance(outcome, Faulted), outcome
    return outcome.error.type.rpartition("/")[2], outcome.error.status


@cache
def bomb_of(encoding: str) -> bytes:
    return compressed(encoding, b"[" + b" " * 60_000_000)


def compressed(encoding: str, body: bytes) -> bytes:
    if encoding == "br":
        return pytest.importorskip("brotlicffi", reason="needs brotlicffi").compress(body, quality=1)
    return gzip.compress(body) if encoding == "gzip" else zlib.compress(body)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """Runs a server that answers every request with these bytes; yields its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


class TestRequest:
    async def test_method_in_any_case(self, http, service) -> None:
        """J5"""
        service.answer("/")
        for method in ("get", "Post", "PUT", "patch", "delete", "options", "head"):
            assert await http(service.url, method=method) == Completed(None)
        sent = [request.method for request in service.requests]
        assert sent == ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]

    async def test_query_is_appended_and_lists_repeat_their_name(self, http, service) -> None:
        """J6, J12"""
        service.answer("/find")
        query = {"tag": ["a", "b&c"], "deep": True, "page": 2, "ratio": 0.5, "none": None, "text": "ä +"}
        await http(f"{service.url}/find?status=sold&x=%26", query=query)
        assert list(service.requests[0].query.items()) == [
            ("status", "sold"),
            ("x", "&"),
            ("tag", "a"),
            ("tag", "b&c"),
            ("deep", "true"),
            ("page", "2"),
            ("ratio", "0.5"),
            ("text", "ä +"),
        ]

    async def test_an_encoded_path_stays_encoded(self, http, service) -> None:
        """L2"""
        await http(f"{service.url}/a%2Fb/%C3%A4%20?q=1#part")
        assert service.requests[0].raw_path == "/a%2Fb/%C3%A4%20?q=1"

    @pytest.mark.parametrize("value", [":/?#[]@!$&'()*+,;=", "%26", "a b+c", "ä/€", '"<>\\^`{|}', ".", ".."])
    async def test_a_value_of_a_uri_template_arrives_encoded(self, http, service, value) -> None:
        """L2, RFC 6570, 3.2.2"""
        template = UriTemplate.parse(f"{service.url}/pets/{{value}}/toys?name={{value}}&sort=up")
        await http(template.expand({"value": value}))
        sent = quote(value, safe="") if value.strip(".") else value.replace(".", "%2E")
        assert service.requests[0].raw_path == f"/pets/{sent}/toys?name={sent}&sort=up"

    @pytest.mark.parametrize(
        ("written", "sent"),
        [
            ("/a%26b%3d?x=%26&y=%2B+%20", "/a%26b%3d?x=%26&y=%2B+%20"),
            ("/ä/€?ö=ü", "/%C3%A4/%E2%82%AC?%C3%B6=%C3%BC"),
            ("/100%/%zz?p=5%", "/100%25/%25zz?p=5%25"),
            ("/a:b@c;d,e!$'()*?f[0]=/?:@", "/a:b@c;d,e!$'()*?f%5B0%5D=/?:@"),
            ("/a/../b/./c/..", "/b/"),
            ("/..", "/"),
            ("//a//b", "//a//b"),
            ("", "/"),
            ("?q=1", "/?q=1"),
        ],
    )
    async def test_an_address_is_sent_as_it_is_written(self, http, service, written, sent) -> None:
        await http(service.url + written)
        assert service.requests[0].raw_path == sent

    async def test_query_parameters_are_encoded_and_leave_the_query_of_the_address_unchanged(
        self, http, service
    ) -> None:
        """J12"""
        await http(f"{service.url}/find?a=%26%2B+", query={"b&=": ["c&d=e+f g/?#%ä"], "none": None})
        sent = "/find?a=%26%2B+&b%26%3D=c%26d%3De%2Bf%20g%2F%3F%23%25%C3%A4"
        assert service.requests[0].raw_path == sent
        await http(f"{service.url}/find?a=1", query={})
        assert service.requests[1].raw_path == "/find?a=1"

    async def test_headers(self, http, service) -> None:
        """J6"""
        await http(
            service.url, headers={"X-Number": 5, "X-Flag": False, "X-List": ["a", "b"], "X-None": None}
        )
        headers = service.requests[0].headers
        assert headers["X-Number"] == "5"
        assert headers["X-Flag"] == "false"
        assert headers.getall("X-List") == ["a", "b"]
        assert "X-None" not in headers

    @pytest.mark.parametrize(
        ("body", "headers", "content_type", "sent"),
        [
            ({"a": [1, None]}, {}, JSON, b'{"a":[1,null]}'),
            ([1, 2], {}, JSON, b"[1,2]"),
            (True, {}, JSON, b"true"),
            ("plain ä", {}, "text/plain; charset=utf-8", "plain ä".encode()),
            ("<x/>", {"content-type": "application/xml"}, "application/xml", b"<x/>"),
            ({"a": 1}, {"Content-Type": "application/vnd.x+json"}, "application/vnd.x+json", b'{"a":1}'),
            (
                {"a": ["1", 2], "b": "x y"},
                {"Content-Type": "application/x-www-form-urlencoded"},
                "application/x-www-form-urlencoded",
                b"a=1&a=2&b=x+y",
            ),
        ],
    )
    async def test_body(self, http, service, body, headers, content_type, sent) -> None:
        """J7"""
        await http(service.url, method="POST", body=body, headers=headers)
        assert service.requests[0].headers["Content-Type"] == content_type
        assert service.bodies == [sent]

    async def test_a_large_body(self, http, service) -> None:
        service.answer("/")
        assert isinstance(await http(service.url, method="PUT", body="x" * 900_000), Completed)
        assert len(service.bodies[0]) == 900_000

    async def test_no_body_without_one(self, http, service) -> None:
        await http(service.url, method="POST", body=None)
        assert service.bodies == [b""]
        assert "Content-Type" not in service.requests[0].headers

    async def test_the_idempotency_key_is_the_requests_own_unless_the_author_has_one(
        self, http, service
    ) -> None:
        await http(service.url)
        await http(service.url, headers={"idempotency-key": "mine"})
        assert [r.headers.getall("Idempotency-Key") for r in service.requests] == [["e1/r1"], ["mine"]]

    async def test_cookies_are_not_kept_between_calls(self, http, service) -> None:
        service.answer("/", Set_Cookie="session=1; Path=/")
        await http(service.url)
        await http(service.url)
        assert "Cookie" not in service.requests[1].headers

    async def test_proxies_of_the_environment_are_not_used(self, http, service, monkeypatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        service.answer("/")
        assert await http(service.url) == Completed(None)

    @pytest.mark.parametrize(
        ("uri", "arguments", "named"),
        [
            (7, {}, "URI"),
            ("http://h/", {"method": "GE T"}, "method"),
            ("http://h/", {"method": "CONNECT"}, "method"),
            ("http://h/", {"method": "GET\r\n"}, "method"),
            ("http://h/", {"headers": {"X": "a\r\nY: b"}}, "'X'"),
            ("http://h/", {"headers": {"X": "a\0"}}, "'X'"),
            ("http://h/", {"headers": {"X: 1\r\nY": "b"}}, "header"),
            ("http://h/", {"headers": {"": "b"}}, "header"),
            ("http://h/", {"headers": {"X": {"a": 1}}}, "'X'"),
            ("http://h/", {"headers": "text"}, "headers"),
            ("http://h/", {"headers": {"content-length": "3"}}, "content-length"),
            ("http://h/", {"headers": {"Transfer-Encoding": "chunked"}}, "Transfer-Encoding"),
            ("http://h/", {"query": {"a": [{"b": 1}]}}, "'a'"),
            ("http://h/", {"query": [1]}, "query"),
            ("http://h/", {"output": "everything"}, "output"),
            (
                "http://h/",
                {"body": [1], "headers": {"content-type": "application/x-www-form-urlencoded"}},
                "body",
            ),
            ("http://h/", {"authentication": {"digest": {}}}, "digest"),
            ("http://h/", {"authentication": {"digest": {"username": "a:b", "password": "c"}}}, "colon"),
            ("http://h/", {"authentication": {"certificate": {}}}, "certificate"),
            ("http://h/", {"authentication": "x"}, "authentication"),
            ("http://h/", {"authentication": {"basic": {"username": "u"}}}, "password"),
            ("http://h/", {"authentication": {"basic": {"username": "a:b", "password": "c"}}}, "colon"),
            ("http://h/", {"authentication": {"bearer": {"token": None}}}, "token"),
            ("http://h/", {"authentication": {"bearer": {"token": "a\r\nX: 1"}}}, "Authorization"),
        ],
    )
    async def test_invalid_arguments_are_a_configuration_error_that_names_them(
        self, http, uri, arguments, named
    ) -> None:
        outcome = await http(uri, **arguments)
        assert kind(outcome) == ("configuration", 400)
        assert named in outcome.error.detail

    @pytest.mark.parametrize(
        ("uri", "why"),
        [
            ("/relative", "URL"),
            ("ftp://example.com/", "URL"),
            ("file:///etc/passwd", "URL"),
            ("https://", "URL"),
            ("http://[bad/", "URL"),
            ("http://h:99999/", "URL"),
            ("http://h/\r\nX: 1", "control"),
            ("http://h/a b", "white space"),
        ],
    )
    async def test_an_unusable_address_is_a_communication_error(self, http, uri, why) -> None:
        """J1; dsl-reference.md, "Try", whose `invalidHttpCall` goes to `https://`."""
        outcome = await http(uri)
        assert kind(outcome) == ("communication", 500)
        assert why in outcome.error.detail


class TestAuthentication:
    async def test_basic(self, http, service) -> None:
        """K9: sent before it is asked for"""
        await http(service.url, authentication={"basic": {"username": "ann", "password": "pä:ss"}})
        expected = base64.b64encode("ann:pä:ss".encode()).decode()
        assert service.requests[0].headers["Authorization"] == f"Basic {expected}"

    async def test_bearer(self, http, service) -> None:
        await http(service.url, authentication={"bearer": {"token": "t0ken"}})
        assert service.requests[0].headers["Authorization"] == "Bearer t0ken"

    async def test_credentials_in_the_uri(self, http, service) -> None:
        service.answer("/", "{}", Content_Type=JSON)
        outcome = await http(f"http://ann:s3cret@127.0.0.1:{service.port}/", output="response")
        expected = base64.b64encode(b"ann:s3cret").decode()
        assert service.requests[0].headers["Authorization"] == f"Basic {expected}"
        assert "s3cret" not in json.dumps(outcome.output)

    async def test_no_credential_is_in_an_error(self, http, service) -> None:
        service.answer(
            "/basic-auth/ann/s3cret",
            json.dumps({"detail": "wrong password s3cret"}),
            status=401,
            Content_Type="application/problem+json",
        )
        outcome = await http(
            f"{service.url}/basic-auth/ann/s3cret?key=abc",
            authentication={"basic": {"username": "ann", "password": "s3cret"}},
        )
        assert kind(outcome) == ("communication", 401)
        assert "s3cret" not in outcome.error.detail
        assert "abc" not in outcome.error.detail
        assert "wrong password" in outcome.error.detail


class TestOutput:
    @pytest.mark.parametrize(
        ("content_type", "body", "value"),
        [
            (JSON, b'{"a": [1, 2.5, "x"]}', {"a": [1, 2.5, "x"]}),
            ("application/json; charset=utf-8", b"12345678901234567", 12345678901234567),
            ("application/json; charset=iso-8859-1", '"ä"'.encode("latin-1"), "ä"),
            ("application/problem+json", b"null", None),
            ("text/json", b"[]", []),
            (JSON, b"\xef\xbb\xbf[1]", [1]),
            ("text/plain", "ä".encode(), "ä"),
            ('text/plain; charset="windows-1252"', b"\x80", "€"),
            ("text/html; charset=no-such", b"x", "x"),
            ("text/plain; charset=punycode", b"abc-", "abc-"),
            ("text/plain", b"\xff", "\ufffd"),
            ("application/octet-stream", b"\x00\x01", "AAE="),
            ("image/png", b"png", "cG5n"),
            (JSON, b"", None),
        ],
    )
    async def test_content_is_deserialised_by_its_type(
        self, http, service, content_type, body, value
    ) -> None:
        """J8, J10, D13"""
        service.answer("/", body, Content_Type=content_type)
        assert await http(service.url) == Completed(value)

    async def test_raw_is_base64(self, http, service) -> None:
        service.answer("/", b'{"a": 1}', Content_Type=JSON)
        assert await http(service.url, output="raw") == Completed("eyJhIjogMX0=")

    async def test_no_content_is_null(self, http, service) -> None:
        """J10"""
        service.answer("/", status=204)
        assert await http(service.url) == Completed(None)
        assert await http(service.url, output="raw") == Completed(None)

    async def test_response(self, http, service) -> None:
        """C:call "Call HTTP With Response Output"; credentials are not shown"""
        service.answer("/pet/1", b'{"id": 1}', Content_Type=JSON, X_Trace="t")
        outcome = await http(
            f"{service.url}/pet/1",
            query={"full": True},
            output="response",
            headers={"X-Api-Key": "k3y", "X-Plain": "p"},
            authentication={"bearer": {"token": "t0ken"}},
        )
        response = outcome.output
        assert set(response) == {"request", "statusCode", "headers", "content"}
        assert response["statusCode"] == 200
        assert response["content"] == {"id": 1}
        assert response["headers"]["X-Trace"] == "t"
        assert response["request"]["method"] == "GET"
        assert response["request"]["uri"] == f"{service.url}/pet/1?full=true"
        sent = response["request"]["headers"]
        assert sent["X-Plain"] == "p"
        assert sent["Authorization"] == sent["X-Api-Key"] == "***"

    @pytest.mark.parametrize("body", [b"{", b"NaN", b'{"a": 1e400}x', b"[" * 600 + b"]" * 600])
    async def test_invalid_json_is_an_error(self, http, service, body) -> None:
        service.answer("/", body, Content_Type=JSON)
        outcome = await http(service.url)
        assert kind(outcome) == ("communication", 500)
        assert "content is" in outcome.error.detail

    async def test_wide_json_is_not_deep(self, http, service) -> None:
        service.answer("/", json.dumps([[]] * 1000), Content_Type=JSON)
        assert await http(service.url) == Completed([[]] * 1000)

    @pytest.mark.parametrize("http", [ExecutorSettings(http_max_response_bytes=1000)], indirect=True)
    async def test_a_response_over_the_limit_is_an_error(self, http, service) -> None:
        service.answer("/ok", "x" * 1000, Content_Type="text/plain")
        service.answer("/large", "x" * 1001, Content_Type="text/plain")
        bomb = gzip.compress(b"\0" * 20_000_000)
        service.answer("/bomb", bomb, Content_Type="text/plain", Content_Encoding="gzip")
        assert isinstance(await http(f"{service.url}/ok"), Completed)
        for path in ("/large", "/bomb"):
            outcome = await http(service.url + path)
            assert kind(outcome) == ("communication", 500)
            assert "larger than 1000 bytes" in outcome.error.detail

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
    async def test_a_compressed_response_is_decompressed(self, http, service, encoding) -> None:
        service.answer("/", compressed(encoding, b"[1]"), Content_Type=JSON, Content_Encoding=encoding)
        assert await http(service.url) == Completed([1])

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
    @pytest.mark.parametrize("status", [200, 500])
    async def test_a_bomb_needs_little_memory(self, http, service, encoding, status) -> None:
        bomb = bomb_of(encoding)
        assert len(bomb) < 100_000
        service.answer("/", bomb, status, Content_Type=JSON, Content_Encoding=encoding)
        tracemalloc.start()
        try:
            outcome = await http(service.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kind(outcome) == ("communication", 500)
        assert outcome.error.title == ("Response too large" if status == 200 else "Internal Server Error")
        assert peak < 30_000_000

    @pytest.mark.parametrize("encoding", ["gzip, gzip", "compress", "x" * 300])
    async def test_an_unknown_encoding_is_an_error(self, http, service, encoding) -> None:
        service.answer("/", gzip.compress(b"[1]"), Content_Type="text/plain", Content_Encoding=encoding)
        outcome = await http(service.url)
        assert kind(outcome) == ("communication", 500)
        assert "content encoding" in outcome.error.detail
        assert isinstance(await http(service.url, output="raw"), Completed)


class TestErrors:
    @pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 418, 500, 503, 599])
    async def test_no_success_is_a_communication_error_with_that_status(self, http, service, status) -> None:
        """J1, J2, C:try"""
        service.answer("/x", "no", status=status)
        outcome = await http(f"{service.url}/x")
        assert kind(outcome) == ("communication", status)
        assert outcome.error.title
        assert outcome.error.detail == f"GET {service.url}/x answered {status}"

    async def test_the_title_is_the_reason(self, http, service) -> None:
        assert (await http(f"{service.url}/nowhere")).error.title == "Not Found"

    @pytest.mark.parametrize(
        ("written", "date", "seconds"),
        [
            ("120", None, 120),
            (" 0 ", None, 0),
            ("999999999", None, 24 * 3600),
            ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:00 GMT", 60),
            ("Wednesday, 21-Oct-26 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:59 GMT", 1),
            ("Wed, 21 Oct 2015 07:28:00 GMT", None, 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", None, 24 * 3600),
            ("Fri, 31 Dec 9999 23:59:59 -2359", None, None),
            ("-5", None, None),
            ("1.5", None, None),
            ("9" * 40, None, None),
            ("soon", None, None),
            ("", None, None),
            (None, None, None),
        ],
    )
    async def test_the_time_that_a_service_asks_for(self, http, written, date, seconds) -> None:
        """RFC 9110, 10.2.3"""
        head = "HTTP/1.1 503 x\r\nContent-Length: 0\r\n"
        head += f"Retry-After: {written}\r\n" if written is not None else ""
        head += f"Date: {date}\r\n" if date else ""
        async with answering(f"{head}\r\n".encode()) as url:
            outcome = await http(url)
        assert outcome.error.retry_after == seconds
        expected = {} if seconds is None else {"retryAfter": f"PT{seconds}S"}
        found = outcome.error.to_json()
        assert {name: found[name] for name in found if name == "retryAfter"} == expected
        assert WorkflowError.from_json(found) == outcome.error

    @pytest.mark.parametrize("http", [ExecutorSettings(http_max_response_bytes=1000)], indirect=True)
    @pytest.mark.parametrize(
        "rest",
        [
            b"Content-Length: 5000\r\n\r\n" + b"x" * 5000,
            b"Content-Length: 10\r\n\r\nabc",
            b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            b"Content-Type: application/problem+json\r\nContent-Length: 1\r\n\r\n{",
        ],
    )
    async def test_an_unreadable_error_body_does_not_hide_the_status(self, http, rest) -> None:
        async with answering(b"HTTP/1.1 503 Service Unavailable\r\n" + rest) as url:
            outcome = await http(url)
        assert kind(outcome) == ("communication", 503)

    async def test_response_heads_that_are_not_utf_8_are_read_as_latin_1(self, http) -> None:
        head = "HTTP/1.1 404 Página não encontrada\r\nContent-Length: 0\r\n\r\n"
        async with answering(head.encode("latin-1")) as url:
            outcome = await http(url)
        assert outcome.error.title == "Página não encontrada"
        head = "HTTP/1.1 200 Está bem\r\nContent-Length: 0\r\nX-Where: São Paulo\r\n\r\n"
        async with answering(head.encode("latin-1")) as url:
            outcome = await http(url, output="response")
        assert outcome.output["headers"]["X-Where"] == "São Paulo"

    async def test_a_refused_connection(self, http) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            outcome = await http(f"http://127.0.0.1:{port}/")
        assert kind(outcome) == ("communication", 500)
        assert "Connection refused" in outcome.error.detail

    async def test_a_name_that_does_not_resolve(self, http) -> None:
        outcome = await http("http://no-such-host.invalid/")
        assert kind(outcome) == ("communication", 500)
        assert "could not be resolved" in outcome.error.detail

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (b"", "without an answer"),
            (b"garbage\r\n\r\n", "not valid HTTP"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "broke off"),
            (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", "not valid HTTP"),
            (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "decompressed"),
        ],
    )
    async def test_responses_that_are_not_valid_http(self, http, answer, words) -> None:
        async with answering(answer) as url:
            outcome = await http(url)
        assert kind(outcome) == ("communication", 500)
        assert words in outcome.error.detail

    async def test_tls_to_a_plain_port(self, http, service) -> None:
        outcome = await http(f"https://127.0.0.1:{service.port}/")
        assert kind(outcome) == ("communication", 500)
        assert "TLS" in outcome.error.detail

    @pytest.mark.parametrize("http", [ExecutorSettings(http_timeout_seconds=0.1)], indirect=True)
    async def test_a_call_ends_with_the_executors_limit(self, http, service) -> None:
        """Single bytes that arrive slowly do not extend it."""

        async def drip(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b".")
                await asyncio.sleep(0.02)

        service.answers["/"] = drip
        assert kind(await http(service.url)) == ("timeout", 408)

    async def test_a_cancelled_call_closes_its_connection(self, http, service, eventually) -> None:
        gone = asyncio.Event()

        async def wait(_: web.Request) -> web.StreamResponse:
            try:
                await asyncio.sleep(60)
            finally:
                gone.set()
            return web.Response()

        service.answers["/"] = wait
        call = asyncio.create_task(http(service.url))
        await eventually(lambda: bool(service.requests), "the request arrives")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


class TestRedirects:
    """J9; RFC 9110, §15.4"""

    async def test_not_followed_by_default(self, http, service) -> None:
        service.answer("/old", status=302, Location="/new")
        outcome = await http(f"{service.url}/old")
        assert kind(outcome) == ("communication", 302)
        assert len(service.requests) == 1

    async def test_followed_when_asked_for(self, http, service) -> None:
        service.answer("/old", status=301, Location="new?x=1#part")
        service.answer("/new", "[1]", Content_Type=JSON)
        assert await http(f"{service.url}/old", redirect=True) == Completed([1])
        assert service.requests[1].raw_path == "/new?x=1"

    @pytest.mark.parametrize(
        ("location", "sent"),
        [
            ("/new/a%26b?x=%26&y=%2f", "/new/a%26b?x=%26&y=%2f"),
            ("../new/./%C3%A4 ä?x y", "/new/%C3%A4%20%C3%A4?x%20y"),
            ("?x=%26", "/dir/old?x=%26"),
            ("http://{host}/new?x=%2B#part", "/new?x=%2B"),
            ("//{host}/new?x=%2B", "/new?x=%2B"),
        ],
    )
    async def test_the_target_is_requested_as_it_is_written(self, http, service, location, sent) -> None:
        service.answer("/dir/old", status=302, Location=location.format(host=f"127.0.0.1:{service.port}"))
        await http(f"{service.url}/dir/old", redirect=True)
        assert service.requests[1].raw_path == sent

    @pytest.mark.parametrize("output", ["raw", "response"])
    async def test_shown_not_followed_with_other_outputs(self, http, service, output) -> None:
        service.answer("/old", "moved", status=302, Location="/new", Content_Type="text/plain")
        outcome = await http(f"{service.url}/old", redirect=True, output=output)
        expected = "bW92ZWQ=" if output == "raw" else 302
        assert (outcome.output if output == "raw" else outcome.output["statusCode"]) == expected

    async def test_a_redirect_without_location_is_not_followed(self, http, service) -> None:
        service.answer("/old", "here", status=300, Content_Type="text/plain")
        assert await http(f"{service.url}/old", redirect=True) == Completed("here")

    @pytest.mark.parametrize(
        ("status", "method", "then", "body"),
        [
            (301, "POST", "GET", b""),
            (302, "POST", "GET", b""),
            (303, "PUT", "GET", b""),
            (303, "HEAD", "HEAD", b""),
            (301, "PUT", "PUT", b'{"a":1}'),
            (307, "POST", "POST", b'{"a":1}'),
            (308, "PATCH", "PATCH", b'{"a":1}'),
        ],
    )
    async def test_methods(self, http, service, status, method, then, body) -> None:
        service.answer("/old", status=status, Location="/new")
        service.answer("/new")
        body_sent = None if method == "HEAD" else {"a": 1}
        await http(f"{service.url}/old", method=method, body=body_sent, redirect=True)
        assert service.requests[1].method == then
        assert service.bodies[1] == body
        assert ("Content-Type" in service.requests[1].headers) == bool(body)

    async def test_credentials_stay_with_their_origin(self, http, service) -> None:
        service.answer("/old", status=302, Location=f"{service.elsewhere}/new")
        service.answer("/new")
        headers = {"X-Api-Key": "k", "Cookie": "c", "Proxy-Authorization": "p", "Accept": "text/x"}
        authentication = {"bearer": {"token": "t0ken"}}
        await http(f"{service.url}/old", headers=headers, authentication=authentication, redirect=True)
        arrived = service.requests[1].headers
        assert not {"Authorization", "X-Api-Key", "Cookie", "Proxy-Authorization"} & set(arrived)
        assert arrived["Accept"] == "text/x"
        assert arrived["Idempotency-Key"] == "e1/r1"

    async def test_credentials_go_on_within_their_origin(self, http, service) -> None:
        service.answer("/old", status=302, Location="/new")
        service.answer("/new")
        await http(f"{service.url}/old", authentication={"bearer": {"token": "t0ken"}}, redirect=True)
        assert service.requests[1].headers["Authorization"] == "Bearer t0ken"

    async def test_credentials_of_the_target_are_not_used(self, http, service) -> None:
        service.answer("/old", status=302, Location=f"http://a:b@localhost:{service.port}/new")
        service.answer("/new")
        await http(f"{service.url}/old", redirect=True)
        assert "Authorization" not in service.requests[1].headers

    async def test_the_target_is_checked_by_the_egress_policy(self, http, service) -> None:
        service.answer("/old", status=302, Location="http://169.254.169.254/latest")
        assert kind(await http(f"{service.url}/old", redirect=True)) == ("authorization", 403)

    @pytest.mark.parametrize(
        "location",
        ["file:///etc/passwd", "ftp://x/", "http://[bad", "http://[::1]@/", "//./", "javascript:1"],
    )
    async def test_other_schemes_are_refused(self, http, service, location) -> None:
        service.answer("/old", status=302, Location=location)
        outcome = await http(f"{service.url}/old", redirect=True)
        assert kind(outcome) == ("communication", 302)

    async def test_five_hops_and_no_more(self, http, service) -> None:
        for hop in range(6):
            service.answer(f"/{hop}", status=302, Location=f"/{hop + 1}")
        service.answer("/6", "end", Content_Type="text/plain")
        assert await http(f"{service.url}/1", redirect=True) == Completed("end")
        outcome = await http(f"{service.url}/0", redirect=True)
        assert kind(outcome) == ("communication", 302)
        assert outcome.error.title == "Too many redirects"

    def test_https_does_not_become_http(self) -> None:
        from unspool.eventstore.records import TaskRequest
        from unspool.executor.authentication.credentials import NONE
        from unspool.executor.http.redirect import redirected
        from unspool.executor.http.request import prepare
        from unspool.executor.outcome import Rejected

        arguments = {"method": "GET", "endpoint": {"uri": "https://a.example/"}}
        request = prepare(TaskRequest("e", "r", "/do/0/x", "http", arguments), lambda _: NONE)
        with pytest.raises(Rejected, match="from https to http"):
            redirected(request, 302, "http://a.example/")


class TestConnections:
    async def test_a_connection_is_used_again(self, http, service) -> None:
        service.answer("/")
        for _ in range(3):
            await http(service.url)
        assert len({id(request.transport) for request in service.requests}) == 1

    async def test_a_refused_connection_is_tried_again(self, http, service) -> None:
        """The request was not sent, so it is safe to send it again."""
        with socket.socket() as reserved:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind(("127.0.0.1", 0))
            port = reserved.getsockname()[1]
            service.answer("/")
            runner = web.ServerRunner(web.Server(service.handle), shutdown_timeout=0.1)
            await runner.setup()
            call = asyncio.create_task(http(f"http://127.0.0.1:{port}/", method="POST"))
            await asyncio.sleep(0.02)
            assert not call.done()
            await web.SockSite(runner, reserved).start()
            assert await call == Completed(None)
            await runner.cleanup()

    async def test_many_at_once(self, http, service) -> None:
        service.answer("/", "[1]", Content_Type=JSON)
        outcomes = await asyncio.gather(*(http(service.url) for _ in range(200)))
        assert outcomes == [Completed([1])] * 200
