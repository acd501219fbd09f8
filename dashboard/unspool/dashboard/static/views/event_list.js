// The events of an execution. Only the rows that are on the screen are in the page.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { clock, isToday, number, taskName } from "../format.js";
import { html } from "../html.js";
import { JsonCard } from "../parts/json.js";
import { Copy } from "../parts/copy.js";
import { Empty } from "../parts/notices.js";
import { ask } from "../router.js";

const HEIGHT = 30;
const SPARE = 12;

export function EventList({ history, at }) {
  const { events } = history;
  const chosen = events[at - 1];
  if (!events.length) return html`<section class="card"><${Empty} title="There are no events yet" /></section>`;
  return html`<div class="pair">
    <section class="card" aria-label="Events">
      <div class="title"><h2>Events</h2><span class="end">
        <${Copy} text=${() => JSON.stringify(events, null, 2)} label="Copy JSON" name="Copy all events as JSON" />
      </span></div>
      <${Rows} events=${events} at=${at} />
    </section>
    ${chosen && html`<${JsonCard} key=${at} title=${`Event ${chosen.seq}: ${chosen.type}`} value=${chosen} />`}
  </div>`;
}

function Rows({ events, at }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const read = () => setView({ top: box.current.scrollTop, height: box.current.clientHeight });
  useLayoutEffect(read, [events.length]);
  useEffect(() => {
    const top = (at - 1) * HEIGHT;
    const { scrollTop, clientHeight } = box.current;
    if (top < scrollTop || top + HEIGHT > scrollTop + clientHeight) box.current.scrollTop = top - clientHeight / 2;
  }, [at]);
  const first = Math.max(0, Math.floor(view.top / HEIGHT) - SPARE);
  const last = Math.min(events.length, Math.ceil((view.top + view.height) / HEIGHT) + SPARE);
  const choose = (seq) => ask({ at: seq >= events.length ? "" : Math.max(1, seq) });
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    choose(at + step);
  };
  return html`<div class=${`events ${isToday(events[0].time) && isToday(events.at(-1).time) ? "" : "dated"}`} ref=${box} onScroll=${read} onKeyDown=${move} tabindex="0" role="listbox"
    aria-label="Events" aria-activedescendant=${`event-${at}`}>
    <div class="spacer" style=${{ height: `${events.length * HEIGHT}px` }}>
      ${events.slice(first, last).map(
        (each) => html`<div key=${each.seq} id=${`event-${each.seq}`} class="event" role="option" aria-selected=${each.seq === at}
          style=${{ top: `${(each.seq - 1) * HEIGHT}px` }} onClick=${() => choose(each.seq)}>
          <span class="number muted">${number(each.seq)}</span>
          <span class="number muted at" title=${each.time}>${clock(each.time)}</span>
          <span class=${`kind ${each.type.split(".").at(-1)}`}>${each.type}</span>
          <span class="cut muted" title=${each.task}>${each.task ? taskName(each.task) : ""}</span>
        </div>`,
      )}
    </div>
  </div>`;
}
