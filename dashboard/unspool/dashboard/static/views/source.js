// The text of a definition as it was submitted, with line numbers and what a check finds in it.
import { get, path, text } from "../api.js";
import { count } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { Copy } from "../parts/copy.js";
import { Failure } from "../parts/notices.js";

export function Source({ workflow }) {
  const base = `/workflows${path(workflow.namespace, workflow.name, workflow.version)}`;
  const source = useLoad((signal) => text(base, "application/yaml", signal), [base]);
  const findings = useLoad((signal) => get(`${base}/findings`, {}, signal), [base]);
  const found = findings.data?.items ?? [];
  if (source.data === null) return html`<${Failure} error=${source.error} />`;
  return html`<${Failure} error=${findings.error} />
    <section class="card" aria-label="Source">
      <div class="title">
        <h2>Source</h2>
        ${findings.data && html`<span class=${found.length ? "warned" : "muted"}>${found.length ? count(found.length, "finding") : "no findings"}</span>`}
        <span class="end"><${Copy} text=${() => source.data} label="Copy" name="Copy the source" /></span>
      </div>
      ${found.length > 0 && html`<${Findings} found=${found} />`}
      <${Lines} source=${source.data} found=${found} />
    </section>`;
}

function Findings({ found }) {
  return html`<ul class="findings">
    ${found.map(
      (each) => html`<li>
        <a href=${`#line-${each.line}`} class="number">Line ${each.line}</a>
        <span class=${each.severity === "error" ? "bad" : "warned"}>${each.severity}</span> ${each.message} <code class="muted">${each.pointer}</code>
      </li>`,
    )}
  </ul>`;
}

function Lines({ source, found }) {
  const byLine = new Map(found.map((each) => [each.line, each.severity]));
  const lines = source.replace(/\n$/, "").split("\n");
  return html`<ol class="lines code scroll" tabindex="0" aria-label="Lines">
    ${lines.map((line, index) => html`<li id=${`line-${index + 1}`} class=${byLine.get(index + 1) ?? ""}>${line || " "}</li>`)}
  </ol>`;
}
