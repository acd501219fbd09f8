// JSON as a tree. Large values are folded, and only unfolded values are in the page.
import { useState } from "preact/hooks";

import { count, number } from "../format.js";
import { html } from "../html.js";
import { Copy } from "./copy.js";

const OPEN_DEPTH = 3;
const OPEN_MEMBERS = 24;
const PAGE = 100;
const TEXT = 400;

export function Json({ value }) {
  return html`<div class="json"><${Value} value=${value} depth=${0} /></div>`;
}

/** A titled box with a value and a button that copies it. */
export function JsonCard({ title, value, missing = "none", children }) {
  const given = value !== undefined;
  return html`<section class="card">
    <div class="title">
      <h3>${title}</h3>
      <span class="end">
        ${given && html`<${Copy} text=${() => JSON.stringify(value, null, 2)} label="Copy JSON" name=${`Copy ${title} as JSON`} />`}
      </span>
    </div>
    <div class="body">${given ? html`<${Json} value=${value} />` : html`<span class="muted">${missing}</span>`} ${children}</div>
  </section>`;
}

function Value({ value, depth }) {
  if (typeof value === "string") return html`<${Text} value=${value} />`;
  if (value === null || typeof value !== "object") {
    return html`<span class=${typeof value === "number" ? "number" : "constant"}>${String(value)}</span>`;
  }
  return html`<${Tree} value=${value} depth=${depth} />`;
}

function Text({ value }) {
  const [whole, setWhole] = useState(value.length <= TEXT);
  if (whole) return html`<span class="string">${JSON.stringify(value)}</span>`;
  return html`<span class="string">${JSON.stringify(value.slice(0, TEXT))}</span>${" "}
    <button type="button" class="fold" onClick=${() => setWhole(true)}>… all ${number(value.length)} characters</button>`;
}

function Tree({ value, depth }) {
  const entries = Object.entries(value);
  const [open, setOpen] = useState(depth < OPEN_DEPTH && (depth === 0 || entries.length <= OPEN_MEMBERS));
  const [shown, setShown] = useState(PAGE);
  const isList = Array.isArray(value);
  const [left, right] = isList ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0) return html`<span class="dim">${left + right}</span>`;
  const toggle = html`<button type="button" class="fold" aria-expanded=${open} onClick=${() => setOpen(!open)}>
    ${open ? left : `${left} ${isList ? count(entries.length, "item") : count(entries.length, "member")} ${right}`}
  </button>`;
  if (!open) return toggle;
  return html`${toggle}
    <ul>
      ${entries.slice(0, shown).map(
        ([name, each]) => html`<li key=${name}>
          <span class=${isList ? "dim" : "name"}>${isList ? name : JSON.stringify(name)}</span><span class="dim">: </span
          ><${Value} value=${each} depth=${depth + 1} />
        </li>`,
      )}
    </ul>
    ${entries.length > shown &&
    html`<button type="button" class="fold" onClick=${() => setShown(shown + 10 * PAGE)}>
      … ${number(entries.length - shown)} more
    </button>`}<span class="dim">${right}</span>`;
}

/** The beginning of a value in one line. */
export function preview(value, length = 120) {
  if (value === undefined) return "";
  const text = JSON.stringify(value);
  return text.length > length ? `${text.slice(0, length)}…` : text;
}
