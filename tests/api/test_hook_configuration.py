"""The file of webhooks: mistakes in it, with their positions."""

import pytest

from unspool.api.hooks.configuration import Hooks, read_hooks


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


def test_without_a_file_there_is_no_webhook():
    assert Hooks().by_name == read_hooks(b"{}", "f") == {}
