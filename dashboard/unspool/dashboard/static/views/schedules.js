// The schedules of the deployed workflows, with their next and last occurrences.
import { get, path, post } from "../api.js";
import { workflowName, writtenDuration } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { attempt, confirm } from "../parts/dialog.js";
import { preview } from "../parts/json.js";
import { Empty, Failure, Loading } from "../parts/notices.js";
import { Age } from "../parts/time.js";
import { may } from "../session.js";

export function Schedules() {
  const { data, error, loading, reload } = useLoad((signal) => get("/schedules", {}, signal), [], { every: 3000 });
  return html`<div class="head"><h1>Schedules</h1></div>
    <${Failure} error=${error} />
    <section class="card" aria-label="Schedules">
      ${loading && !data && html`<${Loading} />`}
      ${data &&
      (data.items.length
        ? html`<${ScheduleTable} items=${data.items} reload=${reload} />`
        : html`<${Empty} title="No schedules">A workflow with <code>schedule</code> appears here when it is deployed.<//>`)}
    </section>`;
}

export function ScheduleTable({ items, reload }) {
  return html`<table class="table cards">
    <thead><tr><th>Workflow</th><th>Starts</th><th>Next</th><th>Last</th><th aria-label="Actions"></th></tr></thead>
    <tbody>
      ${items.map((each) => html`<${Row} key=${each.id} schedule=${each} reload=${reload} />`)}
    </tbody>
  </table>`;
}

function Row({ schedule, reload }) {
  const { id, workflow, paused, pause, next, last, lastExecution } = schedule;
  return html`<tr class="row">
    <td class="cut wide">${workflow ? html`<a href=${`/workflows${path(workflow.namespace, workflow.name)}`}>${workflowName(workflow)}</a>` : id}</td>
    <td class="cut wide code">${triggers(schedule.schedule)}</td>
    <td data-label="Next">${paused ? html`<span class="status suspended">paused</span> <${PauseNote} pause=${pause} />` : next ? html`<${Age} at=${next} />` : html`<span class="muted">by events</span>`}</td>
    <td data-label="Last">${lastExecution ? html`<a href=${`/executions${path(lastExecution)}`}><${Age} at=${last} /></a>` : html`<${Age} at=${last} />`}</td>
    <td class="right">${may("operate") && html`<${Switch} schedule=${schedule} reload=${reload} />`}</td>
  </tr>`;
}

/** When a schedule was paused, by whom, and why. */
function PauseNote({ pause }) {
  if (!pause) return null;
  return html`<span class="muted"><${Age} at=${pause.at} />${pause.by ? ` by ${pause.by}` : ""}${pause.reason ? `: ${pause.reason}` : ""}</span>`;
}

/** The triggers of a schedule, such as `cron 0 3 * * *` or `every 20 s`. */
function triggers(schedule) {
  return Object.entries(schedule ?? {})
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : writtenDuration(value) ?? preview(value, 80)}`)
    .join(", ");
}

function Switch({ schedule: { id, paused }, reload }) {
  const run = async () => {
    const [name, title, body] = paused
      ? ["resume", "Resume this schedule?", "It starts executions again, from its next occurrence on."]
      : ["pause", "Pause this schedule?", "It starts nothing until it is resumed. Executions that it has started go on."];
    const action = paused ? "Resume" : "Pause";
    if (!(await confirm({ title, body, action }))) return;
    await attempt(() => post(`/schedules${path(id)}/${name}`, undefined, { wait: 5 }), `${action}: done`);
    reload();
  };
  return html`<button type="button" class="button small" onClick=${run}>${paused ? "Resume" : "Pause"}</button>`;
}
