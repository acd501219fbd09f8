// The list of executions: newest first, live, filtered by its address.
import { useState } from "preact/hooks";

import { get, path } from "../api.js";
import { count, workflowName } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { say } from "../parts/dialog.js";
import { Empty, Failure } from "../parts/notices.js";
import { STATUSES } from "../parts/status.js";
import { ask, asked, go, query } from "../router.js";
import { ExecutionTable } from "./execution_table.js";

const PAGE = 50;
const REFRESH = 2000;
const FILTERS = ["status", "workflow"];

export function Executions() {
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.value.get(name) ?? ""]));
  const cursor = query.value.get("cursor") ?? "";
  const { data, error, loading } = useLoad(
    (signal) => get("/executions", { ...wanted, cursor, limit: PAGE }, signal),
    [JSON.stringify(wanted), cursor],
    { every: REFRESH },
  );
  const filtered = Object.values(wanted).some(Boolean);
  return html`<div class="head">
      <h1>Executions</h1>
      <div class="end"><${Find} /></div>
    </div>
    <${Filters} wanted=${wanted} />
    <${Failure} error=${error} />
    <section class="card" aria-busy=${loading} aria-label="Executions">
      ${data && (data.items.length ? html`<${ExecutionTable} items=${data.items} />` : html`<${None} filtered=${filtered} />`)}
    </section>
    ${data && html`<${Pages} data=${data} cursor=${cursor} />`}`;
}

function Filters({ wanted }) {
  const set = (values) => ask({ ...values, cursor: "" });
  const workflows = useLoad((signal) => get("/workflows", {}, signal), []);
  const names = [...new Set((workflows.data?.items ?? []).map(workflowName))];
  return html`<div class="filters" role="search" aria-label="Filter the executions">
    <div class="choices" role="group" aria-label="Status">
      ${["", ...STATUSES].map(
        (status) => html`<button type="button" class="button small" aria-pressed=${wanted.status === status}
          onClick=${() => set({ status })}>${status || "all"}</button>`,
      )}
    </div>
    <select class="field" aria-label="Workflow" value=${wanted.workflow} onChange=${(event) => set({ workflow: event.target.value })}>
      <option value="">All workflows</option>
      ${wanted.workflow && !names.includes(wanted.workflow) && html`<option>${wanted.workflow}</option>`}
      ${names.map((name) => html`<option key=${name}>${name}</option>`)}
    </select>
  </div>`;
}

function Find() {
  const [id, setId] = useState("");
  const find = async (event) => {
    event.preventDefault();
    if (!id.trim()) return;
    try {
      await get(`/executions${path(id.trim())}`);
      go(`/executions${path(id.trim())}`);
    } catch (error) {
      say(error.status === 404 ? `There is no execution with the id ${id.trim()}.` : error.message, { bad: true });
    }
  };
  return html`<form class="find" role="search" onSubmit=${find}>
    <input class="field" type="search" aria-label="Id of an execution" placeholder="Find by id" value=${id}
      spellcheck=${false} onInput=${(event) => setId(event.target.value)} />
    <button class="button">Find</button>
  </form>`;
}

function None({ filtered }) {
  if (filtered) return html`<${Empty} title="No execution matches these filters"><a href="/">Show all</a><//>`;
  return html`<${Empty} title="No executions yet">
    Start one: <code>unspool start NAMESPACE/NAME</code>
  <//>`;
}

function Pages({ data, cursor }) {
  return html`<nav class="pages" aria-label="Pages">
    <span class="muted">${count(data.items.length, "execution")}${data.next || cursor ? " on this page" : ""}</span>
    ${cursor && html`<a class="button small" href=${asked({ cursor: "" })}>Newest</a>`}
    ${data.next && html`<a class="button small" href=${asked({ cursor: data.next })}>Older</a>`}
  </nav>`;
}
