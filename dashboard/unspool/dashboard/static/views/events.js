// Published events, live, and a form that publishes one.
import { useEffect, useRef, useState } from "preact/hooks";

import { count } from "../format.js";
import { html } from "../html.js";
import { preview } from "../parts/json.js";
import { Empty, Failure, Loading } from "../parts/notices.js";
import { TextFilter } from "../parts/text_filter.js";
import { Age } from "../parts/time.js";
import { ask, query } from "../router.js";
import { may } from "../session.js";
import { follow } from "../sse.js";
import { PublishForm } from "./publish_form.js";
import { Receivers } from "./receivers.js";

const LOST = { message: "The API does not answer. New events appear when it does." };
const KEPT = 500;
const PAGE = 100;

/** The newest published events, and the state of their stream: null until the API answers. */
function useEvents(type, source) {
  const known = useRef([]);
  const [state, setState] = useState({ items: [], state: null, error: null });
  useEffect(() => {
    const stop = new AbortController();
    let timer;
    known.current = [];
    const draw = () => ((timer = undefined), setState((before) => ({ ...before, items: [...known.current] })));
    draw();
    follow("/events/stream", {
      after: "0", // the newest events that the bus has
      query: { type, source },
      signal: stop.signal,
      onEvents: (events, frames) => {
        const placed = events.map((event, index) => ({ event, position: frames[index].id, published: frames[index].published }));
        known.current = [...placed.reverse(), ...known.current].slice(0, KEPT);
        timer ??= setTimeout(draw, 50);
      },
      onState: (now) => setState((before) => ({ ...before, state: now, error: null })),
    }).catch((error) => setState((before) => ({ ...before, state: null, error })));
    return () => (clearTimeout(timer), stop.abort());
  }, [type, source]);
  return state;
}

export function Events() {
  const [type, source] = [query.value.get("type") ?? "", query.value.get("source") ?? ""];
  const { items, state, error } = useEvents(type, source);
  const [shown, setShown] = useState(PAGE);
  const open = query.value.get("open");
  const publishing = query.value.has("publish");
  return html`<div class="head">
      <h1>Events</h1> ${state === "live" && html`<span class="live">live</span>`}
      <div class="end">
        ${may("start") && html`<button type="button" class="button first" aria-expanded=${publishing}
          onClick=${() => ask({ publish: publishing ? "" : "1" })}>Publish an event</button>`}
      </div>
    </div>
    ${publishing && html`<${PublishForm} />`}
    <div class="filters" role="search" aria-label="Filter the events">
      <${Filter} name="type" label="Type" value=${type} /><${Filter} name="source" label="Source" value=${source} />
    </div>
    <${Failure} error=${state === "waiting" ? LOST : error} />
    <section class="card" aria-label="Events">
      ${!items.length && !state && !error && html`<${Loading} />`}
      ${items.length
        ? html`<table class="table cards">
            <thead><tr><th>Type</th><th>Source and subject</th><th>Time</th><th>Data</th></tr></thead>
            <tbody>
              ${items.slice(0, shown).map(({ event, position, published }) => html`<${Row} key=${position} event=${event} position=${position} published=${published}
                open=${open === position} />`)}
            </tbody>
          </table>`
        : state && html`<${Empty} title=${type || source ? "No event matches these filters" : "No events yet"}>New ones appear here when they are published.<//>`}
    </section>
    ${items.length > shown && html`<button type="button" class="button more" onClick=${() => setShown(shown + PAGE)}>Show ${count(Math.min(PAGE, items.length - shown), "older event")}</button>`}`;
}

function Filter({ name, label, value }) {
  return html`<${TextFilter} label=${label} placeholder=${`${label}, exactly`} value=${value}
    onValue=${(typed) => ask({ [name]: typed, open: "" }, { replace: false })} />`;
}

/** An event of the list. One without a time shows when it was published. */
function Row({ event, position, published, open }) {
  const toggle = () => ask({ open: open ? "" : position });
  return html`<tr class="row">
      <td class="cut wide"><button type="button" class="fold-row" aria-expanded=${open} onClick=${toggle}>
        <span class="mark" aria-hidden="true"></span><span class="cut">${event.type}</span></button></td>
      <td class="cut">${event.source}${event.subject ? html` <span class="muted">${event.subject}</span>` : ""}</td>
      <td><${Age} at=${event.time ?? published} /></td>
      <td class="cut wide code">${preview(event.data ?? event.data_base64)}</td>
    </tr>
    ${open && html`<tr class="details"><td colspan="4"><${Receivers} position=${position} event=${event} /></td></tr>`}`;
}
