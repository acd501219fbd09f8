// The tasks of an execution, a row for each run, with input, output and error side by side.
import { useState } from "preact/hooks";

import { get, path } from "../api.js";
import { clock, count, duration, taskName } from "../format.js";
import { html } from "../html.js";
import { now, useLoad } from "../load.js";
import { JsonCard, preview } from "../parts/json.js";
import { Empty, Failure } from "../parts/notices.js";
import { Status } from "../parts/status.js";
import { ask, query } from "../router.js";
import { asTree, runsAt } from "../runs.js";

const PAGE = 200;

export function TaskList({ execution, history, at }) {
  const [shown, setShown] = useState(PAGE);
  const travelled = at < history.events.at(-1)?.seq;
  const runs = asTree(runsAt(history.events, at));
  if (!runs.length) return html`<section class="card"><${Empty} title=${execution.endedAt && !travelled ? "No task has begun" : "No task has begun yet"} /></section>`;
  const open = query.value.get("run");
  const listed = Math.max(shown, 1 + runs.findIndex(({ run }) => run === open));
  // An execution that has ended, and one at an earlier event, has no time that runs.
  const over = execution.endedAt || travelled;
  const end = over ? Date.parse(history.events[at - 1].time) : null;
  return html`<section class="card" aria-label="Tasks">
      <table class="table tasks">
        <thead>
          <tr><th>Task</th><th>Status</th><th>Started</th><th class="right">Duration</th><th class="result">Output or error</th></tr>
        </thead>
        <tbody>
          ${runs.slice(0, listed).map((run) => html`<${Row} key=${run.run} execution=${execution} run=${run} end=${end} open=${run.run === open} />`)}
        </tbody>
      </table>
    </section>
    ${runs.length > listed &&
    html`<button type="button" class="button" onClick=${() => setShown(listed + PAGE)}>${count(runs.length - listed, "more task")}</button>`}`;
}

function Row({ execution, run, end, open }) {
  const depth = Math.min(run.depth, 8);
  const toggle = () => ask({ run: open ? "" : run.run });
  return html`<tr class="row" id=${`run-${run.run}`}>
      <td class="task">
        <button type="button" class=${`fold depth-${depth}`} aria-expanded=${open} onClick=${toggle} title=${run.task}>
          <span class="mark" aria-hidden="true"></span><span class="cut">${taskName(run.task)}</span>
        </button>
        ${run.attempts > 1 && html`<span class="note">${run.attempts} attempts</span>`}
      </td>
      <td><${Status} of=${run.status} /></td>
      <td class="number" title=${new Date(run.createdAt).toISOString()}>${clock(run.createdAt)}</td>
      <td class="number right"><${Length} run=${run} end=${end} /></td>
      <td class="cut result code">
        ${run.error ? html`<span class="bad">${run.error.title ?? run.error.type} ${run.error.detail ?? ""}</span>` : preview(run.output)}
      </td>
    </tr>
    ${open &&
    html`<tr class="details"><td colspan="5"><${Details} execution=${execution} run=${run} /></td></tr>`}`;
}

/** How long a run took, or takes up to the end of what is shown; null for now. */
function Length({ run, end }) {
  return duration((run.endedAt ?? end ?? now.value) - run.createdAt);
}

function Details({ execution, run }) {
  const { input, error } = useInput(execution.id, run);
  return html`<p class="muted pointer"><code>${run.task}</code> run ${run.run}
      ${run.queue && html`, queue <code>${run.queue}</code>`}
      ${run.child && html`, sub-workflow <a class="code" href=${`/executions${path(run.child)}`}>${run.child}</a>`}
    </p>
    <${Failure} error=${error} />
    <div class="columns">
      <${JsonCard} title="Input" value=${input} missing="…" />
      ${run.arguments !== undefined && html`<${JsonCard} title="Request" value=${run.arguments} />`}
      ${run.error !== undefined
        ? html`<${JsonCard} title="Error" value=${run.error} />`
        : html`<${JsonCard} title="Output" value=${run.output} missing=${run.endedAt ? "The same as the input" : "There is no output yet."} />`}
      ${run.failures.length > 0 && html`<${JsonCard} title="Errors of earlier attempts" value=${run.failures} />`}
    </div>`;
}

/** Reads the input of a run from the state as of the event that created it. */
function useInput(id, run) {
  const load = async (signal) => {
    const { running } = await get(`/executions${path(id)}/state`, { at: run.started ?? run.seq }, signal);
    return { input: running.find((each) => each.run === run.run)?.input ?? null };
  };
  const { data, error } = useLoad(load, [id, run.run, run.started]);
  return { ...data, error };
}
