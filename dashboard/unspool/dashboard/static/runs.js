// The runs of tasks, folded from a history: what the lists and bars of an execution show.

const ENDINGS = {
  "task.completed": "completed",
  "task.faulted": "faulted",
  "task.cancelled": "cancelled",
};

const PHASES = {
  "task.created": "pending",
  "task.started": "running",
  "task.requested": "running",
  "task.resumed": "running",
  "task.suspended": "suspended",
  "timer.fired": "running",
  "workflow.correlation-started": "waiting",
  "workflow.correlation-completed": "running",
  "child.started": "waiting",
  "child.joined": "waiting",
};

/** The purposes of timers that a task waits for; a timeout only limits it. */
const PAUSES = new Set(["wait", "retry"]);

/** Returns the runs as of an event, in the order in which they were created. */
export function runsAt(events, at) {
  const runs = new Map();
  for (const event of events) {
    if (event.seq > at) break;
    if (event.run === null || event.task === null) continue;
    let run = runs.get(event.run);
    if (!run) runs.set(event.run, (run = created(event, runs)));
    apply(run, event);
  }
  return [...runs.values()];
}

function created(event, runs) {
  const parent = runs.get(event.data.parent);
  return {
    run: event.run,
    task: event.task,
    seq: event.seq,
    parent: parent ? parent.run : null,
    depth: parent ? parent.depth + 1 : 0,
    createdAt: Date.parse(event.time),
    endedAt: null,
    status: "pending",
    attempts: 1,
    failures: [],
  };
}

function apply(run, event) {
  const { type, data } = event;
  const time = Date.parse(event.time);
  if (type === "task.started") run.started = event.seq;
  if (type === "task.requested") Object.assign(run, { queue: data.queue, arguments: data.arguments });
  if (type === "task.retried") retried(run, data);
  if (type === "timer.scheduled" && PAUSES.has(data.purpose)) run.status = "waiting";
  if (type.startsWith("child.")) run.child = data.execution ?? data.child;
  if (type in PHASES) run.status = PHASES[type];
  if (!(type in ENDINGS)) return;
  run.status = data.skipped ? "skipped" : ENDINGS[type];
  run.endedAt = time;
  run.output = data.output;
  run.error = data.error;
  if (data.ended?.started === false) delete run.child;
}

function retried(run, data) {
  run.attempts += 1;
  run.status = "running";
  run.endedAt = null;
  run.failures.push(data.error);
}

/** Orders runs as a tree: each is before those inside it. */
export function asTree(runs) {
  const inside = Map.groupBy(runs, ({ parent }) => parent);
  const from = (parent) => (inside.get(parent) ?? []).flatMap((run) => [run, ...from(run.run)]);
  return from(null);
}

/** The status of the execution as of an event. */
export function statusAt(events, at) {
  let status = "pending";
  for (const event of events) {
    if (event.seq > at) break;
    status = STATUSES[event.type] ?? status;
  }
  return status;
}

const STATUSES = {
  "workflow.started": "running",
  "workflow.completed": "completed",
  "workflow.faulted": "faulted",
  "workflow.cancelled": "cancelled",
  "workflow.suspended": "suspended",
  "workflow.resumed": "running",
  "workflow.retried": "running",
};
