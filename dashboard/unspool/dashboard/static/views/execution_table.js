// Executions as rows of a table.
import { path } from "../api.js";
import { workflowName } from "../format.js";
import { html } from "../html.js";
import { Status } from "../parts/status.js";
import { Age, Duration } from "../parts/time.js";

export function ExecutionTable({ items }) {
  return html`<table class="table cards">
    <thead>
      <tr><th>Status</th><th>Execution</th><th>Workflow</th><th>Created</th><th class="right">Duration</th></tr>
    </thead>
    <tbody>
      ${items.map((each) => html`<${Row} key=${each.id} execution=${each} />`)}
    </tbody>
  </table>`;
}

/** The tags of an execution; each is a filter. */
export function Tags({ tags }) {
  return html`<span class="tags">
    ${Object.entries(tags).map(([name, value]) => html`<a class="tag cut" href=${`/?tag=${encodeURIComponent(`${name}:${value}`)}`}>${name}:${value}</a>`)}
  </span>`;
}

function Row({ execution }) {
  const { id, status, workflow, createdAt, startedAt, endedAt, error, tags } = execution;
  return html`<tr class="row">
    <td><${Status} of=${status} /></td>
    <td class="cut wide">
      <a class="code" href=${`/executions${path(id)}`}>${id}</a>
      ${tags && html`<${Tags} tags=${tags} />`}
      ${error && html`<div class="reason cut">${error.title ?? error.type}${error.detail ? `: ${error.detail}` : ""}</div>`}
    </td>
    <td class="cut wide">${workflowName(workflow)} <span class="muted">${workflow.version}</span></td>
    <td><${Age} at=${createdAt} /></td>
    <td class="right"><${Duration} from=${startedAt} to=${endedAt} /></td>
  </tr>`;
}
