// The diagram of a definition.
import { path } from "../api.js";
import { html } from "../html.js";
import { Diagram } from "../parts/diagram.js";

export function WorkflowDiagram({ workflow: { namespace, name, version } }) {
  const address = `/workflows${path(namespace, name, version)}/diagram?style=page`;
  return html`<${Diagram} address=${address} label="Diagram" />`;
}
