"""Everything that the API shows of an execution, as bytes in which tests look for what must not be there."""

import asyncio
import json
from typing import Any

EXECUTION = ("", "/events?limit=1000", "/state", "/state?at=1", "/diagram", "/timeline", "/why")
"""Views of one execution, below its path."""

ALL = (
    *("/executions", "/executions?view=summary", "/counts", "/dlq", "/schedules", "/services", "/functions"),
    *("//metrics", "//health/ready"),
)


async def everything_shown(api: Any, execution: str, workflow: str) -> bytes:
    """Returns the answers of all views."""
    shown = [json.dumps(await api.get(path)) for path in ALL]
    shown += [json.dumps(await api.get(f"/executions/{execution}{view}")) for view in EXECUTION]
    for search in (f"workflow={workflow}", f"id={execution}", "status=faulted", f"parent={execution}"):
        shown.append(json.dumps(await api.get(f"/executions?{search}")))
    namespace, _, name = workflow.partition("/")
    shown.append(json.dumps(await api.get(f"/workflows/{namespace}/{name}/statistics")))
    for letter in (await api.get(f"/dlq?execution={execution}"))["items"]:
        shown.append(json.dumps(await api.get(f"/dlq/{letter['id']}")))
    shown.append(await streamed(api, execution))
    return "\n".join(shown).encode()


async def streamed(api: Any, execution: str) -> str:
    """Returns the stream of an execution, up to its newest event."""
    count = len((await api.get(f"/executions/{execution}/events?limit=1000"))["items"])
    text = ""
    url = f"{api.url}/api/v1/executions/{execution}/events/stream"
    async with asyncio.timeout(60), api.session.get(url) as response:
        async for line in response.content:
            text += line.decode()
            if text.count("\ndata:") + text.startswith("data:") >= count and not line.strip():
                break
    return text
