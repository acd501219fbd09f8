// Times that stay true while the page is open.

import { age, dateTime, duration } from "../format.js";
import { html } from "../html.js";
import { now } from "../load.js";

/** How long ago something was; the exact time is its tooltip. */
export function Age({ at }) {
  if (!at) return html`<span class="muted">–</span>`;
  return html`<time class="number" datetime=${at} title=${`${dateTime(at)} (${at})`}>${age(at, now.value)}</time>`;
}

/** How long something took, or takes up to now if it has no end. */
export function Duration({ from, to }) {
  if (!from) return html`<span class="muted">–</span>`;
  const end = to ? Date.parse(to) : now.value;
  return html`<span class="number">${duration(end - Date.parse(from))}</span>`;
}

