// Figures of the recent executions of a workflow, its schedule, and these executions.
import { get } from "../api.js";
import { duration, workflowName } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { Empty, Failure } from "../parts/notices.js";
import { ExecutionTable } from "./execution_table.js";
import { ScheduleTable } from "./schedules.js";

const RECENT = 200;
const LISTED = 10;

export function Overview({ workflow }) {
  const name = workflowName(workflow);
  const recent = useLoad((signal) => get("/executions", { workflow: name, limit: RECENT }, signal), [name], { every: 5000 });
  const schedules = useLoad((signal) => get("/schedules", {}, signal), [name], { every: 5000 });
  const own = (schedules.data?.items ?? []).filter((each) => each.workflow && workflowName(each.workflow) === name);
  const items = recent.data?.items ?? [];
  return html`<div class="stack">
    <${Failure} error=${recent.error ?? schedules.error} />
    ${recent.data && html`<${Figures} items=${items} more=${recent.data.next !== null} />`}
    ${own.length > 0 && html`<section class="card" aria-label="Schedule">
      <div class="title"><h2>Schedule</h2></div>
      <${ScheduleTable} items=${own} reload=${schedules.reload} />
    </section>`}
    <section class="card" aria-label="Recent executions">
      <div class="title"><h2>Recent executions</h2>
        <span class="end"><a href=${`/?workflow=${encodeURIComponent(name)}`}>All executions</a></span>
      </div>
      ${items.length
        ? html`<${ExecutionTable} items=${items.slice(0, LISTED)} />`
        : recent.data && html`<${Empty} title="It was not started yet" />`}
    </section>
  </div>`;
}

/** The value that a share of the sorted numbers does not exceed. */
function percentile(sorted, share) {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

function figuresOf(items) {
  const decided = items.filter(({ status }) => status === "completed" || status === "faulted");
  const completed = decided.filter(({ status }) => status === "completed");
  const times = completed
    .filter(({ startedAt }) => startedAt)
    .map(({ startedAt, endedAt }) => Date.parse(endedAt) - Date.parse(startedAt))
    .sort((one, other) => one - other);
  return {
    open: items.filter(({ endedAt }) => !endedAt).length,
    rate: decided.length ? Math.floor((1000 * completed.length) / decided.length) / 10 : null,
    p50: times.length ? duration(percentile(times, 0.5)) : "–",
    p95: times.length ? duration(percentile(times, 0.95)) : "–",
  };
}

function Figures({ items, more }) {
  const { open, rate, p50, p95 } = figuresOf(items);
  return html`<section aria-label="Figures">
    <dl class="figures">
      <div class="card"><dt>Success rate</dt><dd>${rate === null ? "–" : `${rate} %`}</dd></div>
      <div class="card"><dt>Duration, median</dt><dd>${p50}</dd></div>
      <div class="card"><dt>Duration, 95 %</dt><dd>${p95}</dd></div>
      <div class="card"><dt>Not ended</dt><dd>${open}</dd></div>
    </dl>
    <p class="note">${more ? `Of the newest ${items.length} executions` : "Of all executions"}. The success rate counts completed and faulted ones.</p>
  </section>`;
}
