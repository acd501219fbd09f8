"""Webhooks of `unspool dev` and `unspool api`: files with mistakes, and missing secrets."""

import json

import pytest


@pytest.mark.parametrize("command", ["api --port 0", "dev --port 0"])
def test_a_file_with_mistakes_ends_the_program(home, program, command):
    (home / "hooks.yaml").write_text("a:\n  verify: {githbu: {secret: S}}\nb: {}\n")
    result = program(*command.split(), UNSPOOL_HOOKS="hooks.yaml")
    assert result.code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("hooks.yaml:2:3: no verification kind here; did you mean 'github'")
    assert lines[1] == "hooks.yaml:3:1: missing property 'verify' (/b)"
    assert lines[2] == "unspool: UNSPOOL_HOOKS: hooks.yaml is not a valid file of webhooks"
    result = program(*command.split(), UNSPOOL_HOOKS="missing.yaml")
    assert (result.code, result.stderr) == (
        2,
        "unspool: UNSPOOL_HOOKS: missing.yaml: No such file or directory\n",
    )


def test_a_webhook_without_secret_is_reported_at_the_start(home, start_program):
    (home / "hooks.yaml").write_text("a: {verify: {github: {secret: MISSING}}}\nb: {verify: none}\n")
    with start_program("api", "--port", "0", UNSPOOL_HOOKS="hooks.yaml") as api:
        first = json.loads(api.stderr.readline())
        assert first["message"] == "the webhook 'a' refuses everything: no secret of it has a value"
        assert first["level"] == "warning"
        api.stderr.readline()  # it serves nevertheless
        api.terminate()
        api.communicate(timeout=120)
