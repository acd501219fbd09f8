// One execution: what it is, what may be done, and its history at any event.
import { useEffect } from "preact/hooks";

import { get, path } from "../api.js";
import { number, workflowName } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { Copy } from "../parts/copy.js";
import { JsonCard } from "../parts/json.js";
import { Empty, Failure, Loading } from "../parts/notices.js";
import { Status } from "../parts/status.js";
import { Age, Duration } from "../parts/time.js";
import { asked, query } from "../router.js";
import { Actions } from "./actions.js";
import { Tags } from "./execution_table.js";
import { EventList } from "./event_list.js";
import { ExecutionDiagram } from "./execution_diagram.js";
import { useHistory } from "./history.js";
import { StateView } from "./state.js";
import { TaskList } from "./task_list.js";
import { TimeBar, chosenEvent } from "./time_bar.js";
import { Timeline } from "./timeline.js";
import { Why } from "./why.js";

const REFRESH = 5000;

const TABS = [
  ["tasks", "Tasks", TaskList],
  ["diagram", "Diagram", ExecutionDiagram],
  ["timeline", "Timeline", Timeline],
  ["events", "Events", EventList],
  ["state", "State", StateView],
  ["data", "Input and output", Data],
];

export function Execution({ id }) {
  const history = useHistory(id);
  const { execution, error, reload } = useExecution(id, history);
  if (error?.status === 404) {
    return html`<${Empty} title="There is no such execution"><code>${id}</code><p>Executions are deleted some time after their end. <a href="/">Show all executions</a></p><//>`;
  }
  if (!execution) return error ? html`<${Failure} error=${error} />` : html`<${Loading} />`;
  // After an operation: the execution may have ended, been retried and ended again before it is looked at.
  const renew = () => (reload(), history.resume());
  return html`<${Head} execution=${execution} reload=${renew} />
    <${Failure} error=${error ?? history.error} />
    <${Facts} execution=${execution} history=${history} />
    ${execution.error && html`<${Fault} error=${execution.error} events=${history.events} />`}
    ${!execution.endedAt && html`<${Why} execution=${execution} history=${history} />`}
    <${TimeBar} execution=${execution} events=${history.events} />
    <${Tabs} execution=${execution} history=${history} />`;
}

/** Loads the execution again when its history grows, and every few seconds. */
function useExecution(id, history) {
  const loaded = useLoad((signal) => get(`/executions${path(id)}`, {}, signal), [id], { every: REFRESH });
  const { data: execution, error, reload } = loaded;
  useEffect(() => {
    const timer = setTimeout(reload, 120);
    return () => clearTimeout(timer);
  }, [history.events.length]);
  const open = execution && !execution.endedAt;
  useEffect(() => {
    if (open && history.ended) history.resume(); // it was retried
  }, [open, history.ended]);
  return { execution, error, reload };
}

function Head({ execution, reload }) {
  const { id, workflow, status } = execution;
  return html`<div class="head">
    <nav class="crumbs" aria-label="Place">
      <a href="/">Executions</a><span>/</span>
      <a href=${`/?workflow=${encodeURIComponent(workflowName(workflow))}`}>${workflowName(workflow)}</a>
    </nav>
    <h1 class="code">${id}</h1>
    <${Status} of=${status} />
    <${Copy} text=${() => id} label="Copy id" />
    <div class="end"><${Actions} execution=${execution} reload=${reload} /></div>
  </div>`;
}

function Facts({ execution, history }) {
  const { id, workflow, createdAt, startedAt, endedAt, parent, by, tags } = execution;
  return html`<dl class="facts">
    <div><dt>Workflow</dt><dd><a href=${`/workflows${path(workflow.namespace, workflow.name, workflow.version)}`}>${workflowName(workflow)}</a> <span class="muted">${workflow.version}</span></dd></div>
    <div><dt>Created</dt><dd><${Age} at=${createdAt} /></dd></div>
    <div><dt>Duration</dt><dd><${Duration} from=${startedAt} to=${endedAt} /></dd></div>
    <div><dt>Events</dt><dd class="number">${number(history.events.length)}${history.live && !endedAt ? html` <span class="live">live</span>` : ""}</dd></div>
    ${by && html`<div><dt>Started by</dt><dd>${by}</dd></div>`}
    ${tags && Object.keys(tags).length > 0 && html`<div><dt>Tags</dt><dd><${Tags} tags=${tags} /></dd></div>`}
    ${parent && html`<div><dt>Parent</dt><dd><a class="code" href=${`/executions${path(parent.execution)}`}>${parent.execution}</a></dd></div>`}
    ${history.events.some(({ type }) => type === "child.started") && html`<div><dt>Sub-workflows</dt><dd><a href=${`/?parent=${encodeURIComponent(id)}`}>Show</a></dd></div>`}
  </dl>`;
}

/** The error that an execution faulted with; it leads to the run of the task that raised it. */
function Fault({ error, events }) {
  const { title, type, status, detail, instance } = error;
  const raised = events.findLast((each) => each.type === "task.faulted" && each.task === instance);
  return html`<section class="card fault" aria-label="Error">
    <p><strong>${title ?? type}</strong> <span class="muted number">${status}</span>
      ${instance && html` at <${Place} of=${instance} run=${raised?.run} />`}</p>
    ${detail && html`<p>${detail}</p>`}
  </section>`;
}

function Place({ of, run }) {
  return run ? html`<a href=${asked({ tab: "", at: "", run })}><code>${of}</code></a>` : html`<code>${of}</code>`;
}

function Tabs({ execution, history }) {
  const chosen = query.value.get("tab") ?? "tasks";
  const { at } = chosenEvent(history.events);
  const [, , View] = TABS.find(([name]) => name === chosen) ?? TABS[0];
  return html`<nav class="tabs" aria-label="Parts of the execution">
      ${TABS.map(
        ([name, title]) => html`<a href=${asked({ tab: name === "tasks" ? "" : name })}
          aria-current=${name === chosen ? "page" : undefined}>${title}</a>`,
      )}
    </nav>
    ${(at > 0 || execution.status === "pending") && html`<${View} execution=${execution} history=${history} at=${at} />`}`;
}

function Data({ execution }) {
  return html`<div class="columns">
    <${JsonCard} title="Input" value=${execution.input} />
    ${execution.error
      ? html`<${JsonCard} title="Error" value=${execution.error} />`
      : html`<${JsonCard} title="Output" value=${execution.output} missing="There is no output yet." />`}
  </div>`;
}
