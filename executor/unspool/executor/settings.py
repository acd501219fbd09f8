"""Settings of the executor service."""

from dataclasses import dataclass
from typing import Final

from unspool.eventstore.settings import setting

MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """Limits of the executor and permissions of its tasks."""

    concurrency: int = setting("UNSPOOL_EXECUTOR_CONCURRENCY", 64, "Tasks one executor runs at once")
    parked_tasks: int = setting(
        "UNSPOOL_EXECUTOR_PARKED_TASKS",
        1000,
        "Most tasks of one executor that wait, without a slot: for a limit, for a thread, or for an executor "
        "with their function",
    )
    target_concurrency: int = setting(
        "UNSPOOL_EXECUTOR_TARGET_CONCURRENCY",
        48,
        "Calls of one executor to one host or function at once, so that a slow one leaves slots for others",
    )
    limits: str = setting(
        "UNSPOOL_LIMITS",
        "",
        "Rates that all executors keep together, such as 'api.example.com=10/s function:charge-card=5/s'",
    )
    circuit_failures: int = setting(
        "UNSPOOL_CIRCUIT_FAILURES",
        20,
        "After this many calls in a row without an answer, calls to a host wait for one that tries it",
    )
    circuit_seconds: float = setting(
        "UNSPOOL_CIRCUIT_SECONDS", 5.0, "How long calls to a host that does not answer pause before the trial"
    )
    lease_seconds: float = setting(
        "UNSPOOL_EXECUTOR_LEASE_SECONDS",
        30.0,
        "A task whose lease is not renewed for this long goes to another executor",
    )
    stop_grace_seconds: float = setting(
        "UNSPOOL_EXECUTOR_STOP_GRACE_SECONDS",
        10.0,
        "How long an executor that is stopped waits for its running tasks",
    )
    max_result_bytes: int = setting(
        "UNSPOOL_EXECUTOR_MAX_RESULT_BYTES", 4 * MEBIBYTE, "Largest result of a task, as JSON"
    )
    egress: str = setting(
        "UNSPOOL_EGRESS",
        "private",
        "Where calls may go: 'private' (private networks too) or 'public' (the internet only)",
    )
    http_timeout_seconds: float = setting(
        "UNSPOOL_HTTP_TIMEOUT_SECONDS", 300.0, "Longest time an HTTP call may take, redirects included"
    )
    http_max_response_bytes: int = setting(
        "UNSPOOL_HTTP_MAX_RESPONSE_BYTES",
        4 * MEBIBYTE,
        "Largest body of an HTTP response, decompressed",
    )
    grpc_timeout_seconds: float = setting(
        "UNSPOOL_GRPC_TIMEOUT_SECONDS", 300.0, "Longest time a gRPC call may take"
    )
    grpc_max_message_bytes: int = setting(
        "UNSPOOL_GRPC_MAX_MESSAGE_BYTES",
        4 * MEBIBYTE,
        "Largest message of a gRPC call, and all messages that a stream receives",
    )
    broker_timeout_seconds: float = setting(
        "UNSPOOL_BROKER_TIMEOUT_SECONDS",
        30.0,
        "Longest time to connect to a message broker and to publish a message",
    )
    broker_max_message_bytes: int = setting(
        "UNSPOOL_BROKER_MAX_MESSAGE_BYTES", MEBIBYTE, "Largest message that a subscription takes"
    )
    resource_max_bytes: int = setting(
        "UNSPOOL_RESOURCE_MAX_BYTES", 4 * MEBIBYTE, "Largest text of an external resource"
    )
    document_max_bytes: int = setting(
        "UNSPOOL_DOCUMENT_MAX_BYTES",
        32 * MEBIBYTE,
        "Largest document that a call needs (OpenAPI, AsyncAPI)",
    )
    resource_timeout_seconds: float = setting(
        "UNSPOOL_RESOURCE_TIMEOUT_SECONDS", 30.0, "Longest time to fetch an external resource"
    )
    resource_cache_seconds: float = setting(
        "UNSPOOL_RESOURCE_CACHE_SECONDS",
        10.0,
        "How long an executor gives a text that it has fetched to further executions; 0: not at all",
    )
    resources_dir: str = setting(
        "UNSPOOL_RESOURCES_DIR", "", "Directory of the external resources with file: or relative addresses"
    )
    catalog: str = setting(
        "UNSPOOL_CATALOG", "", "The default catalog of functions: a directory, or an http or https address"
    )
    functions: str = setting(
        "UNSPOOL_FUNCTIONS", "", "Modules or files with functions in Python, separated by blanks"
    )
    tasks: str = setting(
        "UNSPOOL_TASKS", "", "Kinds of calls of installed packages that may be used, separated by blanks"
    )
    function_queues: str = setting(
        "UNSPOOL_FUNCTION_QUEUES",
        "",
        "Queues of functions, separated by blanks; the executor runs these functions and nothing else",
    )
    function_threads: int = setting(
        "UNSPOOL_FUNCTION_THREADS", 16, "Functions that are not async and run at once, each in a thread"
    )
    secrets_dir: str = setting(
        "UNSPOOL_SECRETS_DIR", "", "Directory with one file for each secret of workflows and webhooks"
    )
    secrets_shared: bool = setting(
        "UNSPOOL_SECRETS_SHARED",
        False,
        "Whether every tenant may use all secrets; by default each has its own, in a directory with its name",
    )
    allow: str = setting(
        "UNSPOOL_ALLOW",
        "",
        "What `run` tasks may run: shell, script, container, separated by commas, or none; `--allow` "
        "overrides it; default: none, but all for `unspool run` and `unspool dev`",
    )
    allow_shell: bool = setting(
        "UNSPOOL_ALLOW_SHELL", False, "Whether `run: shell` may be used; the same as UNSPOOL_ALLOW=shell"
    )
    shell_max_output_bytes: int = setting(
        "UNSPOOL_SHELL_MAX_OUTPUT_BYTES",
        MEBIBYTE,
        "Most a command, script or container may write to standard output, and to standard error",
    )
    shell_kill_grace_seconds: float = setting(
        "UNSPOOL_SHELL_KILL_GRACE_SECONDS",
        2.0,
        "Time between SIGTERM and SIGKILL when a command, script or container is stopped",
    )
    run_max_processes: int = setting(
        "UNSPOOL_RUN_MAX_PROCESSES",
        0,
        "Most processes and threads of the executor's user while a command or script runs, unless that "
        "user is root; 0: no limit",
        least=0,
    )
    script_memory_mb: int = setting(
        "UNSPOOL_SCRIPT_MEMORY_MB", 512, "Memory of each process of a script, in MiB"
    )
    script_timeout_seconds: float = setting(
        "UNSPOOL_SCRIPT_TIMEOUT_SECONDS", 3600.0, "Longest time a script may run"
    )
    script_javascript: str = setting(
        "UNSPOOL_SCRIPT_JAVASCRIPT",
        "auto",
        "What runs scripts in JavaScript: 'quickjs', the name or path of Node, or 'auto' (Node if it is "
        "there, else quickjs)",
    )
    container_host: str = setting(
        "UNSPOOL_CONTAINER_HOST",
        "",
        "Where Docker or Podman is: unix:///PATH or tcp://HOST:PORT; default: DOCKER_HOST, else a socket at "
        "a usual place",
    )
    container_images: str = setting(
        "UNSPOOL_CONTAINER_IMAGES",
        "",
        "Images that containers may have, separated by commas, such as 'docker.io/library/*'; default: all",
    )
    container_volumes: str = setting(
        "UNSPOOL_CONTAINER_VOLUMES",
        "",
        "Directories of the host and names of volumes that containers may have, separated by commas; ':ro' "
        "after one: only to read; default: none",
    )
    container_network: str = setting(
        "UNSPOOL_CONTAINER_NETWORK", "none", "Network of containers: none, bridge, or the name of another one"
    )
    container_capabilities: str = setting(
        "UNSPOOL_CONTAINER_CAPABILITIES",
        "",
        "Linux capabilities that containers have, separated by commas, such as CHOWN; default: none",
    )
    container_memory_mb: int = setting(
        "UNSPOOL_CONTAINER_MEMORY_MB", 1024, "Memory of a container, in MiB; 0: no limit", least=0
    )
    container_max_processes: int = setting(
        "UNSPOOL_CONTAINER_MAX_PROCESSES",
        256,
        "Most processes and threads in a container; 0: no limit",
        least=0,
    )
    container_cpus: float = setting(
        "UNSPOOL_CONTAINER_CPUS", 0.0, "Processors that a container may use; 0: no limit"
    )
    container_pull_seconds: float = setting(
        "UNSPOOL_CONTAINER_PULL_SECONDS", 600.0, "Longest time to fetch an image"
    )
    script_python: str = setting(
        "UNSPOOL_SCRIPT_PYTHON",
        "",
        "Interpreter of Python scripts; default: the one of the executor, without its virtual environment",
    )
