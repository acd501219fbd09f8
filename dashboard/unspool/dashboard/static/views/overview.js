// Figures of the newest executions of a workflow, its schedule, and some of these executions.
import { get, path } from "../api.js";
import { count, dateTime, duration, number, workflowName } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { Empty, Failure } from "../parts/notices.js";
import { ask, query } from "../router.js";
import { ExecutionTable } from "./execution_table.js";
import { ScheduleTable } from "./schedules.js";

const LISTED = 10;
const REFRESH = 5000;

const TIMES = { "": "All times", "1h": "Last hour", "24h": "Last day", "7d": "Last 7 days" };

export function Overview({ workflow }) {
  const { namespace, name, version } = workflow;
  const whole = workflowName(workflow);
  const ofVersion = query.value.get("of") === "version";
  const since = query.value.get("since") ?? "";
  const chosen = ofVersion ? `${whole}:${version}` : whole;
  const recent = useLoad((signal) => get("/executions", { workflow: chosen, limit: LISTED, view: "summary" }, signal), [chosen], { every: REFRESH });
  const figures = useLoad(
    (signal) => get(`/workflows${path(namespace, name)}/statistics`, { version: ofVersion ? version : "", since }, signal),
    [chosen, since],
    { every: 2 * REFRESH },
  );
  const schedules = useLoad((signal) => get("/schedules", {}, signal), [whole], { every: REFRESH });
  const own = (schedules.data?.items ?? []).filter((each) => each.workflow && workflowName(each.workflow) === whole);
  return html`<div class="stack">
    <${Failure} error=${recent.error ?? figures.error ?? schedules.error} />
    <${Scope} version=${version} ofVersion=${ofVersion} since=${since} />
    ${figures.data && html`<${Figures} figures=${figures.data} since=${since} />`}
    ${own.length > 0 && html`<section class="card" aria-label="Schedule">
      <div class="title"><h2>Schedule</h2></div>
      <${ScheduleTable} items=${own} reload=${schedules.reload} />
    </section>`}
    <section class="card" aria-label="Recent executions">
      <div class="title"><h2>Recent executions</h2>
        <span class="end"><a href=${`/?workflow=${encodeURIComponent(chosen)}`}>All executions</a></span>
      </div>
      ${recent.data && (recent.data.items.length ? html`<${ExecutionTable} items=${recent.data.items} />` : html`<${Empty} title="It was not started yet" />`)}
    </section>
  </div>`;
}

/** Of which executions the figures are: their version, and since when they were created. */
function Scope({ version, ofVersion, since }) {
  const choice = (name, chosen, change) => html`<button type="button" class="button small" aria-pressed=${chosen} onClick=${() => ask(change)}>${name}</button>`;
  return html`<div class="filters">
    <div class="choices" role="group" aria-label="Figures of">
      ${choice("All versions", !ofVersion, { of: "" })} ${choice(`Version ${version}`, ofVersion, { of: "version" })}
    </div>
    <div class="choices" role="group" aria-label="Created">
      ${Object.entries(TIMES).map(([value, name]) => choice(name, since === value, { since: value }))}
    </div>
  </div>`;
}

const time = (seconds) => (seconds === null ? "–" : duration(1000 * seconds));

/** Says of which executions the figures are. */
function scopeOf({ executions, all, oldest }, since) {
  const created = since in TIMES && since ? ` of the ${TIMES[since].toLowerCase()}` : "";
  if (all) return `Of all executions${created} that completed or faulted`;
  return `Of the newest ${number(executions)} executions that completed or faulted, created since ${dateTime(oldest)}`;
}

function Figures({ figures, since }) {
  const { executions, completed, faulted, successRate, durationSeconds, open, openAtLeast } = figures;
  const rate = successRate === null ? "–" : `${Math.floor(1000 * successRate) / 10} %`;
  return html`<section aria-label="Figures">
    <dl class="figures">
      <div class="card"><dt>Success rate</dt><dd>${rate}</dd>${executions > 0 && html`<${Share} completed=${completed} faulted=${faulted} />`}</div>
      <div class="card"><dt>Duration, median</dt><dd>${time(durationSeconds.p50)}</dd></div>
      <div class="card"><dt>Duration, 95 %</dt><dd>${time(durationSeconds.p95)}</dd></div>
      <div class="card"><dt>Not ended</dt><dd>${number(open)}${openAtLeast ? "+" : ""}</dd></div>
    </dl>
    <p class="note">${scopeOf(figures, since)}: ${count(completed, "success", "successes")}, ${count(faulted, "fault")}.</p>
  </section>`;
}

/** The shares of completed and faulted executions as one bar. The numbers are beside it as text. */
function Share({ completed, faulted }) {
  const share = (number) => ({ width: `${(100 * number) / (completed + faulted)}%` });
  return html`<div class="share" aria-hidden="true"><span class="bar completed" style=${share(completed)}></span><span class="bar faulted" style=${share(faulted)}></span></div>`;
}
