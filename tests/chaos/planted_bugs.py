"""Bugs that the suites claim to catch, each as a change of one place in the source."""

import re
from pathlib import Path
from typing import NamedTuple


class Claim(NamedTuple):
    """A test that notices a bug."""

    suite: str
    """Path of the file with the test."""
    test: str
    """Name of the test, which fails with the bug."""
    failure: str
    """Why it fails: a regular expression for a line of the error that pytest shows."""

    @property
    def id(self) -> str:
        """What pytest calls it."""
        return f"{self.suite}::{self.test}"

    def is_shown_in(self, output: str) -> bool:
        """Whether the test has failed, and for this reason."""
        failed = rf"FAILED {re.escape(self.id)}\b"
        errors = [line for line in output.splitlines() if re.match(rf"E  |  +\||{failed}", line)]
        return bool(errors and re.match(failed, errors[-1])) and any(
            re.search(self.failure, line) for line in errors
        )


class Bug(NamedTuple):
    """A bug: what goes wrong, where, and which tests notice it."""

    name: str
    file: str
    """Relative to the root of the repository."""
    old: str
    """The text that is replaced; it occurs exactly once."""
    new: str
    claims: tuple[Claim, ...]
    """Each of these tests fails with the bug."""
    store: str
    """The store whose tests fail; empty if the tests are not about one."""

    def plant(self, root: Path) -> None:
        """Changes a copy of the source."""
        path = root / self.file
        text = path.read_text()
        assert text.count(self.old) == 1, f"{self.name}: the text to replace is not there exactly once"
        path.write_text(text.replace(self.old, self.new))


