"""What `run: container` asks an engine for, and what it refuses (inventory I59)."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.definitions.errors import WorkflowError
from unspool.eventstore.records import TaskRequest
from unspool.eventstore.settings import BadSetting
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Rejected
from unspool.executor.runs.container.address import engine_address, parse_address
from unspool.executor.runs.container.image import parse_image
from unspool.executor.runs.container.owner import current_owner, is_gone
from unspool.executor.runs.container.rules import ContainerRules
from unspool.executor.runs.container.specification import create_request, prepare
from unspool.executor.runs.container.sweep import milliseconds_of
from unspool.executor.settings import ExecutorSettings

GENEROUS = ExecutorSettings(
    container_volumes="/srv/in:ro, /srv/out, cache",
    container_network="bridge",
    container_capabilities="CHOWN, SETUID",
    container_cpus=1.5,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
MEMBERS = (
    "name",
    "command",
    "arguments",
    "environment",
    "stdin",
    "ports",
    "volumes",
    "pullPolicy",
    "lifetime",
    "return",
)


def request_for(settings: ExecutorSettings, **arguments) -> dict | WorkflowError:
    rules = ContainerRules.of(settings)
    request = TaskRequest("e", "r", "/do/0/a b", "container", {"image": "alpine", **arguments})
    try:
        return create_request(prepare(request, rules), rules, (), {})
    except Rejected as rejected:
        return rejected.error


def test_a_container_has_no_rights() -> None:
    host = request_for(ExecutorSettings())["HostConfig"]
    assert (
        host.items()
        >= {
            "Privileged": False,
            "CapDrop": ["ALL"],
            "CapAdd": [],
            "SecurityOpt": ["no-new-privileges"],
            "NetworkMode": "none",
            "Mounts": [],
            "PidsLimit": 256,
            "Memory": 1024**3,
        }.items()
    )


def test_what_an_operator_allows() -> None:
    found = request_for(
        GENEROUS,
        ports={"8080": 80, "53": "53/udp"},
        volumes={"/srv/in": "/in", "/srv/out": "/out:ro", "cache": "/cache"},
    )
    host = found["HostConfig"]
    assert host["PortBindings"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
    }
    assert [(m["Type"], m["Source"], m["Target"], m["ReadOnly"]) for m in host["Mounts"]] == [
        ("bind", "/srv/in", "/in", True),
        ("bind", "/srv/out", "/out", True),
        ("volume", "cache", "/cache", False),
    ]
    assert (host["CapAdd"], host["NanoCpus"], host["NetworkMode"]) == (
        ["CHOWN", "SETUID"],
        1_500_000_000,
        "bridge",
    )


@pytest.mark.parametrize(
    "source", ["/srv", "/srv/in/", "/srv/in/x", "/srv/out/../in", "/", "cach", "/var/run/docker.sock"]
)
def test_any_other_volume_is_refused(source) -> None:
    assert request_for(GENEROUS, volumes={source: "/x"}).status == 403


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "٣", "1" * 5000, None, [80]])
def test_bad_ports_are_refused(port) -> None:
    assert request_for(GENEROUS, ports={"80": port}).status == 400
    if isinstance(port, str):
        assert request_for(GENEROUS, ports={port: 80}).status == 400


@given(image=values, rest=st.dictionaries(st.sampled_from(MEMBERS), values))
def test_any_arguments_are_sent_or_refused(image, rest) -> None:
    found = request_for(GENEROUS, **{"image": image, **rest})
    if isinstance(found, WorkflowError):
        assert found.status in {400, 403}
        assert found.detail
        return
    json.dumps(found)
    assert "\0" not in "".join([*found["Env"], *found.get("Cmd", []), *found.get("Entrypoint", [])])


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("me/app:1.0", "docker.io/me/app:1.0"),
        ("localhost/app", "localhost/app:latest"),
        ("registry.example.com:5000/a/b", "registry.example.com:5000/a/b:latest"),
        ("alpine@sha256:" + "a" * 64, "docker.io/library/alpine@sha256:" + "a" * 64),
    ],
)
def test_names_of_images_are_completed(written, full) -> None:
    assert parse_image(written).full == full


@pytest.mark.parametrize(
    "written", ["", "a b", "a?x=1", "a/../b", "/a", "a#b", "a:b:c", "a%2fb", "-a", "a\n"]
)
def test_other_names_of_images_are_refused(written) -> None:
    with pytest.raises(Rejected, match="is not the name of an image"):
        parse_image(written)


@pytest.mark.parametrize(
    "settings",
    [
        {"container_network": "host"},
        {"container_network": "container:other"},
        {"container_capabilities": "ALL"},
        {"container_volumes": "/a:rx"},
        {"container_volumes": "data/in"},
        {"container_volumes": ":ro"},
    ],
)
def test_dangerous_settings_are_refused(settings) -> None:
    with pytest.raises(BadSetting, match="UNSPOOL_CONTAINER_"):
        ContainerRules.of(ExecutorSettings(**settings))


async def test_an_executor_that_may_run_containers_does_not_start_with_bad_settings() -> None:
    bad = ExecutorSettings(allow="container", container_network="host")
    with pytest.raises(BadSetting, match="UNSPOOL_CONTAINER_NETWORK"):
        async with default_handlers(bad):
            pass
    async with default_handlers(replace(bad, allow="shell")):
        pass


def test_where_the_engine_is(tmp_path) -> None:
    assert str(parse_address("unix:///a/b.sock")) == "unix:///a/b.sock"
    assert str(engine_address("", {"DOCKER_HOST": "tcp://host:2375"})) == "tcp://host:2375"
    assert str(parse_address("tcp://[::1]:2375")) == "tcp://[::1]:2375"
    assert str(engine_address("unix:///mine", {"DOCKER_HOST": "tcp://host:2375"})) == "unix:///mine"
    (tmp_path / "podman").mkdir()
    (tmp_path / "podman" / "podman.sock").touch()
    assert str(engine_address("", {"XDG_RUNTIME_DIR": str(tmp_path)})).endswith((".sock",))
    for wrong in ("ssh://host", "unix://relative", "tcp://host", "tcp://host:x", "tcp://a..b:1", "host:1"):
        with pytest.raises(BadSetting):
            parse_address(wrong)


def test_an_executor_knows_which_others_are_gone() -> None:
    mine = current_owner()
    machine, pid, start = mine.rsplit("/", 2)
    assert not is_gone(mine)
    assert is_gone(f"{machine}/{pid}/1")
    assert is_gone(f"{machine}/999999999/{start}")
    assert not is_gone(f"elsewhere/{pid}/{start}")
    assert not is_gone("")


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("2026-01-02T03:04:05.123456789Z", 1767323045123),
        ("2026-01-02T05:04:05+02:00", 1767323045000),
        ("0001-01-01T00:00:00Z", None),
        ("soon", None),
    ],
)
def test_times_of_engines(written, milliseconds) -> None:
    assert milliseconds_of(written) == milliseconds
