// The filters of the list of executions. All of them are in the address.
import { useState } from "preact/hooks";

import { get } from "../api.js";
import { number, workflowName } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { STATUSES } from "../parts/status.js";
import { TextFilter } from "../parts/text_filter.js";
import { ask, query } from "../router.js";

const NAMES = ["status", "workflow", "since", "until", "id", "parent", "tag", "correlation"];

/** Those that are behind "More filters". */
const FURTHER = ["until", "parent", "correlation"];

const TIMES = { "": "Any time", "1h": "Last hour", "24h": "Last day", "7d": "Last 7 days", "30d": "Last 30 days" };

/** The filters in the address, as the API takes them. */
export function wantedFilters() {
  const wanted = Object.fromEntries(NAMES.map((name) => [name, query.value.get(name) ?? ""]));
  return { ...wanted, tag: query.value.getAll("tag") };
}

/** The tags in a text: each begins with a name and a colon, and its value can have blanks. */
const tagsIn = (text) => text.trim().split(/\s+(?=[A-Za-z0-9][A-Za-z0-9_.-]{0,62}:)/).filter(Boolean);

const set = (values) => ask({ ...values, cursor: "" }, { replace: false });

export function Filters({ wanted }) {
  const counts = useCounts(wanted);
  const used = FURTHER.some((name) => wanted[name]) || (wanted.since !== "" && !(wanted.since in TIMES));
  const [open, setOpen] = useState(used);
  return html`<div class="filters" role="search" aria-label="Filter the executions">
    <div class="choices" role="group" aria-label="Status">
      ${["", ...STATUSES].map(
        (status) => html`<button type="button" class="button small" aria-pressed=${wanted.status === status}
          onClick=${() => set({ status })}>${status || "all"}${counts(status)}</button>`,
      )}
    </div>
    <${WorkflowFilter} value=${wanted.workflow} />
    <select class="field" aria-label="Created" value=${wanted.since} onChange=${(event) => set({ since: event.target.value, until: "" })}>
      ${wanted.since in TIMES ? "" : html`<option value=${wanted.since}>Since ${wanted.since}</option>`}
      ${Object.entries(TIMES).map(([value, name]) => html`<option value=${value}>${name}</option>`)}
    </select>
    <${TextFilter} label="Tag" placeholder="Tag, NAME:VALUE" value=${wanted.tag.join(" ")} onValue=${(typed) => set({ tag: tagsIn(typed) })} />
    ${wanted.id && html`<button type="button" class="button small" aria-label="Remove the filter id" onClick=${() => set({ id: "" })}>id ${wanted.id} ✕</button>`}
    <button type="button" class="button" aria-expanded=${open} aria-controls="further" onClick=${() => setOpen(!open)}>More filters</button>
    ${open && html`<${Further} wanted=${wanted} />`}
  </div>`;
}

function Further({ wanted }) {
  return html`<div class="further" id="further">
    <${TimeFilter} label="Created from" value=${wanted.since} onValue=${(since) => set({ since })} />
    <${TimeFilter} label="Created before" value=${wanted.until} onValue=${(until) => set({ until })} />
    <label class="label">Parent
      <${TextFilter} label="Parent" placeholder="Id of an execution" value=${wanted.parent} onValue=${(parent) => set({ parent })} />
    </label>
    <label class="label">Waits for the correlation value
      <${TextFilter} label="Waits for the correlation value" placeholder="such as A-1" value=${wanted.correlation} onValue=${(correlation) => set({ correlation })} />
    </label>
  </div>`;
}

/** A time as the field of a browser wants it: local, without a zone; empty for an age such as `7d`. */
function localTime(text) {
  const time = Date.parse(text);
  if (Number.isNaN(time)) return "";
  return new Date(time - new Date(time).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function TimeFilter({ label, value, onValue }) {
  const change = (event) => onValue(event.target.value ? new Date(event.target.value).toISOString() : "");
  return html`<label class="label">${label}
    <input class="field" type="datetime-local" value=${localTime(value)} onChange=${change} />
  </label>`;
}

/** Returns how many executions are in a status, as the text to show. They are those of all workflows, so filters hide them. */
function useCounts({ status: _status, ...others }) {
  const { data } = useLoad((signal) => get("/counts", {}, signal), [], { every: 5000 });
  if (!data || Object.values(others).some((value) => value.length)) return () => "";
  return (status) => {
    const some = data.executions[status];
    return some ? html` <span class="number">${number(some)}${data.atLeast.includes(status) ? "+" : ""}</span>` : "";
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
