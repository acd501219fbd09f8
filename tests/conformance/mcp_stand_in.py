"""An MCP server over standard input and output that answers what it was called with."""

import json
import os
import sys

for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "initialize":
        result = {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {},
            "serverInfo": {"name": "stand-in", "version": "1"},
        }
    elif message["method"] == "tools/call":
        called = {name: message["params"][name] for name in ("name", "arguments")}
        result = {
            "content": [{"type": "text", "text": "posted"}],
            "structuredContent": {
                "called": called,
                "arguments": sys.argv[1:],
                "token": os.environ["SLACK_MCP_XOXP_TOKEN"],
            },
        }
    else:
        continue
    os.write(1, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode() + b"\n")
