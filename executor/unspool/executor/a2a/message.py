"""Makes the request of JSON-RPC for a method, with the defaults of the DSL. Pure."""

from typing import Final
from uuid import NAMESPACE_URL, uuid5

from unspool.definitions.errors import configuration
from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.outcome import Rejected

REQUEST_ID: Final = 1
"""Each HTTP request has one request of JSON-RPC."""

SENDING: Final = frozenset({"message/send", "message/stream"})
STREAMING: Final = frozenset({"message/stream", "tasks/resubscribe"})

_MODERN_METHODS: Final = {
    "message/send": "SendMessage",
    "message/stream": "SendStreamingMessage",
    "tasks/get": "GetTask",
    "tasks/list": "ListTasks",
    "tasks/cancel": "CancelTask",
    "tasks/resubscribe": "SubscribeToTask",
    "tasks/pushNotificationConfig/set": "CreateTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/get": "GetTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/list": "ListTaskPushNotificationConfigs",
    "tasks/pushNotificationConfig/delete": "DeleteTaskPushNotificationConfig",
    "agent/getAuthenticatedExtendedCard": "GetExtendedAgentCard",
}
"""The methods of the DSL, and their names in A2A 1.0."""


def rpc_request(request: TaskRequest, *, modern: bool) -> dict[str, Json]:
    """The request of a task, for an agent of A2A 1.0 (`modern`) or 0.3.

    Raises:
        Rejected: the method or the parameters are invalid; the `configuration` error says what.
    """
    method = request.arguments["method"]
    if method not in _MODERN_METHODS:
        raise Rejected(configuration(f"{method!r} is not a method of A2A that can be called"))
    parameters = request.arguments.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        detail = f"parameters must be a map, not {type(parameters).__name__}"
        raise Rejected(configuration(detail))
    sent: dict[str, Json] = {
        "jsonrpc": "2.0",
        "id": REQUEST_ID,
        "method": _MODERN_METHODS[method] if modern else method,
    }
    if method in SENDING:
        parameters = _with_defaults(parameters or {}, request.idempotency_key, modern=modern)
    return sent if parameters is None else {**sent, "params": parameters}


def _with_defaults(parameters: dict[str, Json], key: str, *, modern: bool) -> dict[str, Json]:
    """The parameters with the id and the role of the message.

    The id is the same for each delivery of the task, so that an agent can know the message again.
    """
    message = parameters.get("message")
    if not isinstance(message, dict):
        return parameters
    defaults = {
        "messageId": str(uuid5(NAMESPACE_URL, f"unspool:{key}")),
        "role": "ROLE_USER" if modern else "user",
    }
    return {**parameters, "message": {**defaults, **message}}
