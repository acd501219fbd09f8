// Starts the page: the frame, and in it the view that the address names.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { RETRY } from "./api.js";
import { html, render } from "./html.js";
import { identify } from "./login.js";
import { Dialogs } from "./parts/dialog.js";
import { Empty, Failure } from "./parts/notices.js";
import { Side } from "./parts/side.js";
import { match, route } from "./router.js";
import { locked } from "./session.js";
import { DeadLetters } from "./views/dead_letters.js";
import { Events } from "./views/events.js";
import { Execution } from "./views/execution.js";
import { Executions } from "./views/executions.js";
import { LoggedIn, Login } from "./views/login.js";
import { Schedules } from "./views/schedules.js";
import { System } from "./views/system.js";
import { Workflow } from "./views/workflow.js";
import { Workflows } from "./views/workflows.js";

const VIEWS = [
  ["/", Executions, "Executions"],
  ["/executions/:id", Execution, "Execution"],
  ["/workflows", Workflows, "Workflows"],
  ["/workflows/:namespace/:name", Workflow, "Workflow"],
  ["/workflows/:namespace/:name/:version", Workflow, "Workflow"],
  ["/schedules", Schedules, "Schedules"],
  ["/events", Events, "Events"],
  ["/dead-letters", DeadLetters, "Dead letters"],
  ["/system", System, "System"],
  ["/login", LoggedIn, "Log in"],
];

/** Why it is not known who the user is. */
const failure = signal(null);

function found(path) {
  for (const [pattern, View, title] of VIEWS) {
    const parameters = match(pattern, path);
    if (parameters) return { View, title, parameters };
  }
  return { View: Missing, title: "Not found", parameters: {} };
}

function Missing() {
  return html`<${Empty} title="There is no such page"><a href="/">Show the executions</a><//>`;
}

function App() {
  const path = route.value;
  const { View, title, parameters } = found(path);
  const main = useRef(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = `${parameters.id ?? parameters.name ?? title} · Unspool`;
    if (first.current) first.current = false;
    else main.current.focus({ preventScroll: true });
  }, [path]);
  return html`<a class="skip" href="#main">Skip to content</a>
    <div class="frame">
      <${Side} />
      <main class="main" id="main" tabindex="-1" ref=${main}>
        <${Failure} error=${failure.value} />
        ${locked.value ? html`<${Login} />` : html`<${View} key=${path} ...${parameters} />`}
      </main>
    </div>
    <${Dialogs} />`;
}

async function start() {
  try {
    await identify();
    failure.value = null;
  } catch (error) {
    failure.value = error;
    if (error.isTemporary) setTimeout(start, RETRY);
  }
}

await start();
render(html`<${App} />`, document.getElementById("app"));
