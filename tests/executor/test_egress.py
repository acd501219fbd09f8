"""Where calls may go (DESIGN §8; security §5)."""

import socket
from ipaddress import ip_address

import pytest
from tests.task_contexts import task_context

from unspool.eventstore.settings import BadSetting
from unspool.executor.egress import AddressScope, EgressPolicy, is_own, resolve, store_endpoints
from unspool.executor.handlers import default_handlers
from unspool.executor.settings import ExecutorSettings

ALWAYS_REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "ff02::1",
    "::ffff:169.254.169.254",
    "::ffff:0:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]
PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", ALWAYS_REFUSED)
@pytest.mark.parametrize("scope", AddressScope)
def test_metadata_and_link_local_addresses_are_always_refused(address: str, scope: AddressScope) -> None:
    assert not EgressPolicy(scope).allows(address, 80)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_allowed_only_in_the_private_scope(address: str) -> None:
    assert EgressPolicy(AddressScope.PRIVATE).allows(address, 80)
    assert not EgressPolicy(AddressScope.PUBLIC).allows(address, 80)


@pytest.mark.parametrize("address", PUBLIC)
@pytest.mark.parametrize("scope", AddressScope)
def test_public_addresses_are_allowed(address: str, scope: AddressScope) -> None:
    assert EgressPolicy(scope).allows(address, 443)


def test_the_port_of_the_store_is_refused() -> None:
    policy = EgressPolicy(AddressScope.PRIVATE, resolve([("10.9.8.7", 6379)]))
    assert not policy.allows("10.9.8.7", 6379)
    assert not policy.allows("::ffff:10.9.8.7", 6379)
    assert policy.allows("10.9.8.7", 80)
    assert policy.allows("10.9.8.6", 6379)


def test_a_store_on_this_machine_is_refused_at_each_of_its_addresses() -> None:
    ours = {ip_address("127.0.0.1"), ip_address("10.0.0.5")}
    policy = EgressPolicy(AddressScope.PRIVATE, resolve([("127.0.0.1", 6379)]), is_own=ours.__contains__)
    assert not policy.allows("10.0.0.5", 6379)
    assert policy.allows("10.0.0.6", 6379)


def test_this_machines_addresses_are_known() -> None:
    assert is_own(ip_address("127.0.0.1"))
    assert is_own(ip_address("127.9.9.9"))
    assert not is_own(ip_address("192.0.2.1"))


@pytest.mark.parametrize(
    ("url", "endpoints"),
    [
        ("sqlite:///tmp/x.db", ()),
        ("redis://localhost", (("localhost", 6379),)),
        ("rediss://user:p%40ss@cache.example:6380/3", (("cache.example", 6380),)),
        ("redis+cluster://a:7000,b:7001/", (("a", 7000), ("b", 7001))),
        ("redis+sentinel://u:p@a,b:26380/mymaster/0", (("a", 26379), ("b", 26380))),
        ("redis://[::1]:6379/0", (("::1", 6379),)),
        ("postgresql://u@db/unspool", (("db", 5432),)),
    ],
)
def test_a_store_url_names_its_servers(url: str, endpoints: tuple) -> None:
    assert store_endpoints(url) == endpoints


def test_a_store_name_that_does_not_resolve_has_no_addresses() -> None:
    assert resolve([("no-such-host.invalid", 6379)]) == frozenset()


async def test_an_unknown_scope_is_a_bad_setting() -> None:
    with pytest.raises(BadSetting, match="UNSPOOL_EGRESS"):
        async with default_handlers(ExecutorSettings(egress="everywhere")):
            pass


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "0.0.0.0",
        "0xa9fea9fe",
        "0xa9.0xfe.0xa9.0xfe",
        "0251.0376.0251.0376",
        "2852039166",
        "user@169.254.169.254",
    ],
)
async def test_no_spelling_of_a_metadata_address_is_called(http, host: str) -> None:
    outcome = await http(f"http://{host}/latest/meta-data")
    error = outcome.error
    assert error.type.endswith("/authorization")
    assert error.status == 403
    assert error.title


@pytest.mark.parametrize("http", [ExecutorSettings(egress="public")], indirect=True)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "127.1"])
async def test_the_public_scope_refuses_this_machine(http, service, host: str) -> None:
    outcome = await http(f"http://{host}:{service.port}/")
    assert outcome.error.status == 403
    assert service.requests == []


async def test_the_store_is_not_called_under_any_name(service) -> None:
    from unspool.eventstore.records import TaskRequest

    async with default_handlers(ExecutorSettings(), store=[("localhost", service.port)]) as handlers:
        for host in ("127.0.0.1", "localhost", "127.0.0.2", socket.gethostname()):
            arguments = {"method": "GET", "endpoint": {"uri": f"http://{host}:{service.port}/"}}
            outcome = await handlers["http"](
                TaskRequest("e", "r", "/do/0/x", "http", arguments), task_context()
            )
            assert outcome.error.status in {403, 500}, host
    assert service.requests == []
