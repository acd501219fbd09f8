// The state as of an event, and what changed since another one.
import { get, path } from "../api.js";
import { ABSENT, stateChanges } from "../difference.js";
import { count, dateTime, taskName } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { JsonCard, preview } from "../parts/json.js";
import { Failure } from "../parts/notices.js";
import { TextFilter } from "../parts/text_filter.js";
import { ask, query } from "../router.js";

const PAUSE = 120;
const MOST = 200;

/** Loads the state as of an event. While the slider moves, the last loaded one stays. */
function useStateAt(id, at) {
  const load = async (signal) => ({ at, state: await get(`/executions${path(id)}/state`, { at }, signal) });
  const { data, error } = useLoad(load, [id, at], { pause: PAUSE });
  return { ...data, error };
}

export function StateView({ execution, at }) {
  const asked = Number(query.value.get("since"));
  const since = query.value.has("since") && asked >= 0 && asked < at ? asked : Math.max(0, at - 1);
  const now = useStateAt(execution.id, at);
  const before = useStateAt(execution.id, since);
  if (!now.state || !before.state) return html`<${Failure} error=${now.error ?? before.error} />`;
  const { input: _input, running, next, ...rest } = now.state;
  return html`<div class="stack" data-at=${now.at}>
    <${Changes} before=${before.state} after=${now.state} at=${at} since=${since} />
    <div class="columns">
      <${Waits} next=${next} />
      <${JsonCard} title="Context" value=${rest.context} />
      <${JsonCard} title="Data of the running tasks" value=${rest.data} />
      ${"output" in rest && html`<${JsonCard} title="Output" value=${rest.output} />`}
      ${"error" in rest && html`<${JsonCard} title="Error" value=${rest.error} />`}
      <${JsonCard} title="Running tasks" value=${running} />
    </div>
  </div>`;
}

function Changes({ before, after, at, since }) {
  const list = stateChanges(before, after);
  return html`<section class="card" aria-label="What changed">
    <div class="title">
      <h2>What changed</h2>
      <label class="since">from event
        <${TextFilter} label="Compare with event" type="number" min="0" max=${at - 1} value=${String(since)}
          onValue=${(typed) => ask({ since: typed })} />
        to event ${at}
      </label>
      <span class="end muted">${count(list.length, "change")}</span>
    </div>
    ${list.length === 0
      ? html`<p class="body muted">Nothing in the state.</p>`
      : html`<div class="scroll" tabindex="0"><table class="table changes">
          <thead><tr><th>Place</th><th>Before</th><th>After</th></tr></thead>
          <tbody>
            ${list.slice(0, MOST).map((change) => html`<tr key=${change.pointer}>
              <td class="code">${places(change.pointer)}</td>
              <td class="code removed">${shown(change.before)}</td>
              <td class="code added">${shown(change.after)}</td>
            </tr>`)}
          </tbody>
        </table></div>`}
  </section>`;
}

const places = (pointer) =>
  pointer.slice(1).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")).join(" › ");

const shown = (value) => (value === ABSENT ? html`<span class="muted">–</span>` : preview(value, 240));

const WAITS = {
  executor: "an executor",
  worker: "a worker",
  event: "an event",
  message: "a message",
  child: "a sub-workflow",
  resource: "an external resource",
};

function Waits({ next }) {
  return html`<section class="card">
    <div class="title"><h3>Waits for</h3></div>
    <div class="body">
      ${next.length === 0 && html`<span class="muted">nothing</span>`}
      <ul class="stack">
        ${next.map((each) => html`<li>
          <code title=${each.task}>${taskName(each.task)}</code> waits for${" "}
          ${each.waitsFor === "timer"
            ? html`its ${each.purpose} timer, due <time title=${new Date(each.dueAt).toISOString()}>${dateTime(each.dueAt)}</time>`
            : WAITS[each.waitsFor] ?? each.waitsFor}
          ${each.execution && html` <a class="code" href=${`/executions${path(each.execution)}`}>${each.execution}</a>`}
        </li>`)}
      </ul>
    </div>
  </section>`;
}
