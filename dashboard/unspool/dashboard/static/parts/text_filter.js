// A field of text that filters a list when it is left or Enter is pressed. What is typed stays while the list moves.
import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";

/** @param {{label: string, value: string, onValue: (value: string) => void}} properties and attributes of the input */
export function TextFilter({ label, value, onValue, ...attributes }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  return html`<input class="field" type="search" aria-label=${label} spellcheck=${false} ...${attributes} value=${typed}
    onInput=${(event) => setTyped(event.target.value)} onChange=${(event) => onValue(event.target.value.trim())} />`;
}
