// A status as a coloured chip. The shape of the dot differs too, so colour is not needed to read it.
import { html } from "../html.js";

export const STATUSES = ["running", "waiting", "suspended", "faulted", "completed", "cancelled", "pending"];

const KNOWN = new Set([...STATUSES, "skipped"]);

export function Status({ of }) {
  return html`<span class=${`status ${KNOWN.has(of) ? of : ""}`}>${of}</span>`;
}
