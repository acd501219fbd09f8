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

export function Empty({ title, children }) {
  return html`<div class="empty"><strong>${title}</strong>${children}</div>`;
}
