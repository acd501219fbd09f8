// Time travel: a slider over the events. Everything below it is shown as of the chosen event.
import { clock, dateTime, duration, number, taskName } from "../format.js";
import { html } from "../html.js";
import { Status } from "../parts/status.js";
import { ask, query } from "../router.js";
import { statusAt } from "../runs.js";

const MOST_MARKS = 200;
const MARKS = { faulted: "faulted", retried: "retried", suspended: "suspended" };

/** The chosen event, or the last one; and whether one was chosen. */
export function chosenEvent(events) {
  const asked = Number(query.value.get("at"));
  const last = events.at(-1)?.seq ?? 0;
  const chosen = Number.isInteger(asked) && asked >= 1 && asked < last;
  return { at: chosen ? asked : last, chosen };
}

export function TimeBar({ execution, events }) {
  if (events.length < 2) return null;
  const { at, chosen } = chosenEvent(events);
  const last = events.at(-1).seq;
  const event = events[at - 1];
  const choose = (seq) => ask({ at: seq >= last ? "" : Math.max(1, seq) });
  const since = Date.parse(event.time) - Date.parse(events[0].time);
  const said = `Event ${at} of ${last}: ${event.type}${event.task ? `, ${taskName(event.task)}` : ""}`;
  return html`<section class=${`card time ${chosen ? "past" : ""}`} aria-label="Time travel">
    <div class="track">
      <button type="button" class="button small" aria-label="Event before" disabled=${at <= 1} onClick=${() => choose(at - 1)}>‹</button>
      <div class="slide">
        <${Marks} events=${events} />
        <input type="range" min="1" max=${last} value=${at} aria-label="Event" aria-valuetext=${said}
          onInput=${(input) => choose(Number(input.target.value))} />
      </div>
      <button type="button" class="button small" aria-label="Event after" disabled=${!chosen} onClick=${() => choose(at + 1)}>›</button>
      <button type="button" class="button small" disabled=${!chosen} onClick=${() => choose(last)}>
        ${execution.endedAt ? "End" : "Now"}
      </button>
    </div>
    <p class="moment">
      <span class="number"><strong>${number(at)}</strong> of ${number(last)}</span>
      <strong>${event.type}</strong>
      ${event.task && html`<code title=${event.task}>${taskName(event.task)}</code>`}
      <span class="muted number" title=${`${dateTime(event.time)} (${event.time})`}>${clock(event.time)} · +${duration(since)}</span>
      ${chosen && html`<span class="end muted">The execution was <${Status} of=${statusAt(events, at)} /></span>`}
    </p>
  </section>`;
}

function Marks({ events }) {
  const last = events.at(-1).seq;
  const marks = events.filter((event) => event.type.split(".")[1] in MARKS).slice(0, MOST_MARKS);
  return marks.map(
    (event) => html`<span key=${event.seq} class=${`tick ${event.type.split(".")[1]}`} aria-hidden="true"
      style=${{ left: `${(100 * (event.seq - 1)) / (last - 1)}%` }}></span>`,
  );
}
