"""Webhooks for tests: their configuration, their secrets, and what services send to them."""

import re
import subprocess
from contextlib import asynccontextmanager

import pytest

from unspool.api.hooks.configuration import Hooks, read_hooks
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


class StoppedClock:
    """A clock that shows the time that a test sets."""

    def __init__(self, time=NOW):
        self.time = time

    def now(self):
        return self.time


@pytest.fixture
def stopped_clock():
    return StoppedClock()


@pytest.fixture
def secrets_dir(tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, value in SECRETS.items():
        (folder / name).write_text(value + "\n")
    return folder


@pytest.fixture
def run_hooks(running_api, stopped_clock, secrets_dir):
    """Runs the API with webhooks on a store."""

    @asynccontextmanager
    async def run(store, text=HOOKS, **changes):
        hooks = Hooks(read_hooks(text.encode(), "hooks.yaml"), LocalSecrets({}, str(secrets_dir)))
        async with running_api(store, hooks=hooks, clock=stopped_clock, **changes) as api:
            yield api

    return run


async def send(api, name, expect, body=HELLO, kind="text/plain", **headers):
    """Sends a body to a webhook; `_` in the name of a header is `-`."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return await api.post(f"/hooks/{name}", expect, data=body, headers={"Content-Type": kind, **named})


async def published(api, tenant="default"):
    return [each.event for each in await api.store.published_events(tenant)]


async def counts(api):
    text = await api.get("//metrics")
    found = re.findall(r'^unspool_hooks_total\{name="(.*?)",result="(.*?)"\} (\d+)\.0$', text, re.MULTILINE)
    return {(name, result): int(count) for name, result, count in found}


def signature(secret, content, algorithm="sha256"):
    """The signature, made by OpenSSL."""
    command = ["openssl", "dgst", f"-{algorithm}", "-hmac", secret]
    return subprocess.check_output(command, input=content).decode().split()[-1]
