// The diagram of an execution as of an event. A task leads to its last run.
import { path } from "../api.js";
import { html } from "../html.js";
import { Diagram } from "../parts/diagram.js";
import { go, asked } from "../router.js";
import { runsAt } from "../runs.js";

export function ExecutionDiagram({ execution, history, at }) {
  const open = (pointer) => {
    const run = runsAt(history.events, at).findLast((each) => each.task === pointer);
    if (run) go(asked({ tab: "", run: run.run }));
  };
  const address = `/executions${path(execution.id)}/diagram?style=page&at=${at}`;
  return html`<${Diagram} address=${address} label="Diagram" onTask=${open} />`;
}
