// The list of executions: newest first, live, filtered by its address.
import { useState } from "preact/hooks";

import { get, path } from "../api.js";
import { count } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { say } from "../parts/dialog.js";
import { Empty, Failure, Loading } from "../parts/notices.js";
import { ask, asked, go, query } from "../router.js";
import { ExecutionTable } from "./execution_table.js";
import { Filters, wantedFilters } from "./filters.js";

const PAGE = 50;
const REFRESH = 2000;

export function Executions() {
  const wanted = wantedFilters();
  const cursor = query.value.get("cursor") ?? "";
  const { data, error, loading } = useLoad(
    (signal) => get("/executions", { ...wanted, cursor, limit: PAGE, view: "summary" }, signal),
    [JSON.stringify(wanted), cursor],
    { every: REFRESH },
  );
  const filtered = Object.values(wanted).some((value) => value.length);
  return html`<div class="head">
      <h1>Executions</h1>
      <div class="end"><${Find} /></div>
    </div>
    <${Filters} wanted=${wanted} />
    <${Failure} error=${error} />
    <section class="card" aria-busy=${loading} aria-label="Executions">
      ${loading && !data && html`<${Loading} />`}
      ${data && (data.items.length ? html`<${ExecutionTable} items=${data.items} />` : html`<${None} filtered=${filtered} more=${data.next !== null} />`)}
    </section>
    ${data && html`<${Pages} data=${data} cursor=${cursor} />`}`;
}

function Find() {
  const [id, setId] = useState("");
  const find = async (event) => {
    event.preventDefault();
    const wanted = id.trim();
    if (!wanted) return;
    try {
      const { items } = await get("/executions", { id: wanted, limit: 1 });
      if (items.length) go(`/executions${path(wanted)}`);
      else ask({ id: wanted.endsWith("*") ? wanted : `${wanted}*`, cursor: "" }, { replace: false });
    } catch (error) {
      say(error.message, { bad: true });
    }
  };
  return html`<form class="find" role="search" onSubmit=${find}>
    <input class="field" type="search" aria-label="Id of an execution" placeholder="Id, or its beginning" value=${id}
      spellcheck=${false} onInput=${(event) => setId(event.target.value)} />
    <button class="button">Find</button>
  </form>`;
}

function None({ filtered, more }) {
  if (more) return html`<${Empty} title="No match in this part of the list">There may be some in older parts.<//>`;
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
