// The filters of the list of executions. All of them are in the address.
import { get } from "../api.js";
import { workflowName } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { STATUSES } from "../parts/status.js";
import { TextFilter } from "../parts/text_filter.js";
import { ask, query } from "../router.js";

const NAMES = ["status", "workflow", "since", "until", "id", "parent", "tag"];

const TIMES = { "": "Any time", "1h": "Last hour", "24h": "Last day", "7d": "Last 7 days", "30d": "Last 30 days" };

/** The filters in the address, as the API takes them. */
export function wantedFilters() {
  const wanted = Object.fromEntries(NAMES.map((name) => [name, query.value.get(name) ?? ""]));
  return { ...wanted, tag: wanted.tag.split(/\s+/).filter(Boolean) };
}

const set = (values) => ask({ ...values, cursor: "" });

export function Filters({ wanted }) {
  const counts = useCounts(wanted);
  return html`<div class="filters" role="search" aria-label="Filter the executions">
    <div class="choices" role="group" aria-label="Status">
      ${["", ...STATUSES].map(
        (status) => html`<button type="button" class="button small" aria-pressed=${wanted.status === status}
          onClick=${() => set({ status })}>${status || "all"}${counts(status)}</button>`,
      )}
    </div>
    <${WorkflowFilter} value=${wanted.workflow} />
    <select class="field" aria-label="Created" value=${wanted.since} onChange=${(event) => set({ since: event.target.value })}>
      ${wanted.since in TIMES ? "" : html`<option value=${wanted.since}>Since ${wanted.since}</option>`}
      ${Object.entries(TIMES).map(([value, name]) => html`<option value=${value}>${name}</option>`)}
    </select>
    <${TextFilter} label="Tag" placeholder="Tag, NAME:VALUE" value=${wanted.tag.join(" ")} onValue=${(tag) => set({ tag })} />
    ${["id", "parent", "until"].map((name) => wanted[name] && html`<button type="button" class="button small" aria-label=${`Remove the filter ${name}`}
      onClick=${() => set({ [name]: "" })}>${name} ${wanted[name]} ✕</button>`)}
  </div>`;
}

/** Returns how many executions are in a status, as the text to show. They are those of all workflows, so filters hide them. */
function useCounts({ status: _status, ...others }) {
  const { data } = useLoad((signal) => get("/counts", {}, signal), [], { every: 5000 });
  if (!data || Object.values(others).some((value) => value.length)) return () => "";
  return (status) => {
    const number = data.executions[status];
    return number ? html` <span class="number">${number}${data.atLeast.includes(status) ? "+" : ""}</span>` : "";
  };
}

function WorkflowFilter({ value }) {
  const workflows = useLoad((signal) => get("/workflows", {}, signal), []);
  const names = [...new Set((workflows.data?.items ?? []).map(workflowName))];
  return html`<select class="field" aria-label="Workflow" value=${value} onChange=${(event) => set({ workflow: event.target.value })}>
    <option value="">All workflows</option>
    ${value && !names.includes(value) && html`<option>${value}</option>`}
    ${names.map((name) => html`<option key=${name}>${name}</option>`)}
  </select>`;
}
