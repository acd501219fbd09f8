"""Answers with the services of the deployment, its queues and its store."""

from starlette.responses import Response

from unspool.api.calls import Call, json_response
from unspool.api.system_status import system_json
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.monitoring.monitor import NO_ANSWER


async def list_services(call: Call) -> Response:
    """Lists the services that are alive, what waits in the queues, and the state of the store.

    The figures are those of all tenants, and some seconds old at most.
    """
    status = await call.services.monitor.status.read()
    if not status.up:
        raise StoreUnavailable(NO_ANSWER)
    return json_response(system_json(status, await call.services.transports.read()))
