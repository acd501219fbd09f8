// Why an execution waits: one sentence from facts, and the facts.
import { useEffect } from "preact/hooks";

import { get, path } from "../api.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { Json } from "../parts/json.js";

const REFRESH = 5000;
const PAUSE = 400;

export function Why({ execution, history }) {
  const { data, reload } = useLoad((signal) => get(`/executions${path(execution.id)}/why`, {}, signal), [execution.id], { every: REFRESH });
  useEffect(() => {
    const timer = setTimeout(reload, PAUSE);
    return () => clearTimeout(timer);
  }, [history.events.length, execution.status]);
  if (!data) return null;
  return html`<section class="card why" aria-label="Why it waits">
    <p>${data.sentence}</p>
    ${data.waitsFor.length > 0 &&
    html`<details>
      <summary>Facts</summary>
      ${data.waitsFor.map((each) => html`<${Facts} key=${each.task} waits=${each} />`)}
    </details>`}
  </section>`;
}

function Facts({ waits }) {
  const { kind, task, text: _text, nearMisses, ...facts } = waits;
  return html`<div class="body">
    <h3>${kind} ${task && html`<code class="muted">${task}</code>`}</h3>
    <${Json} value=${facts} />
    ${nearMisses?.length > 0 &&
    html`<h3>Events that came near</h3>
      <ul class="near">
        ${nearMisses.map(({ event, text }) => html`<li key=${`${event.source} ${event.id}`}>
          <a href=${`/events?${new URLSearchParams({ type: event.type, source: event.source })}`}>${event.type}</a> ${text}.
        </li>`)}
      </ul>`}
  </div>`;
}
