"""Connections that handlers make without HTTP."""

import pytest

from unspool.executor.egress import AddressRefused, AddressScope, EgressPolicy
from unspool.executor.limits.limits import Limits
from unspool.executor.outbound import opened_outbound
from unspool.executor.settings import ExecutorSettings

NO_LIMITS = Limits(ExecutorSettings(), None)


async def test_a_socket_is_connected_to_an_allowed_address(service):
    async with opened_outbound(EgressPolicy(AddressScope.PRIVATE), NO_LIMITS, 1) as outbound:
        assert "127.0.0.1" in await outbound.addresses("localhost", service.port)
        connection = await outbound.connect("localhost", service.port)
        with connection:
            assert connection.getpeername()[1] == service.port


@pytest.mark.parametrize("host", ["169.254.169.254", "0x7f.1", "localhost", "::1"])
async def test_an_address_that_is_not_allowed_is_refused(service, host):
    async with opened_outbound(EgressPolicy(AddressScope.PUBLIC), NO_LIMITS, 1) as outbound:
        with pytest.raises(AddressRefused):
            await outbound.connect(host, service.port)
        with pytest.raises(AddressRefused):
            await outbound.addresses(host, service.port)


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
async def test_a_name_that_no_host_can_have_does_not_resolve(host):
    async with opened_outbound(EgressPolicy(AddressScope.PRIVATE), NO_LIMITS, 1) as outbound:
        with pytest.raises(OSError, match="host name is not valid"):
            await outbound.addresses(host, 80)
