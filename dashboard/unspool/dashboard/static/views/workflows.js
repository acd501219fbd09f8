// All workflows, each with its latest version. The API lists versions ascending.
import { get, path } from "../api.js";
import { count, number, workflowName } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { Empty, Failure, Loading } from "../parts/notices.js";
import { Age } from "../parts/time.js";
import { ask, query } from "../router.js";

const REFRESH = 10_000;
const PAGE = 100;

export function Workflows() {
  const { data, error, loading } = useLoad((signal) => get("/workflows", {}, signal), [], { every: REFRESH });
  const wanted = query.value.get("name") ?? "";
  const all = grouped(data?.items ?? []);
  const found = all.filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()));
  return html`<div class="head">
      <h1>Workflows</h1>
      <div class="end">
        <input class="field" type="search" aria-label="Filter by name" placeholder="Filter by name" value=${wanted}
          onInput=${(event) => ask({ name: event.target.value })} />
      </div>
    </div>
    <${Failure} error=${error} />
    <section class="card" aria-label="Workflows">
      ${loading && !data && html`<${Loading} />`}
      ${data && (found.length ? html`<${List} items=${found.slice(0, PAGE)} />` : html`<${None} filtered=${wanted !== ""} />`)}
    </section>
    ${found.length > PAGE && html`<p class="pages muted">${PAGE} of ${number(found.length)}; filter by name to see others</p>`}`;
}

function grouped(items) {
  const byName = new Map();
  for (const item of items) {
    const name = workflowName(item);
    byName.set(name, [...(byName.get(name) ?? []), item]);
  }
  return [...byName].map(([name, versions]) => ({ name, versions, latest: versions.at(-1) }));
}

function List({ items }) {
  return html`<table class="table cards">
    <thead><tr><th>Workflow</th><th>Latest version</th><th>Versions</th><th>Deployed</th></tr></thead>
    <tbody>
      ${items.map(
        ({ name, versions, latest }) => html`<tr class="row" key=${name}>
          <td class="cut wide"><a href=${`/workflows${path(latest.namespace, latest.name)}`}>${name}</a></td>
          <td data-label="Latest version">${latest.version}</td>
          <td class="muted">${count(versions.length, "version")}</td>
          <td data-label="Deployed"><${Age} at=${latest.createdAt} /></td>
        </tr>`,
      )}
    </tbody>
  </table>`;
}

function None({ filtered }) {
  if (filtered) return html`<${Empty} title="No workflow has such a name" />`;
  return html`<${Empty} title="No workflows yet">Deploy one: <code>unspool deploy FILE</code><//>`;
}
