"""Secrets of all lengths are masked in the encodings that programs commonly make of them (inventory S3)."""

import base64
import json
import random
import shlex
import time
from collections.abc import Callable
from functools import cache
from html import escape
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import quoteattr

import pytest

from unspool.executor.masking import LongMask, Mask

Encoding = Callable[[str], str]

SPECIAL = "'a/b+\"c d<é>=&f😀g~h`i"
LENGTHS = (8, 60, 300, 8000)


def token(length: int) -> str:
    return base64.b64encode(random.Random(length).randbytes(length)).decode()[:length]


def pem(length: int) -> str:
    return "\n".join(token(length)[at : at + 64] for at in range(0, length, 64))


def configuration(length: int) -> str:
    text = special(length)
    return "\n".join(text[at : at + 70].strip() for at in range(0, length, 70))


def special(length: int) -> str:
    random_text = token(length)
    pieces = (random_text[at : at + 9] + SPECIAL for at in range(0, length, 9))
    return "".join(pieces)[-length:]


KINDS: dict[str, Callable[[int], str]] = {"token": token, "pem": pem, "special": special}
KINDS["configuration"] = configuration


def in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def of_javascript(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def of_php(text: str) -> str:
    return in_json(text).replace("/", "\\/")


def units(text: str, characters: str, form: str) -> str:
    """Characters as UTF-16 units; it takes JSON without them."""
    return "".join(
        "".join(
            form.format(int.from_bytes(pair, "big"))
            for pair in (each.encode("utf-16-be")[:2], each.encode("utf-16-be")[2:])
            if pair
        )
        if each in characters or not each.isascii()
        else each
        for each in text
    )


def of_dotnet(text: str) -> str:
    return units(of_javascript(text).replace('\\"', '"'), "\"<>&'+`", "\\u{:04X}")


def of_php_for_html(text: str) -> str:
    escaped = units(of_javascript(text).replace('\\"', '"'), "\"<>&'", "\\u{:04X}")
    return escaped.replace("/", "\\/")


def of_go(text: str) -> str:
    return "".join(f"\\u{ord(each):04x}" if each in "<>&" else each for each in of_javascript(text))


def of_gson(text: str) -> str:
    return "".join(f"\\u{ord(each):04x}" if each in "<>&='" else each for each in of_javascript(text))


def of_mustache(text: str) -> str:
    names = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
    return "".join(names.get(each, f"&#x{ord(each):X};" if each in "/`=" else each) for each in text)


def lines(text: str, width: int, end: str) -> str:
    return end.join(text[at : at + width] for at in range(0, len(text), width)) + end


def base64_of(before: int, after: int) -> Encoding:
    return lambda text: base64.b64encode(b"z" * before + text.encode() + b"y" * after).decode()


def broken(encoding: Encoding, width: int = 76, end: str = "\n") -> Encoding:
    return lambda text: lines(encoding(text), width, end)


def after(*encodings: Encoding) -> Encoding:
    """One encoding after another."""

    def encoded(text: str) -> str:
        for each in encodings:
            text = each(text)
        return text

    return encoded


def octal(byte: str) -> str:
    """A byte in `$'…'` of bash."""
    return {"'": "\\'", "\n": "\\n"}.get(byte) or (byte if byte.isascii() else f"\\{ord(byte):03o}")


def url_safe(text: str) -> str:
    return base64.urlsafe_b64encode(b"user:" + text.encode()).decode()


def hexadecimal(text: str) -> str:
    return text.encode().hex()


def lower_in_url(text: str) -> str:
    parts = quote(text, safe="").split("%")
    return "%".join((parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])))


ENCODINGS: dict[str, Encoding] = {
    "unchanged": str,
    "JSON": in_json,
    "JSON, not ASCII": of_javascript,
    "JSON twice": after(in_json, in_json),
    "JSON twice, not ASCII": after(of_javascript, of_javascript),
    "JSON of PHP": of_php,
    "JSON of PHP twice": after(of_php, of_php),
    "JSON of PHP in JSON": after(of_php, in_json),
    "JSON in JSON of PHP": after(in_json, of_php),
    "JSON of PHP for HTML": of_php_for_html,
    "JSON of .NET": of_dotnet,
    "JSON of Go": of_go,
    "JSON of Gson": of_gson,
    "URL": lambda text: quote(text, safe=""),
    "URL, a path": quote,
    "URL, lower case": lower_in_url,
    "URL, a form": quote_plus,
    "URL, JavaScript": lambda text: quote(text, safe="!'()*"),
    "URL, all that a URL may have": lambda text: quote(text, safe="/:@!$&'()*+,;=-._~?"),
    "URL twice": lambda text: quote(quote(text, safe=""), safe=""),
    "URL of JSON": after(in_json, lambda text: quote(text, safe="")),
    "HTML": escape,
    "HTML of JSON": after(in_json, escape),
    "HTML, decimal": lambda text: escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "HTML of PHP": lambda text: escape(text).replace("&#x27;", "&#039;"),
    "HTML of Mustache": of_mustache,
    "HTML, ASCII": lambda text: escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "XML": lambda text: escape(text, quote=False),
    "XML, apos": lambda text: escape(text).replace("&#x27;", "&apos;"),
    "shell": lambda text: shlex.quote(f" {text}")[2:-1],
    "shell, backslash": lambda text: text.replace("'", "'\\''"),
    "shell, C": lambda text: "".join(octal(each) for each in text.encode().decode("latin-1")),
    "YAML": lambda text: text.replace("'", "''"),
    "YAML, a block": lambda text: text.replace("\n", "\n    "),
    "CSV": lambda text: text.replace('"', '""'),
    "Python": lambda text: repr(text)[1:-1],
    "Python, ASCII": lambda text: ascii(text)[1:-1],
    "Python, bytes": lambda text: repr(text.encode())[2:-1],
    "hex": hexadecimal,
    "hex, upper case": lambda text: text.encode().hex().upper(),
    "hex, broken": broken(hexadecimal, 60),
    "base64, URL-safe": url_safe,
    "base64 of JSON of PHP": after(of_php, base64_of(1, 2)),
    **{
        f"base64 at {place}, {name}": encoding
        for place in range(3)
        for plain in (base64_of(place + 42, 5),)  # the end of a line of 64 characters is in the secret
        for name, encoding in {
            "whole": plain,
            "in JSON of PHP": after(plain, of_php),
            "in JSON of .NET": after(plain, of_dotnet),
            "in a URL": after(plain, quote_plus),
            "76": broken(plain),
            "64": broken(plain, 64),
            "76 CRLF": broken(plain, 76, "\r\n"),
            "64 in JSON": after(broken(plain, 64), in_json),
            "76 CRLF in JSON": after(broken(plain, 76, "\r\n"), in_json),
            "64 in JSON twice": after(broken(plain, 64), in_json, in_json),
            "76 in JSON of PHP": after(broken(plain), of_php),
            "76 CRLF in a URL": after(broken(plain, 76, "\r\n"), quote_plus),
            "64 in YAML": after(broken(plain, 64, "\n    ")),
            "64 in XML": after(broken(plain, 64), lambda text: quoteattr(text)[1:-1]),
            "64, URL-safe": after(broken(plain, 64), lambda text: text.replace("+", "-").replace("/", "_")),
        }.items()
    },
}


