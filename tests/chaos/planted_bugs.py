"""Bugs that the suites claim to catch, each as a change of one place in the source."""

from pathlib import Path
from typing import NamedTuple


class Bug(NamedTuple):
    """A bug: what goes wrong, where, and which suites notice it."""

    name: str
    file: str
    """Relative to the root of the repository."""
    old: str
    """The text that is replaced; it occurs exactly once."""
    new: str
    suites: tuple[str, ...]
    """Paths of tests; in each of them a test fails with the bug."""
    store: str
    """The store whose tests fail; empty for all tests of the suites."""

    def plant(self, root: Path) -> None:
        """Changes a copy of the source."""
        path = root / self.file
        text = path.read_text()
        assert text.count(self.old) == 1, f"{self.name}: the text to replace is not there exactly once"
        path.write_text(text.replace(self.old, self.new))


CHAOS = "tests/chaos"
RANDOM = "tests/chaos/test_random_faults.py"
SCHEDULED = "tests/chaos/test_schedules_under_faults.py"
COMMIT = "tests/eventstore/test_contract_commit.py"
TASKS = "tests/eventstore/test_contract_tasks.py"
INBOX = "tests/eventstore/test_contract_inbox.py"
TIMERS = "tests/eventstore/test_contract_timers.py"
OUTBOX = "tests/eventstore/test_contract_outbox.py"
EVENTS = "tests/eventstore/test_contract_events.py"
EVENT_MODEL = "tests/eventstore/test_contract_model_events.py"
EVENT_FAULTS = "tests/eventstore/test_redis_event_faults.py"
KEYS = "tests/eventstore/test_contract_idempotency_keys.py"
RETENTION = "tests/eventstore/test_contract_event_retention.py"
REDIS_FAULTS = "tests/eventstore/test_redis_faults.py"
EXECUTOR = "tests/executor/test_service.py"
EMIT = "tests/worker/test_events.py"
SCHEDULES = "tests/worker/test_schedules.py"
SCHEDULE_DECISIONS = "tests/worker/test_schedule_decisions.py"
CHILDREN = "tests/worker/test_sub_workflows.py"

CLOCK = "{__import__('time').time_ns()}"
"""A value that is another one at each attempt, in an f-string."""

LUA = "eventstore/unspool/eventstore/redis/scripts"
SQLITE = "eventstore/unspool/eventstore/sqlite"

