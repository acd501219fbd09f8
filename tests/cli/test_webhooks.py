"""Webhooks of `unspool dev` and `unspool api`: the example of the documentation, and files with mistakes."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

SECTION = (Path(__file__).parents[2] / "docs/events.md").read_text().partition("## Webhooks")[2]


def test_the_example_of_the_documentation(home, start_program, program):
    hooks, workflow = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)[:2]
    start, send = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    (home / "hooks.yaml").write_text(hooks)
    (home / "review.yaml").write_text(workflow)
    settings = dict(re.findall(r"(UNSPOOL_\w+)=('[^']*'|\S+)", start))
    environment = {name: value.strip("'") for name, value in settings.items()}
    with start_program("dev", "review.yaml", "--port", "0", **environment) as dev:
        port = dev.stdout.readline().strip().rpartition(":")[2]
        execution = program("start", "examples/review").stdout.strip()
        while "correlation-started" not in program("history", execution).stdout:
            assert dev.poll() is None
        script = send.partition("\n")[2].replace(":8080", f":{port}")
        answer = subprocess.check_output(["sh", "-ec", script], stderr=subprocess.DEVNULL, timeout=30)
        assert json.loads(answer) == {"accepted": 1}
        deadline = time.monotonic() + 30
        while (found := program("executions", "show", execution, "--json").json)["status"] != "completed":
            assert time.monotonic() < deadline
        assert found["output"] == "f00ba4"
        dev.terminate()
        _, log = dev.communicate(timeout=30)
    assert "a long random text" not in log


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
        api.communicate(timeout=30)
