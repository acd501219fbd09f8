// The runs of an execution as bars over time, as of an event. Sub-workflows unfold in place.
import { useEffect, useState } from "preact/hooks";

import { get, path } from "../api.js";
import { clock, count, duration } from "../format.js";
import { html } from "../html.js";
import { now, useLoad } from "../load.js";
import { Empty, Failure } from "../parts/notices.js";
import { asked } from "../router.js";

const PAUSE = 100;
const PAGE = 200;
const STEPS = 4;
const REFRESH = 2000;

/** Loads the timeline; `at` null is the newest event. While the next one is loading, the last one stays. */
function useTimeline(id, at, limit) {
  return useLoad((signal) => get(`/executions${path(id)}/timeline`, { at, limit }, signal), [id, at, limit], { pause: PAUSE });
}

export function Timeline({ execution, history, at }) {
  const [limit, setLimit] = useState(PAGE);
  const { data, error } = useTimeline(execution.id, at, limit);
  const travelled = at < history.events.length;
  if (!data) return html`<${Failure} error=${error} />`;
  if (!data.items.length) return html`<section class="card"><${Empty} title=${execution.endedAt && !travelled ? "No task has begun" : "No task has begun yet"} /></section>`;
  const from = Date.parse(data.start);
  const end = travelled || data.end ? Date.parse(data.time) : now.value;
  const scale = { from, end: Math.max(end, from + STEPS) };
  return html`<${Failure} error=${error} />
    <section class="card lanes" aria-label="Timeline">
      <${Axis} scale=${scale} />
      <ol class="bars">${rows(data.items).map(({ bar, rails }) => html`<${Lane} key=${bar.run} bar=${bar} rails=${rails} scale=${scale} depth=${bar.depth} />`)}</ol>
    </section>
    ${data.next !== null &&
    html`<button type="button" class="button" onClick=${() => setLimit(Math.min(limit + PAGE, 5000))}>Show ${count(PAGE, "more task")}</button>`}`;
}

/**
 * The bars as a tree: each run before those inside it. Each has the branches that it is in: those of a `fork`, or
 * iterations side by side.
 */
function rows(items) {
  const runs = new Set(items.map(({ run }) => run));
  const inside = Map.groupBy(items, ({ parent }) => (runs.has(parent) ? parent : null));
  const from = (parent, rails) => {
    const bars = inside.get(parent) ?? [];
    const sideBySide = parent !== null && bars.some(({ lane }) => lane > 0);
    return bars.flatMap((bar) => {
      const own = sideBySide ? [...rails, bar.lane] : rails;
      return [{ bar, rails: own }, ...from(bar.run, own)];
    });
  };
  return from(null, []);
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

function Lane({ bar, rails, scale, depth, foreign = false }) {
  const [open, setOpen] = useState(false);
  const start = Date.parse(bar.start);
  const until = bar.end ? Date.parse(bar.end) : scale.end;
  const took = duration(until - start);
  const tries = bar.attempts.length > 1 ? `, ${count(bar.attempts.length, "attempt")}` : "";
  const said = `${bar.name}: ${bar.status}, ${took} from ${clock(start)}${tries}`;
  const indent = `depth-${Math.min(depth, 8)}`;
  return html`<li>
      <span class=${`lane-name ${indent}`}>
        ${rails.length > 0 && html`<span class=${`rail rail-${rails.at(-1) % 5}`} title=${`Branch ${rails.map((each) => each + 1).join(", ")}`}>
          <span class="number">${rails.at(-1) + 1}</span></span>`}
        ${foreign ? html`<span class="cut" title=${bar.task}>${bar.name}</span>` : html`<a class="cut" title=${bar.task} href=${asked({ tab: "", run: bar.run })}>${bar.name}</a>`}
        ${bar.execution && html`<button type="button" class="fold-row" aria-expanded=${open} aria-label=${`Sub-workflow of ${bar.name}`}
          onClick=${() => setOpen(!open)}><span class="mark" aria-hidden="true"></span></button>`}
      </span>
      <div class="lane" role="img" aria-label=${said} title=${said}>
        <${Bars} bar=${bar} start=${start} until=${until} scale=${scale} />
      </div>
      <span class="number muted took">${took}</span>
    </li>
    ${open && html`<${Child} id=${bar.execution} scale=${scale} depth=${depth + 1} />`}`;
}

/** One bar, or for several attempts one each; a wait is hatched. */
function Bars({ bar, start, until, scale }) {
  const attempts = bar.attempts.length > 1 ? bar.attempts : [{ start: bar.start, end: bar.end, error: null }];
  const rest = bar.attempts.length > 1 && html`<span class="bar between" style=${span(start, until, scale)}></span>`;
  const last = attempts.length - 1;
  const waits = bar.kind === "wait" || bar.kind === "listen";
  return html`${rest}${attempts.map((attempt, index) => {
    const status = index === last && !attempt.error ? bar.status : attempt.error ? "faulted" : bar.status;
    const ended = attempt.end ? Date.parse(attempt.end) : until;
    return html`<span key=${index} class=${`bar ${status} ${waits ? "hatched" : ""}`} style=${span(Date.parse(attempt.start), ended, scale)}></span>`;
  })}`;
}

/** The bars of a sub-workflow that have begun by the end of the scale; live until it has ended. */
function Child({ id, scale, depth }) {
  const [ended, setEnded] = useState(false);
  const { data, error } = useLoad((signal) => get(`/executions${path(id)}/timeline`, { limit: PAGE }, signal), [id, ended], {
    every: ended ? 0 : REFRESH,
  });
  useEffect(() => setEnded(Boolean(data?.end)), [data?.end]);
  if (!data) return html`<li><${Failure} error=${error} /></li>`;
  return html`<li class="child"><a class=${`code depth-${Math.min(depth, 8)}`} href=${`/executions${path(id)}?tab=timeline`}>${id}</a></li>
    ${rows(data.items.filter(({ start }) => Date.parse(start) <= scale.end)).map(({ bar, rails }) => html`<${Lane} key=${bar.run} bar=${bar} rails=${rails} scale=${scale} depth=${depth + bar.depth} foreign=${true} />`)}`;
}
