// Starts the page: the frame, and in it the view that the address names.
import { useEffect, useRef } from "preact/hooks";

import { html, render } from "./html.js";
import { Dialogs } from "./parts/dialog.js";
import { Empty } from "./parts/notices.js";
import { Side } from "./parts/side.js";
import { match, route } from "./router.js";
import { locked } from "./session.js";
import { Execution } from "./views/execution.js";
import { Executions } from "./views/executions.js";
import { Login } from "./views/login.js";

const VIEWS = [
  ["/", Executions, "Executions"],
  ["/executions/:id", Execution, "Execution"],
];

function found(path) {
  for (const [pattern, View, title] of VIEWS) {
    const parameters = match(pattern, path);
    if (parameters) return { View, title, parameters };
  }
  return { View: Missing, title: "Not found", parameters: {} };
}

function Missing() {
  return html`<${Empty} title="There is no such page"><a href="/">Show the executions</a></${Empty}>`;
}

function App() {
  const path = route.value;
  const { View, title, parameters } = found(path);
  const main = useRef(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = `${Object.values(parameters).at(-1) ?? title} · Unspool`;
    if (first.current) first.current = false;
    else main.current.focus({ preventScroll: true });
  }, [path]);
  return html`<a class="skip" href="#main">Skip to content</a>
    <div class="frame">
      <${Side} />
      <main class="main" id="main" tabindex="-1" ref=${main}>
        ${locked.value ? html`<${Login} />` : html`<${View} key=${path} ...${parameters} />`}
      </main>
    </div>
    <${Dialogs} />`;
}

render(html`<${App} />`, document.getElementById("app"));
