// What a view shows if it has nothing to show, or cannot.
import { html } from "../html.js";

export function Failure({ error }) {
  if (!error) return null;
  const problems = error.members?.errors ?? [];
  return html`<div class="failure" role="alert">
    ${error.message}
    ${problems.length > 0 &&
    html`<ul>
      ${problems.map((each) => html`<li>${each.line ? `Line ${each.line}: ` : ""}${each.message} ${each.pointer && html`<code>${each.pointer}</code>`}</li>`)}
    </ul>`}
  </div>`;
}

/** Is invisible for a moment, because most answers come at once. */
export function Loading() {
  return html`<p class="loading muted" role="status">Loading…</p>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><strong>${title}</strong>${children}</div>`;
}