@cache
def mask_of(kind: str, length: int) -> Mask:
    return Mask([{"name": "another-secret", "key": KINDS[kind](length)}])


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_is_masked_in_each_encoding(encoding, length):
    for kind, secret in KINDS.items():
        text = secret(length)
        encoded = ENCODINGS[encoding](text)
        masked = mask_of(kind, length).text(f"id: 1 <{encoded}> id: 2")
        assert "***" in masked, kind
        assert (masked[:7], masked[-7:]) == ("id: 1 <", "> id: 2"), kind
        around = 90 if "base64" in encoding else 10  # what is before and after it in base64
        assert len(masked) < 20 + around + 12 * text.count("\n"), (kind, masked[:300])


@pytest.mark.parametrize("length", LENGTHS[1:])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_token_is_masked_in_each_encoding(encoding, length):
    encoded = ENCODINGS[encoding](token(length))
    masked = LongMask(token(length)).text(f"id: 1 <{encoded}> id: 2")
    assert "***" in masked
    assert len(masked) < 20 + (90 if "base64" in encoding else 10)


@pytest.mark.parametrize("encoding", [str, in_json, of_php, quote_plus])
@pytest.mark.parametrize("width", [64, 76])
def test_the_members_of_a_secret_are_masked_in_base64_of_all_of_it(encoding, width):
    value = {"type": "account", "private_key": f"-----BEGIN KEY-----\n{pem(1700)}\n-----END KEY-----\n"}
    masked = Mask([value]).text(encoding(lines(base64_of(0, 0)(json.dumps(value)), width, "\n")))
    assert "***" in masked
    assert len(masked) < 90  # the names of the members


def test_secrets_of_quotes_and_backslashes_are_masked():
    rng = random.Random(1)
    for alphabet in ("'\"ab", "\"'\\a", '"%2a', "&;quotamp'", "+ %20a", '\\"\né<😀/'):
        for length in (8, 30, 200):
            secret = "a" + "".join(rng.choice(alphabet) for _ in range(length)) + "b"
            for encoding in (str, in_json, of_php, after(in_json, in_json), broken(base64_of(0, 0)), repr):
                masked = Mask([secret]).text(f"<{encoding(secret)}>")
                assert "***" in masked, (encoding, secret)
                assert len(masked) < 12 * (secret.count("\n") + 1), (encoding, secret)


BREAKS = ["\n", "\\n", "\\\\r\\\\n", "%250D%250A", "&#13;&#10;", "\n  \n\t", "\\n\\\n    "]


@pytest.mark.parametrize("end", BREAKS)
def test_what_is_around_a_secret_in_broken_lines_is_kept(end):
    encoded = base64_of(60, 300)(token(60))
    text = f"one{end}two{end} {lines(encoded, 64, end)}-----END-----{end}three {'w' * 5000}{end}four"
    masked = Mask([token(60), pem(4000)]).text(text)
    begin, _, rest = masked.partition("***")
    assert text.startswith(begin)
    assert len(begin) > 60
    assert text.endswith(rest)
    assert len(rest) > 5300
    assert LongMask(token(60)).text(text) == masked


@pytest.mark.parametrize("width", [8, 31])
def test_lines_that_no_program_breaks_are_not_joined(width):
    text = lines(base64_of(0, 0)(token(60)), width, "\n")
    assert Mask([token(60)]).text(text) == text


HOSTILE = ["\\", "\\n", "\n", "%25", "%0A", "&#10;", " ", "a", "é", "\\\n", "\\r"]


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("before", ["", "a" * 40])
def test_breaks_of_lines_are_found_in_linear_time(piece, before):
    mask = LongMask(token(300))
    started = time.process_time()
    mask.text(before + piece * 200_000)
    mask.text((before + piece) * 5_000)
    assert time.process_time() - started < 2


def test_a_mask_of_a_secret_of_some_kilobytes_is_small_and_made_fast():
    started = time.process_time()
    mask = Mask([pem(8192)])
    assert time.process_time() - started < 0.5
    assert mask.size < 100 * 8192
    started = time.process_time()
    mask = Mask([configuration(8192)])
    assert time.process_time() - started < 2
    assert mask.size < 500 * 8192