EXECUTOR_FAULTS = "tests/chaos/test_chosen_executor_faults.py"
WORKER_FAULTS = "tests/chaos/test_chosen_worker_faults.py"
STORE_FAULTS = "tests/chaos/test_chosen_store_faults.py"
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
EVENT_STREAMS = "tests/executor/test_event_streams.py"
SUBSCRIPTIONS = "tests/executor/asyncapi/test_subscribe.py"
GRPC = "tests/executor/test_grpc_executors.py"
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
        "  call('XACK', inbox, 'workers', unpack(acknowledged, first, last))\n"
        "  call('XDEL', inbox, unpack(acknowledged, first, last))\n",
        "",
        (Claim(COMMIT, "test_a_commit_makes_all_its_parts_true", r"assert "),),
        "redis",
    ),
    Bug(
        "timers fire early",
        f"{LUA}/fire.lua",
        "'-inf', now, 'LIMIT'",
        "'-inf', now + 300, 'LIMIT'",
        (
            Claim(TIMERS, "test_no_timer_fires_early", r"assert Fired\(count=1"),
            Claim(RANDOM, "test_executions_survive_faults", r"ran \d+ ms early"),
        ),
        "redis",
    ),
    Bug(
        "a timer that is alone is lost",
        f"{LUA}/fire.lua",
        "      redis.call('XADD', KEYS[i + 1], '*', 'm', message)\n",
        "      if #due > 1 then redis.call('XADD', KEYS[i + 1], '*', 'm', message) end\n",
        (Claim(WORKER_FAULTS, "test_each_timer_sends_one_message_in_time", r"messages are missing"),),
        "redis",
    ),
    Bug(
        "tasks of a dead executor are dropped",
        f"{LUA}/reclaim.lua",
        "elseif cancelled(n, entry[2][1]) then",
        "elseif per_set > 0 then",
        (
            Claim(
                EXECUTOR_FAULTS,
                "test_tasks_of_killed_and_stopped_executors_run_again",
                r"not all calls are made 2 times",
            ),
        ),
        "redis",
    ),
    Bug(
        "nothing is taken over from the dead",
        f"{LUA}/reclaim.lua",
        "if left > 0 and redis.call('XLEN', KEYS[n]) > 0 then",
        "if left < 0 then",
        (Claim(INBOX, "test_the_messages_of_a_silent_consumer_go_to_others", r"TimeoutError"),),
        "redis",
    ),
    Bug(
        "what is delivered is not pending",
        f"{LUA}/take.lua",
        "'COUNT', count, 'STREAMS'",
        "'COUNT', count, 'NOACK', 'STREAMS'",
        (Claim(INBOX, "test_the_messages_of_a_silent_consumer_go_to_others", r"TimeoutError"),),
        "redis",
    ),
    Bug(
        "services give up when the store is unavailable",
        "eventstore/unspool/eventstore/retry.py",
        "retry=retry_if_exception_type(StoreUnavailable)",
        "retry=retry_if_exception_type(ZeroDivisionError)",
        (
            Claim(
                STORE_FAULTS,
                "test_services_wait_for_redis",
                r"assert \[.*(worker|executor|timer)-0.*\] == \[\]",
            ),
        ),
        "redis",
    ),
    Bug(
        "each attempt of a call has another idempotency key",
        "executor/unspool/executor/http/request.py",
        'headers.setdefault("Idempotency-Key", request.idempotency_key)',
        'headers.setdefault("Idempotency-Key", str(id(headers)))',
        (
            Claim(
                EXECUTOR_FAULTS,
                "test_tasks_of_killed_and_stopped_executors_run_again",
                r"not all calls are made 2 times",
            ),
        ),
        "sqlite",
    ),
    Bug(
        "a commit does not check the version",
        f"{LUA}/commit.lua",
        "elseif known[1] ~= expected or (follows ~= '' and known[2] ~= follows) then",
        "elseif false then",
        (
            Claim(
                COMMIT,
                "test_a_stale_commit_changes_nothing",
                r"Redis refused: The ID specified in XADD is equal or smaller",
            ),
        ),
        "redis",
    ),
    Bug(
        "a commit does not recognize itself",
        f"{LUA}/commit.lua",
        "elseif known[2] == commit then",
        "elseif false then",
        (
            Claim(COMMIT, "test_a_commit_sent_again_is_a_duplicate", r"CONFLICT.* is <Outcome\.DUPLICATE"),
            Claim(
                STORE_FAULTS,
                "test_an_operation_takes_effect_once_when_the_reply_to_its_commit_is_lost",
                r"assert \(2, 3\) == \(1, 2\)",
            ),
        ),
        "redis",
    ),
    Bug(
        "a timer fires twice",
        f"{LUA}/fire.lua",
        "      redis.call('XADD', KEYS[i + 1], '*', 'm', message)\n",
        "      redis.call('XADD', KEYS[i + 1], '*', 'm', message)\n" * 2,
        (
            Claim(TIMERS, "test_a_due_timer_becomes_a_message", r"assert 2 == 1"),
            Claim(WORKER_FAULTS, "test_each_timer_sends_one_message_in_time", r"assert Counter\(\{.*: 2"),
        ),
        "redis",
    ),
    Bug(
        "a result is sent for a task that is finished",
        f"{LUA}/finish.lua",
        "if all_there or redis.call('XDEL', queue, ARGV[i]) == 1 then",
        "if true then",
        (
            Claim(TASKS, "test_finishing_twice_sends_one_result", r"assert 5 == 1"),
            Claim(
                EXECUTOR_FAULTS,
                "test_each_task_runs_once_while_its_executor_lives_and_sends_one_result",
                r"assert Counter\(\{.*: 2",
            ),
        ),
        "redis",
    ),
    Bug(
        "a released message is lost",
        f"{LUA}/release.lua",
        "    redis.call('XADD', KEYS[1], '*', entry[2][1], entry[2][2], 'n', attempts - 1)\n",
        "",
        (Claim(INBOX, "test_a_released_message_comes_again_and_counts_as_no_attempt", r"TimeoutError"),),
        "redis",
    ),
    Bug(
        "a message is given back behind a newer one",
        f"{LUA}/release.lua",
        "if ARGV[2] == '1' then\n",
        "if false then\n",
        (Claim(INBOX, "test_no_message_is_given_back_behind_a_newer_one", r"assert \[2, 1\] == \[1, 2\]"),),
        "redis",
    ),
    Bug(
        "an entry of the outbox is applied twice",
        f"{LUA}/deliver.lua",
        "  return not before or is_after(entry, before)\n",
        "  return true\n",
        (Claim(OUTBOX, "test_order_holds_over_commits_of_several_processes", r"assert \d+ == 160"),),
        "redis",
    ),
    Bug(
        "what a lost process has for other executions is not delivered",
        "eventstore/unspool/eventstore/redis/outbox.py",
        "zip(shards, lengths, strict=True) if length]",
        "zip(shards, lengths, strict=True) if not length]",
        (Claim(REDIS_FAULTS, "test_the_relay_delivers_what_a_lost_process_has_committed", r"assert 0 == 1"),),
        "redis",
    ),
    Bug(
        "a commit does not check the version (SQLite)",
        f"{SQLITE}/commits.py",
        'commit_id = ?, pending_input = NULL"\n    " WHERE tenant = ? AND id = ? AND version = ? AND',
        'commit_id = ?, pending_input = NULL"\n    " WHERE tenant = ? AND id = ? AND ? IS NOT NULL AND',
        (Claim(COMMIT, "test_a_commit_ahead_of_the_history_leaves_no_gap", r"is <Outcome\.CONFLICT"),),
        "sqlite",
    ),
    Bug(
        "an executor does not renew its leases",
        "executor/unspool/executor/service.py",
        "        if self._running:\n",
        "        if not self._running:\n",
        (
            Claim(EXECUTOR, "test_a_long_task_keeps_its_lease", r"assert \[Delivery\("),
            Claim(
                EXECUTOR_FAULTS,
                "test_each_task_runs_once_while_its_executor_lives_and_sends_one_result",
                r"not all calls are made 1 times",
            ),
        ),
        "",
    ),
    Bug(
        "a worker acknowledges before it commits",
        "worker/unspool/worker/execution_processor.py",
        "        step, outcome = await self._committed(key, known, deliveries)\n",
        "        await self._store.acknowledge(deliveries)\n"
        "        step, outcome = await self._committed(key, known, deliveries)\n",
        (
            Claim(
                WORKER_FAULTS,
                "test_messages_of_a_killed_worker_are_taken_over",
                r"thinking-0 hangs: \[\]|no worker took the message; left: \{\}",
            ),
        ),
        "redis",
    ),
    Bug(
        "a snapshot is used without a check of its version",
        "worker/unspool/worker/state_cache.py",
        "        state = fold(kept, events)\n",
        "        state = replace(kept, version=record.version)\n",
        (
            Claim(
                WORKER_FAULTS,
                "test_a_new_worker_continues_from_a_snapshot_and_the_events_after_it",
                r"growing-0 hangs",
            ),
        ),
        "redis",
    ),
    Bug(
        "a shard does not remember how far it has matched",
        f"{LUA}/match.lua",
        "  call('HSET', matched, 'position', ARGV[2])\n",
        "",
        (
            Claim(EVENTS, "test_a_batch_that_is_matched_again_sends_nothing", r"assert 2 == 0"),
            Claim(EVENT_MODEL, "test_every_adapter_matches_events_as_the_model_does", r"assert "),
            Claim(
                EVENT_FAULTS,
                "test_events_are_sent_once_when_the_reply_to_their_match_is_lost",
                r"assert \d+ == 0",
            ),
        ),
        "redis",
    ),
    Bug(
        "keys of events are sent with the version of other shapes",
        "eventstore/unspool/eventstore/redis/matching.py",
        "        versions = [each.known.version for each in every]\n",
        "        versions = [self._known.get(each.shard, _NO_SHAPES).version for each in every]\n",
        (
            Claim(
                EVENTS,
                "test_calls_of_one_process_that_learn_of_a_subscription_meanwhile_lose_nothing",
                r"assert \d+ == 1",
            ),
        ),
        "redis",
    ),
    Bug(
        "a pause of the process counts as silence of Redis",
        "eventstore/unspool/eventstore/redis/connection.py",
        "        elif was_paused(due, now):\n",
        "        elif False:\n",
        (Claim(REDIS_FAULTS, "test_a_pause_of_this_process_is_no_silence_of_redis", r"StoreUnavailable"),),
        "",
    ),
    Bug(
        "a bus does not remember how far it is matched (SQLite)",
        f"{SQLITE}/matching.py",
        "    transaction.execute(_ADVANCE, (matched, 0, tenant))\n",
        "",
        (
            Claim(EVENTS, "test_a_batch_that_is_matched_again_sends_nothing", r"assert 2 == 0"),
            Claim(EVENT_MODEL, "test_every_adapter_matches_events_as_the_model_does", r"assert "),
        ),
        "sqlite",
    ),
    Bug(
        "an event is consumed by each commit that acknowledges it",
        f"{LUA}/commit.lua",
        "elseif has_published and is_answered() then",
        "elseif false then",
        (
            Claim(EVENTS, "test_an_event_is_consumed_by_one_commit", r"is <Outcome\.ANSWERED"),
            Claim(EVENT_MODEL, "test_every_adapter_matches_events_as_the_model_does", r"assert "),
        ),
        "redis",
    ),
    Bug(
        "an event is consumed by each commit that acknowledges it (SQLite)",
        f"{SQLITE}/commits.py",
        "        if self.event_ids and not _are_in_inbox(transaction, self.event_ids):\n",
        "        if False:\n",
        (
            Claim(EVENTS, "test_an_event_is_consumed_by_one_commit", r"is <Outcome\.ANSWERED"),
            Claim(EVENT_MODEL, "test_every_adapter_matches_events_as_the_model_does", r"assert "),
        ),
        "sqlite",
    ),
    Bug(
        "an event is consumed before an earlier one",
        f"{LUA}/commit.lua",
        "elseif has_published and is_early(id) then",
        "elseif false then",
        (
            Claim(EVENTS, "test_events_are_consumed_in_the_order_of_the_bus", r"is <Outcome\.EARLY"),
            Claim(EVENT_MODEL, "test_every_adapter_matches_events_as_the_model_does", r"assert "),
        ),
        "redis",
    ),
    Bug(
        "an event is consumed before an earlier one (SQLite)",
        f"{SQLITE}/commits.py",
        "        if self.event_ids and _is_early(transaction, self.commit.key, self.event_ids):\n",
        "        if False:\n",
        (
            Claim(EVENTS, "test_events_are_consumed_in_the_order_of_the_bus", r"is <Outcome\.EARLY"),
            Claim(EVENT_MODEL, "test_every_adapter_matches_events_as_the_model_does", r"assert "),
        ),
        "sqlite",
    ),
    Bug(
        "a commit does not close subscriptions",
        f"{LUA}/commit.lua",
        "each(function(item) close(ARGV[item]) end, 1)",
        "each(function() end, 1)",
        (
            Claim(EVENTS, "test_a_closed_subscription_gets_nothing", r"assert 2 == 1"),
            Claim(EVENT_MODEL, "test_every_adapter_matches_events_as_the_model_does", r"assert "),
            Claim(RANDOM, "test_executions_survive_faults", r"AssertionError: \{.*:subscriptions': \d+"),
        ),
        "redis",
    ),
    Bug(
        "a commit does not close subscriptions (SQLite)",
        f"{SQLITE}/subscriptions.py",
        "in (*commit.subscriptions_closed, *(opened.run for opened in commit.subscriptions)):",
        "in (opened.run for opened in commit.subscriptions):",
        (
            Claim(EVENTS, "test_a_closed_subscription_gets_nothing", r"assert 2 == 1"),
            Claim(RANDOM, "test_executions_survive_faults", r"AssertionError: \{.*'subscriptions': \d+"),
        ),
        "sqlite",
    ),
    Bug(
        "an event that is sent again is published again",
        f"{LUA}/publish.lua",
        "if at and now - at < window then",
        "if false then",
        (
            Claim(EVENTS, "test_an_event_is_published_once", r"assert 3 == 2"),
            Claim(EVENT_MODEL, "test_every_adapter_matches_events_as_the_model_does", r"assert "),
            Claim(
                RANDOM,
                "test_executions_survive_faults",
                r"(collecting|processing|choosing)-\d+: |assert \{2\} <= \{1\}",
            ),
        ),
        "redis",
    ),
    Bug(
        "events of an outbox are published at each delivery",
        f"{LUA}/publish.lua",
        "  return not before or is_after(entry, before)\n",
        "  return true\n",
        (
            Claim(
                EVENTS,
                "test_rival_deliverers_publish_once_and_in_the_order_of_each_sender",
                r"assert \['\d-00'",
            ),
        ),
        "redis",
    ),
    Bug(
        "an emitted event has another id at each attempt",
        "worker/unspool/worker/interpreter/tasks/emit.py",
        '"id": derived_id(builder.now, f"{execution}/{run.id}"),',
        '"id": derived_id(builder.now, f"{execution}/{run.id}/' + CLOCK + '"),',
        (
            Claim(EMIT, "test_emit_publishes_its_output", r"decide is not a function"),
            Claim(RANDOM, "test_executions_survive_faults", r"Divergence\("),
        ),
        "",
    ),
    Bug(
        "an outbox that is not empty loses the next entry",
        f"{LUA}/commit.lua",
        "  local id = call('XADD', outbox, '*', 'o', entry)\n",
        "  local id = outbox_was_empty and call('XADD', outbox, 'NOMKSTREAM', '*', 'o', entry) or ''\n",
        (Claim(OUTBOX, "test_order_holds_over_commits_of_several_processes", r"TimeoutError"),),
        "redis",
    ),
    Bug(
        "the execution of an occurrence has a new id at each attempt",
        "worker/unspool/worker/schedule/builder.py",
        'derived_id(due, f"{self.state.execution}/{trigger}/{due}")',
        'derived_id(due, f"{self.state.execution}/{trigger}/{due}/' + CLOCK + '")',
        (
            Claim(
                SCHEDULE_DECISIONS,
                "test_the_same_occurrence_has_the_same_execution_in_every_history",
                r"decide is not a function",
            ),
            Claim(SCHEDULES, "test_each_occurrence_is_one_execution", r"assert \{'.*\} == \{'"),
            Claim(SCHEDULED, "test_each_occurrence_is_one_execution", r"an acknowledged start was lost"),
        ),
        "",
    ),
    Bug(
        "missed occurrences are left out",
        "worker/unspool/worker/schedule/decide.py",
        "MAX_MISSED if rules.missed is Missed.ALL else 1",
        "1",
        (
            Claim(
                SCHEDULE_DECISIONS,
                "test_all_missed_occurrences_are_started_in_order",
                r"assert \[.*\] == \[60000",
            ),
            Claim(SCHEDULED, "test_each_occurrence_is_one_execution", r"occurrences of \d+ were lost"),
        ),
        "",
    ),
    Bug(
        "the end of a child is not told to its parent",
        "worker/unspool/worker/interpreter/flow.py",
        "        builder.send(parent.execution, MessageKind.CHILD_ENDED, {**ended, **result})\n",
        "        pass\n",
        (
            Claim(CHILDREN, "test_end_to_end", r"TimeoutError"),
            Claim(RANDOM, "test_executions_survive_faults", r"order-\d+ hangs: .*child\.started"),
        ),
        "sqlite",
    ),
    Bug(
        "each execution gets the idempotency key that it claims",
        f"{LUA}/claim_key.lua",
        "if is_free then",
        "if true then",
        (Claim(KEYS, "test_the_first_execution_that_claims_a_key_has_it", r"assert 'two' == 'one'"),),
        "redis",
    ),
    Bug(
        "an execution that continues loses its idempotency key (SQLite)",
        f"{SQLITE}/idempotency_keys.py",
        "max(kept_at, excluded.kept_at)",
        "kept_at",
        (
            Claim(
                KEYS,
                "test_an_execution_that_continues_keeps_its_key_until_it_ends_again",
                r"assert 'two' == 'one'",
            ),
        ),
        "sqlite",
    ),
    Bug(
        "later events overtake those of a look back",
        f"{LUA}/match.lua",
        "  if look_backs and look_backs ~= '0' then\n    return {2}\n  elseif position",
        "  if position",
        (Claim(RETENTION, "test_a_late_batch_serves_a_look_back_first", r"assert "),),
        "redis",
    ),
    Bug(
        "a look back offers consumed events",
        f"{LUA}/look_back.lua",
        "if not place or tonumber(place) > newest then",
        "if true then",
        (
            Claim(
                RETENTION,
                "test_an_event_that_the_execution_has_consumed_is_not_offered_again",
                r"assert 3 == 2",
            ),
        ),
        "redis",
    ),
    Bug(
        "a look back offers consumed events (SQLite)",
        f"{SQLITE}/look_backs.py",
        "        if not transaction.execute(_WAS_ACCEPTED, (*page.key, digest, upto)).fetchone()\n",
        "",
        (
            Claim(
                RETENTION,
                "test_an_event_that_the_execution_has_consumed_is_not_offered_again",
                r"assert 3 == 2",
            ),
        ),
        "sqlite",
    ),
    Bug(
        "of runs that look back together, one consumes an event and the others do not get it",
        f"{LUA}/look_back.lua",
        "if not place or tonumber(place) > newest then",
        "if not place then",
        (Claim(RETENTION, "test_all_runs_that_look_back_together_get_an_event", r"assert 0 == 3"),),
        "redis",
    ),
    Bug(
        "of runs that look back together, one consumes an event and the others do not get it (SQLite)",
        f"{SQLITE}/look_backs.py",
        "digest = ? AND place <= ?",
        "digest = ? AND ? IS NOT NULL",
        (Claim(RETENTION, "test_all_runs_that_look_back_together_get_an_event", r"assert 0 == 3"),),
        "sqlite",
    ),
    Bug(
        "what is accepted again during a look back counts as accepted after it began",
        f"{LUA}/commit.lua",
        "and 'NX' or 'GT'",
        "and 'GT' or 'GT'",
        (
            Claim(
                RETENTION,
                "test_an_event_that_is_consumed_again_during_a_look_back_was_consumed_before",
                r"assert 1 == 0",
            ),
        ),
        "redis",
    ),
    Bug(
        "a page of a look back is offered twice",
        f"{LUA}/look_back.lua",
        "if redis.call('HGET', look_backs, run) ~= before then",
        "if false then",
        (Claim(RETENTION, "test_rivals_offer_each_event_once_and_in_order", r"assert "),),
        "redis",
    ),
    Bug(
        "keys of older shapes are taken for those of the current ones (SQLite)",
        f"{SQLITE}/event_bus.py",
        "version=known.version",
        "version=self._shapes.get(tenant, known).version",
        (
            Claim(
                RETENTION,
                "test_a_call_that_learns_of_a_new_shape_during_a_look_back_loses_nothing",
                r"assert \(\d \+ \d\) == 3",
            ),
        ),
        "memory",
    ),
    Bug(
        "a late batch forgets how far an event was sent (SQLite)",
        f"{SQLITE}/matching.py",
        "    if events[-1].position <= matched:",
        "    if events[-1].position < 0:",
        (
            Claim(
                EVENTS,
                "test_a_late_batch_does_not_disturb_an_event_that_is_sent_in_pieces",
                r"assert \d+ == 2500",
            ),
        ),
        "memory",
    ),
    Bug(
        "a text is fetched again for each task that needs it",
        "worker/unspool/worker/interpreter/resources.py",
        """\
        if known is not None and known.sha256 is not None:
            continue
        _set_timeout(builder, run, task)
        if known is None:
""",
        """\
        is_older = known is not None and int(known.request.split("-")[1]) < int(run.id.split(".")[-1])
        if known is not None and known.sha256 is not None and not is_older:
            continue
        _set_timeout(builder, run, task)
        if known is None or is_older:
""",
        (Claim(RANDOM, "test_executions_survive_faults", r"fetching-\d+ has fetched a text again"),),
        "sqlite",
    ),
    Bug(
        "an entry of a stream is acknowledged before its event is published",
        "executor/unspool/executor/transports/stream_source.py",
        "        published = refused = size = 0\n",
        "        published = refused = size = 0\n"
        "        ids = [id_ for id_, _ in entries]\n"
        "        await self._client.xack(self._address.key, self._address.group, *ids)\n",
        (
            Claim(
                EVENT_STREAMS,
                "test_an_entry_is_acknowledged_after_its_event_is_published",
                r"it was acknowledged before",
            ),
        ),
        "",
    ),
    Bug(
        "a message that a stopped executor has read is not read again",
        "executor/unspool/executor/brokers/redis.py",
        "        if self._after == _NEW and now >= self._look_again_at:\n",
        "        if False:\n",
        (
            Claim(
                SUBSCRIPTIONS,
                "test_a_message_that_an_executor_has_read_and_not_sent_is_consumed",
                r"TimeoutError",
            ),
        ),
        "",
    ),
    Bug(
        "each attempt of a gRPC call has another idempotency key",
        "executor/unspool/executor/grpc/remote.py",
        'known = ("idempotency-key", self.key), ',
        'known = ("idempotency-key", f"{self.key}/' + CLOCK + '"), ',
        (
            Claim(
                GRPC,
                "test_a_killed_executor_ends_its_call_and_another_one_makes_it_again",
                r"with the same idempotency key",
            ),
            Claim(RANDOM, "test_executions_survive_faults", r"other calls were made than"),
        ),
        "sqlite",
    ),
    Bug(
        "each attempt of a function has another idempotency key",
        "executor/unspool/executor/functions/python_function.py",
        "            idempotency_key=request.idempotency_key,\n",
        '            idempotency_key=f"{request.idempotency_key}/' + CLOCK + '",\n',
        (Claim(RANDOM, "test_executions_survive_faults", r"other calls were made than"),),
        "sqlite",
    ),
)
