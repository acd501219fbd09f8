#!/bin/sh
# Stands for the program of an agent, with its command `mcp add`: connects to the server as the agent does later.
set -eu
[ "$1 $2" = "mcp add" ]
if [ "$3" = --transport ]; then
    exec curl --silent --fail --output /dev/null --json '{"jsonrpc": "2.0", "id": 1, "method": "ping"}' \
        --header 'Accept: application/json, text/event-stream' "$6"
fi
variable="$5"
shift 6
exec env "$variable" "$@" < /dev/null
