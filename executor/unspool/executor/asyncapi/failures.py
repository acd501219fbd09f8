"""Errors of calls to brokers. Each names the server and the cause, but no secret or resolved address."""

import os
import ssl

from unspool.definitions.errors import (
    WorkflowError,
    authentication,
    authorization,
    communication,
    configuration,
)
from unspool.executor.brokers.port import (
    BrokerError,
    CredentialsRefused,
    MessageTooLarge,
    NotPossible,
    Server,
)
from unspool.executor.egress import AddressRefused
from unspool.executor.masking import masked


def broker_failure(server: Server, error: BrokerError | OSError | TimeoutError) -> WorkflowError:
    """The error for a broker that failed or could not be reached (inventory J1)."""
    if isinstance(error, AddressRefused):
        return authorization(f"{server.label}: {error}", title="Address not allowed")
    detail = masked(f"{server.label}: {_cause(error)}", server.credentials.secrets)
    match error:
        case NotPossible():
            return configuration(detail)
        case CredentialsRefused():
            return authentication(detail)
        case MessageTooLarge():
            return communication(detail, title="Message too large")
        case BrokerError():
            return communication(detail, status=error.status)
        case _:
            return communication(detail)


def _cause(error: Exception) -> str:
    if isinstance(error, BrokerError):
        return str(error)
    if isinstance(error, ssl.SSLError):
        return "no TLS connection could be made"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return f"no connection: {os.strerror(error.errno)}"
    return "the host name could not be resolved, or no connection could be made"