BUGS = (
    Bug(
        "a commit leaves its messages unacknowledged",
        f"{LUA}/commit.lua",
        "  redis.call('XACK', inbox, 'workers', unpack(acknowledged, first, last))\n"
        "  redis.call('XDEL', inbox, unpack(acknowledged, first, last))\n",
        "",
        (CHAOS,),
        "redis",
    ),
    Bug(
        "timers fire early",
        f"{LUA}/fire.lua",
        "'-inf', now, 'LIMIT'",
        "'-inf', now + 300, 'LIMIT'",
        (TIMERS, CHAOS),
        "redis",
    ),
    Bug(
        "a timer that is alone is lost",
        f"{LUA}/fire.lua",
        "      redis.call('XADD', KEYS[i + 1], '*', 'm', message)\n",
        "      if #due > 1 then redis.call('XADD', KEYS[i + 1], '*', 'm', message) end\n",
        (CHAOS,),
        "redis",
    ),
    Bug(
        "tasks of a dead executor are dropped",
        f"{LUA}/reclaim.lua",
        "elseif cancelled(n, entry[2][1]) then",
        "elseif per_set > 0 then",
        (CHAOS,),
        "redis",
    ),
    Bug(
        "nothing is taken over from the dead",
        f"{LUA}/reclaim.lua",
        "if left > 0 and redis.call('XLEN', KEYS[n]) > 0 then",
        "if left < 0 then",
        (INBOX,),
        "redis",
    ),
    Bug(
        "what is delivered is not pending",
        f"{LUA}/take.lua",
        "'COUNT', count, 'STREAMS'",
        "'COUNT', count, 'NOACK', 'STREAMS'",
        (INBOX, CHAOS),
        "redis",
    ),
    Bug(
        "services give up when the store is unavailable",
        "eventstore/unspool/eventstore/retry.py",
        "retry=retry_if_exception_type(StoreUnavailable)",
        "retry=retry_if_exception_type(ZeroDivisionError)",
        (CHAOS,),
        "redis",
    ),
    Bug(
        "each attempt of a call has another idempotency key",
        "executor/unspool/executor/http/request.py",
        'headers.setdefault("Idempotency-Key", request.idempotency_key)',
        'headers.setdefault("Idempotency-Key", str(id(headers)))',
        (CHAOS,),
        "sqlite",
    ),
    Bug(
        "a commit does not check the version",
        f"{LUA}/commit.lua",
        "elseif known[1] ~= expected or (follows ~= '' and known[2] ~= follows) then",
        "elseif false then",
        (COMMIT, CHAOS),
        "redis",
    ),
    Bug(
        "a commit does not recognize itself",
        f"{LUA}/commit.lua",
        "elseif known[2] == commit then",
        "elseif false then",
        (COMMIT, CHAOS),
        "redis",
    ),
    Bug(
        "a timer fires twice",
        f"{LUA}/fire.lua",
        "      redis.call('XADD', KEYS[i + 1], '*', 'm', message)\n",
        "      redis.call('XADD', KEYS[i + 1], '*', 'm', message)\n" * 2,
        (TIMERS, CHAOS),
        "redis",
    ),
    Bug(
        "a result is sent for a task that is finished",
        f"{LUA}/finish.lua",
        "if all_there or redis.call('XDEL', queue, ARGV[i]) == 1 then",
        "if true then",
        (TASKS, CHAOS),
        "redis",
    ),
    Bug(
        "a released message is lost",
        f"{LUA}/release.lua",
        "    redis.call('XADD', KEYS[1], '*', entry[2][1], entry[2][2], 'n', attempts - 1)\n",
        "",
        (INBOX, CHAOS),
        "redis",
    ),
    Bug(
        "a message is given back behind a newer one",
        f"{LUA}/release.lua",
        "if ARGV[2] == '1' then\n",
        "if false then\n",
        (INBOX,),
        "redis",
    ),
    Bug(
        "an entry of the outbox is applied twice",
        f"{LUA}/deliver.lua",
        "  return not before or is_after(entry, before)\n",
        "  return true\n",
        (OUTBOX,),
        "redis",
    ),
    Bug(
        "what a lost process has for other executions is not delivered",
        "eventstore/unspool/eventstore/redis/outbox.py",
        "zip(shards, lengths, strict=True) if length]",
        "zip(shards, lengths, strict=True) if not length]",
        (REDIS_FAULTS,),
        "redis",
    ),
    Bug(
        "a commit does not check the version (SQLite)",
        f"{SQLITE}/commits.py",
        'commit_id = ?, pending_input = NULL"\n    " WHERE tenant = ? AND id = ? AND version = ? AND',
        'commit_id = ?, pending_input = NULL"\n    " WHERE tenant = ? AND id = ? AND ? IS NOT NULL AND',
        (COMMIT,),
        "sqlite",
    ),
    Bug(
        "an executor does not renew its leases",
        "executor/unspool/executor/service.py",
        "        if self._running:\n",
        "        if not self._running:\n",
        (EXECUTOR, CHAOS),
        "",
    ),
    Bug(
        "a worker acknowledges before it commits",
        "worker/unspool/worker/execution_processor.py",
        "        step, outcome = await self._committed(key, known, deliveries)\n",
        "        await self._store.acknowledge(deliveries)\n"
        "        step, outcome = await self._committed(key, known, deliveries)\n",
        (CHAOS,),
        "redis",
    ),
    Bug(
        "a snapshot is used without a check of its version",
        "worker/unspool/worker/state_cache.py",
        "        state = fold(kept, events)\n",
        "        state = replace(kept, version=record.version)\n",
        (CHAOS,),
        "redis",
    ),
    Bug(
        "a shard does not remember how far it has matched",
        f"{LUA}/match.lua",
        "  call('HSET', matched, 'position', ARGV[2])\n",
        "",
        (EVENTS, EVENT_MODEL, EVENT_FAULTS),
        "redis",
    ),
    Bug(
        "keys of events are sent with the version of other shapes",
        "eventstore/unspool/eventstore/redis/matching.py",
        "        versions = [each.known.version for each in every]\n",
        "        versions = [self._known.get(each.shard, _NO_SHAPES).version for each in every]\n",
        (EVENTS,),
        "redis",
    ),
    Bug(
        "a pause of the process counts as silence of Redis",
        "eventstore/unspool/eventstore/redis/connection.py",
        "        elif was_paused(due, now):\n",
        "        elif False:\n",
        (REDIS_FAULTS,),
        "",
    ),
    Bug(
        "a bus does not remember how far it is matched (SQLite)",
        f"{SQLITE}/matching.py",
        "    transaction.execute(_ADVANCE, (matched, 0, tenant))\n",
        "",
        (EVENTS, EVENT_MODEL),
        "sqlite",
    ),
    Bug(
        "an event is consumed by each commit that acknowledges it",
        f"{LUA}/commit.lua",
        "elseif has_published and is_answered(last) then",
        "elseif false then",
        (EVENTS, EVENT_MODEL),
        "redis",
    ),
    Bug(
        "an event is consumed by each commit that acknowledges it (SQLite)",
        f"{SQLITE}/commits.py",
        "        if self.event_ids and not _are_in_inbox(transaction, self.event_ids):\n",
        "        if False:\n",
        (EVENTS, EVENT_MODEL),
        "sqlite",
    ),
    Bug(
        "an event is consumed before an earlier one",
        f"{LUA}/commit.lua",
        "elseif has_published and is_early(id, last) then",
        "elseif false then",
        (EVENTS, EVENT_MODEL),
        "redis",
    ),
    Bug(
        "an event is consumed before an earlier one (SQLite)",
        f"{SQLITE}/commits.py",
        "        if self.event_ids and _is_early(transaction, self.commit.key, self.event_ids):\n",
        "        if False:\n",
        (EVENTS, EVENT_MODEL),
        "sqlite",
    ),
    Bug(
        "a commit does not close subscriptions",
        f"{LUA}/commit.lua",
        "each(function(item) close(ARGV[item]) end, 1)",
        "each(function() end, 1)",
        (EVENTS, EVENT_MODEL, RANDOM),
        "redis",
    ),
    Bug(
        "a commit does not close subscriptions (SQLite)",
        f"{SQLITE}/subscriptions.py",
        "in (*commit.subscriptions_closed, *(opened.run for opened in commit.subscriptions)):",
        "in (opened.run for opened in commit.subscriptions):",
        (EVENTS, RANDOM),
        "sqlite",
    ),
    Bug(
        "an event that is sent again is published again",
        f"{LUA}/publish.lua",
        "if at and now - at < window then",
        "if false then",
        (EVENTS, EVENT_MODEL, RANDOM),
        "redis",
    ),
    Bug(
        "events of an outbox are published at each delivery",
        f"{LUA}/publish.lua",
        "  return not before or is_after(entry, before)\n",
        "  return true\n",
        (EVENTS,),
        "redis",
    ),
    Bug(
        "an emitted event has another id at each attempt",
        "worker/unspool/worker/interpreter/tasks/emit.py",
        '"id": derived_id(builder.now, f"{execution}/{run.id}"),',
        '"id": derived_id(builder.now, f"{execution}/{run.id}/' + CLOCK + '"),',
        (EMIT, RANDOM),
        "",
    ),
    Bug(
        "an outbox that is not empty loses the next entry",
        f"{LUA}/commit.lua",
        "  local id = redis.call('XADD', outbox, '*', 'o', entry)\n",
        "  local id = outbox_was_empty and redis.call('XADD', outbox, 'NOMKSTREAM', '*', 'o', entry) or ''\n",
        (OUTBOX,),
        "redis",
    ),
    Bug(
        "the execution of an occurrence has a new id at each attempt",
        "worker/unspool/worker/schedule/builder.py",
        'derived_id(due, f"{self.state.execution}/{trigger}/{due}")',
        'derived_id(due, f"{self.state.execution}/{trigger}/{due}/' + CLOCK + '")',
        (SCHEDULE_DECISIONS, SCHEDULES, SCHEDULED),
        "",
    ),
    Bug(
        "missed occurrences are left out",
        "worker/unspool/worker/schedule/decide.py",
        "MAX_MISSED if rules.missed is Missed.ALL else 1",
        "1",
        (SCHEDULE_DECISIONS, SCHEDULED),
        "",
    ),
    Bug(
        "the end of a child is not told to its parent",
        "worker/unspool/worker/interpreter/flow.py",
        "        builder.send(parent.execution, MessageKind.CHILD_ENDED, {**ended, **result})\n",
        "        pass\n",
        (CHILDREN, RANDOM),
        "sqlite",
    ),
    Bug(
        "each execution gets the idempotency key that it claims",
        f"{LUA}/claim_key.lua",
        "if is_free then",
        "if true then",
        (KEYS,),
        "redis",
    ),
    Bug(
        "an execution that continues loses its idempotency key (SQLite)",
        f"{SQLITE}/idempotency_keys.py",
        "max(kept_at, excluded.kept_at)",
        "kept_at",
        (KEYS,),
        "sqlite",
    ),
    Bug(
        "later events overtake those of a look back",
        f"{LUA}/match.lua",
        "  if look_backs and look_backs ~= '0' then\n    return {2}\n  elseif position",
        "  if position",
        (RETENTION,),
        "redis",
    ),
    Bug(
        "a look back offers consumed events",
        f"{LUA}/look_back.lua",
        "if not redis.call('ZSCORE', accepted, ARGV[item]) then",
        "if true then",
        (RETENTION,),
        "redis",
    ),
    Bug(
        "a look back offers consumed events (SQLite)",
        f"{SQLITE}/look_backs.py",
        "        if not transaction.execute(_WAS_ACCEPTED, (*page.key, digest)).fetchone()\n",
        "",
        (RETENTION,),
        "sqlite",
    ),
    Bug(
        "a page of a look back is offered twice",
        f"{LUA}/look_back.lua",
        "if redis.call('HGET', look_backs, run) ~= before then",
        "if false then",
        (RETENTION,),
        "redis",
    ),
)
