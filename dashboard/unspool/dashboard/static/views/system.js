// What runs: services, queues, functions of executors, and the state of the store.
import { get } from "../api.js";
import { duration, number } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { Empty, Failure, Loading } from "../parts/notices.js";
import { Age } from "../parts/time.js";

const REFRESH = 3000;
const LATE_SECONDS = 1;

export function System() {
  const system = useLoad((signal) => get("/services", {}, signal), [], { every: REFRESH });
  const functions = useLoad((signal) => get("/functions", {}, signal), [], { every: REFRESH });
  const refused = system.error?.status === 403;
  return html`<div class="head"><h1>System</h1></div>
    <div class="stack">
      ${refused
        ? html`<p class="muted">Services and queues belong to no tenant: a key for all tenants shows them.</p>`
        : html`<${Failure} error=${system.error} />`}
      <${Failure} error=${functions.error} />
      ${system.loading && !system.data && html`<${Loading} />`}
      ${system.data && html`<${Whole} system=${system.data} />`}
      ${functions.data && html`<${Functions} items=${functions.data.items} />`}
    </div>`;
}

function Whole({ system }) {
  const { items, queues, sinks = {}, sources = {} } = system;
  const transports = [...Object.entries(sinks), ...Object.entries(sources)];
  return html`<${Figures} system=${system} />
    <${Services} items=${items} />
    <${Queues} items=${queues} />
    ${transports.length > 0 && html`<${Transports} items=${transports} />`}`;
}

function Figures({ system: { store, timers, deadLetters } }) {
  const late = timers.lateSeconds > LATE_SECONDS;
  return html`<section aria-label="Store">
    <dl class="figures">
      <div class="card"><dt>Store</dt><dd>${store.status}</dd></div>
      <div class="card"><dt>Round trip to the store</dt><dd>${milliseconds(1000 * store.roundTripSeconds)}</dd></div>
      <div class="card"><dt>Timers are late by</dt><dd class=${late ? "bad" : ""}>${duration(1000 * timers.lateSeconds)}</dd></div>
      <div class="card"><dt>Dead letters</dt><dd class=${deadLetters ? "bad" : ""}><a href="/dead-letters">${number(deadLetters)}</a></dd></div>
    </dl>
  </section>`;
}

const milliseconds = (value) => (value < 0.1 ? "< 0.1 ms" : `${value.toFixed(1)} ms`);

function Services({ items }) {
  return html`<section class="card" aria-label="Services">
    <div class="title"><h2>Services</h2></div>
    ${items.length
      ? html`<table class="table cards">
          <thead><tr><th>Service</th><th>Process</th><th>Version</th><th>Load</th><th>Queues</th><th>Running since</th></tr></thead>
          <tbody>
            ${items.map((each) => html`<tr key=${`${each.service} ${each.name}`}>
              <td class="wide"><strong>${each.service}</strong></td>
              <td class="cut code wide" title=${each.name}>${each.name}</td>
              <td data-label="Version">${each.version ?? "–"}</td>
              <td class="number" data-label="Load">${each.missingKeys.length ? html`<span class="bad">lacks the key ${each.missingKeys.join(", ")}</span>` : each.load} <span class="muted">${each.capacity ? `${each.used} of ${each.capacity}` : ""}</span></td>
              <td class="cut muted" data-label="Queues" title=${each.queues.join(", ")}>${each.queues.join(", ")}</td>
              <td data-label="Running since"><${Age} at=${each.startedAt} /></td>
            </tr>`)}
          </tbody>
        </table>`
      : html`<${Empty} title="No service is alive">Start one: <code>unspool worker</code><//>`}
  </section>`;
}

function Queues({ items }) {
  return html`<section class="card" aria-label="Queues">
    <div class="title"><h2>Queues</h2></div>
    <table class="table cards">
      <thead><tr><th>Queue</th><th class="right">Waiting</th><th class="right">In work</th><th class="right">Oldest</th><th class="right">Services</th></tr></thead>
      <tbody>
        ${items.map((each) => html`<tr key=${each.queue}>
          <td class="code wide">${each.queue}</td>
          <td class="number right" data-label="Waiting">${number(each.waiting)}</td>
          <td class="number right" data-label="In work">${number(each.held)}</td>
          <td class="number right" data-label="Oldest">${each.waiting ? duration(1000 * each.oldestSeconds) : "–"}</td>
          <td class="number right" data-label="Services">${each.services || html`<span class=${each.waiting ? "bad" : "muted"}>none</span>`}</td>
        </tr>`)}
      </tbody>
    </table>
  </section>`;
}

function Transports({ items }) {
  return html`<section class="card" aria-label="Sinks and sources of events">
    <div class="title"><h2>Sinks and sources of events</h2></div>
    <table class="table cards">
      <thead><tr><th>Name</th><th>Status</th><th>Lag</th><th>Error</th></tr></thead>
      <tbody>
        ${items.map(([name, each]) => html`<tr key=${name}>
          <td class="wide">${name}</td><td data-label="Status">${each.status}</td><td class="number" data-label="Lag">${each.lag ?? ""}</td><td class="cut">${each.error ?? ""}</td>
        </tr>`)}
      </tbody>
    </table>
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
              <td class="cut wide"><strong>${each.name}</strong></td><td data-label="Version">${each.version}</td><td class="code" data-label="Queue">${each.queue}</td>
              <td class="number" data-label="Living executors">${each.executors || html`<span class="bad">none</span>`}</td><td data-label="Registered"><${Age} at=${each.registeredAt} /></td>
            </tr>`)}
          </tbody>
        </table>`
      : html`<${Empty} title="No functions are registered">Executors register what they have: <code>unspool executor --functions MODULE</code><//>`}
  </section>`;
}
