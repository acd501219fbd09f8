// What runs: services, queues, functions of executors, and the state of the store.
import { get } from "../api.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { Empty, Failure } from "../parts/notices.js";
import { Age } from "../parts/time.js";

export function System() {
  const ready = useLoad(readiness, [], { every: 5000 });
  const functions = useLoad((signal) => get("/functions", {}, signal), [], { every: 5000 });
  return html`<div class="head"><h1>System</h1></div>
    <div class="stack">
      <${Failure} error=${functions.error} />
      ${ready.data && html`<${Store} ready=${ready.data} />`}
      ${functions.data && html`<${Functions} items=${functions.data.items} />`}
    </div>`;
}

async function readiness(signal) {
  const response = await fetch("/health/ready", { signal });
  return { ok: response.ok, ...(await response.json()) };
}

function Store({ ready }) {
  const { ok, detail, sinks = {}, sources = {} } = ready;
  const transports = [...Object.entries(sinks), ...Object.entries(sources)];
  return html`<section class="card" aria-label="Health">
    <div class="title"><h2>API and store</h2><span class=${`status ${ok ? "completed" : "faulted"}`}>${ok ? "ready" : "not ready"}</span></div>
    ${!ok && html`<p class="body">${detail}</p>`}
    ${transports.length > 0 && html`<table class="table cards">
      <thead><tr><th>Sink or source of events</th><th>Status</th><th>Lag</th><th>Error</th></tr></thead>
      <tbody>
        ${transports.map(([name, each]) => html`<tr key=${name}><td class="wide">${name}</td><td>${each.status}</td><td class="number">${each.lag ?? ""}</td><td class="cut">${each.error ?? ""}</td></tr>`)}
      </tbody>
    </table>`}
  </section>`;
}

function Functions({ items }) {
  return html`<section class="card" aria-label="Functions">
    <div class="title"><h2>Functions of executors</h2></div>
    ${items.length
      ? html`<table class="table cards">
          <thead><tr><th>Function</th><th>Version</th><th>Queue</th><th>Living executors</th><th>Registered</th></tr></thead>
          <tbody>
            ${items.map((each) => html`<tr key=${`${each.name} ${each.version} ${each.queue}`}>
              <td class="cut wide"><strong>${each.name}</strong></td><td>${each.version}</td><td class="code">${each.queue}</td>
              <td class="number">${each.executors || html`<span class="bad">none</span>`}</td><td><${Age} at=${each.registeredAt} /></td>
            </tr>`)}
          </tbody>
        </table>`
      : html`<${Empty} title="No functions are registered">Executors register what they have: <code>unspool executor --functions MODULE</code><//>`}
  </section>`;
}
