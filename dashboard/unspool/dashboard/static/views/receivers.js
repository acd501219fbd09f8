// One published event: the executions that accepted it, those that nearly did and why not, and the event itself.
import { get, path } from "../api.js";
import { count, workflowName } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { JsonCard } from "../parts/json.js";
import { Failure } from "../parts/notices.js";
import { Status } from "../parts/status.js";

const REFRESH = 5000;

export function Receivers({ position, event }) {
  const { data, error } = useLoad((signal) => get(`/events${path(position)}`, {}, signal), [position], { every: REFRESH });
  return html`<${Failure} error=${error} />
    <div class="columns">
      <div class="stack">
        <${Accepted} data=${data} />
        <${NearMisses} data=${data} />
      </div>
      <${JsonCard} title="Event" value=${event} />
    </div>`;
}

function Accepted({ data }) {
  return html`<section class="card" aria-label="Accepted by">
    <div class="title"><h3>Accepted by</h3></div>
    <div class="body">
      ${!data && html`<span class="muted">…</span>`}
      ${data?.acceptedBy.length === 0 && html`<span class="muted">No execution has accepted it.</span>`}
      <ul class="receivers">
        ${data?.acceptedBy.map((each) => html`<li key=${each.execution ?? each.schedule}><${Receiver} of=${each} /></li>`)}
      </ul>
      ${data?.acceptedByMore > 0 && html`<p class="note">and ${data.acceptedByMore} more</p>`}
    </div>
  </section>`;
}

function NearMisses({ data }) {
  if (!data) return null;
  const { nearMisses, compared, comparedAll } = data;
  return html`<section class="card" aria-label="Nearly accepted by">
    <div class="title"><h3>Nearly accepted by</h3></div>
    <div class="body">
      ${nearMisses.length === 0 && html`<span class="muted">No task that listens now came near.</span>`}
      <ul class="receivers">
        ${nearMisses.map((each) => html`<li key=${`${each.execution} ${each.task}`}><${Receiver} of=${each} /><${Refusal} of=${each} /></li>`)}
      </ul>
      <p class="note">Compared with ${comparedAll ? "all" : "some"} executions that listen now: ${count(compared, "execution")} that ${compared === 1 ? "has" : "have"} not accepted it.</p>
    </div>
  </section>`;
}

function Receiver({ of: { execution, workflow, status, schedule } }) {
  if (schedule) return html`<a href="/schedules">Schedule ${schedule}</a>`;
  return html`<a class="code" href=${`/executions${path(execution)}`}>${execution}</a>${" "}
    <${Status} of=${status} /> <span class="muted">${workflowName(workflow)}</span>`;
}

/** The condition that the event did not meet. */
function Refusal({ of: { task, refusedBy } }) {
  if (!refusedBy) return html`<p class="refusal">Its task <code>${task}</code> would accept it: the event came before, or is on its way.</p>`;
  const { condition, expected, found, cause } = refusedBy;
  return html`<p class="refusal">
    Task <code>${task}</code> wants <code>${condition}</code>
    ${cause ? html` of an expression that fails: ${cause}` : html`${expected === null ? "" : html` to be <code class="added">${JSON.stringify(expected)}</code>`},${" "}
      ${found === null ? "the event has none" : html`the event has <code class="removed">${JSON.stringify(found)}</code>`}`}
  </p>`;
}
