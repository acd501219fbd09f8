"""`unspool dev` and `unspool executor` transport events; a run of one execution does not."""

import contextlib
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from unspool.eventstore.opening import open_store

EMIT = """\
document: {dsl: '1.0.3', namespace: shop, name: emit, version: '1.0.0'}
do:
  - pay:
      emit: {event: {with: {type: order.paid, data: {order: 7}}}}
"""


class Address:
    """An HTTP address that gets events."""

    def __init__(self) -> None:
        self.events: queue.Queue[Any] = queue.Queue()
        self.arrived: queue.Queue[bool] = queue.Queue()
        self.hold = threading.Event()
        self.hold.set()
        events, arrived, hold = self.events, self.arrived, self.hold

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                arrived.put(True)
                hold.wait()
                events.put(event)
                with contextlib.suppress(ConnectionError):
                    self.send_response(202)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def address() -> Iterator[Address]:
    address = Address()
    yield address
    address.close()


@pytest.mark.parametrize("service", ["dev", "executor"])
def test_events_reach_the_address(start_program, program, home, address, service):
    store = f"sqlite:///{home}/store.db"
    arguments = ["--port", "0"] if service == "dev" else []
    settings = {"UNSPOOL_EVENT_SINK_URL": address.url, "UNSPOOL_LOG_LEVEL": "info"}
    with start_program(service, *arguments, "--store", store, **settings) as process:
        try:
            event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.paid"}
            while address.events.empty():  # the sink gets what is published after it was registered
                event["id"] += "1"
                assert program("events", "publish", "-", "--store", store, stdin=json.dumps(event)).code == 0
                assert process.poll() is None
            first = address.events.get(timeout=60)
            assert event["id"].startswith(first.pop("id"))
            assert first == {"specversion": "1.0", "source": "/shop", "type": "order.paid"}
        finally:
            process.terminate()
            process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_killed_executor_loses_no_event(start_program, home, address, run_coroutine):
    """The address holds the first event until its sender is killed; another executor sends everything."""
    store = f"sqlite:///{home}/store.db"
    run_coroutine(publish(store, range(1), register=True))
    address.hold.clear()
    settings = {"UNSPOOL_EVENT_SINK_URL": address.url}
    with start_program("executor", "--store", store, **settings) as first:
        address.arrived.get(timeout=60)
        with start_program("executor", "--store", store, **settings) as second:
            run_coroutine(publish(store, range(1, 50)))
            first.kill()
            address.hold.set()
            first.communicate(timeout=60)
            got = []
            while "49" not in got:
                got.append(address.events.get(timeout=60)["id"])
            second.terminate()
            second.communicate(timeout=60)
    assert second.returncode == 0
    assert list(dict.fromkeys(got)) == [f"{n}" for n in range(50)]


async def publish(url, ids, *, register=False):
    store = await open_store(url, {})
    if register:
        await store.keep_sinks(["http"])
    await store.publish(
        "default", [{"specversion": "1.0", "id": f"{n}", "source": "/shop", "type": "paid"} for n in ids]
    )
    await store.close()


def test_a_run_of_one_execution_sends_nothing(program, home, address):
    (home / "emit.yaml").write_text(EMIT)
    result = program("run", "emit.yaml", UNSPOOL_EVENT_SINK_URL=address.url)
    assert result.code == 0, result.stderr
    assert address.events.empty()


def test_a_wrong_address_is_bad_usage(program, home):
    store = ["--store", f"sqlite:///{home}/store.db"]
    for variable in ("UNSPOOL_EVENT_SINK_URL", "UNSPOOL_EVENT_SINK_STREAM", "UNSPOOL_EVENTS_STREAM"):
        result = program("executor", *store, **{variable: "orders"})
        assert result.code == 2
        assert variable in result.stderr


def test_addresses_are_not_shown(unspool, monkeypatch):
    for variable in ("UNSPOOL_EVENT_SINK_URL", "UNSPOOL_EVENT_SINK_STREAM", "UNSPOOL_EVENTS_STREAM"):
        monkeypatch.setenv(variable, "https://me:hunter2@host")
    shown = unspool("config").stdout
    assert "hunter2" not in shown
    assert "***" in shown
