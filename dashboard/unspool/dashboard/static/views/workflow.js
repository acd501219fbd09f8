// One workflow: its versions, figures, source and schedule, and a form that starts it.
import { get, path } from "../api.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { Empty, Failure, Loading } from "../parts/notices.js";
import { asked, go, query } from "../router.js";
import { may } from "../session.js";
import { Overview } from "./overview.js";
import { Source } from "./source.js";
import { StartForm } from "./start_form.js";
import { WorkflowDiagram } from "./workflow_diagram.js";

const TABS = [
  ["overview", "Overview", Overview],
  ["diagram", "Diagram", WorkflowDiagram],
  ["source", "Source", Source],
  ["start", "Start", StartForm],
];

export function Workflow({ namespace, name, version }) {
  const base = `/workflows${path(namespace, name)}`;
  const versions = useLoad((signal) => get(base, {}, signal), [base], { every: 10_000 });
  const latest = versions.data?.items.at(-1).version;
  const shown = version ?? latest;
  const definition = useLoad(
    (signal) => (shown ? get(`${base}${path(shown)}`, {}, signal) : Promise.resolve(null)),
    [base, shown],
  );
  const error = versions.error ?? definition.error;
  if (error?.status === 404) {
    return html`<${Empty} title="There is no such workflow or version"><p><a href="/workflows">Show all workflows</a></p><//>`;
  }
  if (!definition.data || !versions.data) return error ? html`<${Failure} error=${error} />` : html`<${Loading} />`;
  const ref = { namespace, name, version: shown };
  return html`<${Head} workflow=${ref} versions=${versions.data.items} definition=${definition.data} />
    <${Failure} error=${error} />
    <${Tabs} workflow=${ref} definition=${definition.data} />`;
}

function Head({ workflow, versions, definition }) {
  const { namespace, name, version } = workflow;
  const choose = (event) => go(`/workflows${path(namespace, name, event.target.value)}${location.search}`);
  return html`<div class="head">
    <nav class="crumbs" aria-label="Place"><a href="/workflows">Workflows</a><span>/</span><span>${namespace}</span></nav>
    <h1>${name}</h1>
    <select class="field" aria-label="Version" value=${version} onChange=${choose}>
      ${[...versions].reverse().map((each, index) => html`<option value=${each.version}>${each.version}${index ? "" : " (latest)"}</option>`)}
    </select>
    <div class="end">
      ${may("start") && html`<a class="button first" href=${asked({ tab: "start" })}>Start an execution</a>`}
    </div>
  </div>
  ${definition.document.summary && html`<p class="muted summary">${definition.document.summary}</p>`}`;
}

function Tabs({ workflow, definition }) {
  const chosen = query.value.get("tab") ?? "overview";
  const [, , View] = TABS.find(([name]) => name === chosen) ?? TABS[0];
  return html`<nav class="tabs" aria-label="Parts of the workflow">
      ${TABS.map(
        ([name, title]) => html`<a href=${asked({ tab: name === "overview" ? "" : name })}
          aria-current=${name === chosen ? "page" : undefined}>${title}</a>`,
      )}
    </nav>
    <${View} key=${workflow.version} workflow=${workflow} definition=${definition} />`;
}
