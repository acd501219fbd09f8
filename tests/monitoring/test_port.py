"""The port for monitoring of each service."""

import asyncio
import json
import socket
import subprocess

import pytest
from tests.monitoring.conftest import UNSPOOL
from tests.monitoring.metrics import Exposition
from tests.ports import free_port

OWN = {
    "worker": "unspool_worker_messages_held",
    "executor": "unspool_executor_slots",
    "timer": "unspool_timer_fired_total",
    "api": "unspool_api_requests_in_progress",
}


async def shown(running, names):
    """The metrics, as soon as they have these names: the port is open before the service is up."""
    async with asyncio.timeout(60):
        while True:
            status, text = await running.get("/metrics")
            assert status == 200
            if (found := Exposition(text)).names >= names:
                return found
            await asyncio.sleep(0.05)


@pytest.fixture
def store_url(tmp_path):
    """A file: the store makes no difference here."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.mark.parametrize("service", OWN)
async def test_every_service_serves_metrics_and_health(monitored, service, store_url):
    options = ("--port", "0") if service == "api" else ()
    async with monitored(service, store_url, *options) as running:
        found = await shown(running, {OWN[service]})
        assert await running.get("/health/live") == (200, '{"status":"live"}')
        async with asyncio.timeout(60):
            while (await running.get("/health/ready"))[0] != 200:
                await asyncio.sleep(0.05)
    assert found.names & set(OWN.values()) == {OWN[service]}
    assert found.labels("unspool_build_info")[0]["version"]
    assert found.value("process_resident_memory_bytes") > 0


async def test_a_service_tells_its_settings_without_secrets(monitored, store_url):
    settings = {"UNSPOOL_TIMER_BATCH": "7", "UNSPOOL_EVENT_SINK_URL": "http://me:s3cret@localhost/events"}
    async with monitored("timer", store_url, **settings) as running:
        status, text = await running.get("/config")
    assert status == 200
    assert "s3cret" not in text
    told = json.loads(text)
    assert told["store"] == store_url
    assert told["version"]
    assert told["settings"]["UNSPOOL_TIMER_BATCH"] == 7


async def test_dev_serves_the_metrics_of_all_services(monitored, store_url):
    async with monitored("dev", store_url, "--port", "0") as running:
        await shown(running, set(OWN.values()))


def test_without_a_setting_there_is_no_port(store_url):
    settings = subprocess.check_output([UNSPOOL, "config", "--json"], text=True, timeout=200)
    assert '"variable":"UNSPOOL_METRICS_PORT","value":0,' in settings


def test_a_port_in_use_is_refused(store_url):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        ended = subprocess.run(
            [UNSPOOL, "timer", "--store", store_url, "--metrics-port", str(port)],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port} for metrics" in ended.stderr
