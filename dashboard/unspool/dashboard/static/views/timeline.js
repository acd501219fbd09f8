// The runs of an execution as bars over time.
import { useState } from "preact/hooks";

import { clock, count, duration, taskName } from "../format.js";
import { html } from "../html.js";
import { now } from "../load.js";
import { Empty } from "../parts/notices.js";
import { asked } from "../router.js";
import { runsAt } from "../runs.js";

const PAGE = 200;
const STEPS = 4;

export function Timeline({ execution, history, at }) {
  const [shown, setShown] = useState(PAGE);
  const { events } = history;
  const runs = runsAt(events, at);
  if (!runs.length) return html`<section class="card"><${Empty} title="No task has begun yet" /></section>`;
  const from = Date.parse(events[0].time);
  const travelled = at < events.at(-1).seq;
  const end = travelled || execution.endedAt ? Date.parse(events[at - 1].time) : now.value;
  const scale = { from, end: Math.max(end, from + 1) };
  return html`<section class="card lanes" aria-label="Timeline">
      <${Axis} scale=${scale} />
      <ol>
        ${runs.slice(0, shown).map((run) => html`<${Lane} key=${run.run} run=${run} scale=${scale} />`)}
      </ol>
    </section>
    ${runs.length > shown &&
    html`<button type="button" class="button" onClick=${() => setShown(shown + PAGE)}>${count(runs.length - shown, "more task")}</button>`}`;
}

const place = (time, { from, end }) => (100 * (Math.min(Math.max(time, from), end) - from)) / (end - from);

const span = (from, until, scale) => ({
  left: `${place(from, scale)}%`,
  width: `${Math.max(0, place(until, scale) - place(from, scale))}%`,
});

function Axis({ scale }) {
  const step = (scale.end - scale.from) / STEPS;
  return html`<div class="axis" aria-hidden="true">
    ${Array.from({ length: STEPS + 1 }, (_, n) => html`<span style=${{ left: `${(100 * n) / STEPS}%` }}>${duration(n * step)}</span>`)}
  </div>`;
}

function Lane({ run, scale }) {
  const until = run.endedAt ?? scale.end;
  const took = duration(until - run.createdAt);
  return html`<li>
    <a class=${`cut depth-${Math.min(run.depth, 8)}`} title=${run.task} href=${asked({ tab: "", run: run.run })}>${taskName(run.task)}</a>
    <div class="lane" title=${`${taskName(run.task)}: ${run.status}, ${took} from ${clock(run.createdAt)}`}>
      <span class=${`bar ${run.status}`} style=${span(run.createdAt, until, scale)}></span>
      ${run.waits.map((wait) => html`<span class=${`bar wait ${wait.purpose}`} style=${span(wait.from, wait.until ?? until, scale)}></span>`)}
      ${run.marks.map((mark) => html`<span class="bar mark-retry" style=${{ left: `${place(mark.time, scale)}%` }}></span>`)}
    </div>
    <span class="number muted">${took}</span>
  </li>`;
}
