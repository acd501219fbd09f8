// Buttons that copy text to the clipboard.
import { useState } from "preact/hooks";

import { html } from "../html.js";

async function copied(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Without HTTPS a browser has no clipboard for pages, only the command.
  const area = Object.assign(document.createElement("textarea"), { value: text });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** @param {{text: () => string, label: string, children?: any}} properties */
export function Copy({ text, label = "Copy", name }) {
  const [done, setDone] = useState(false);
  const click = async () => {
    await copied(text());
    setDone(true);
    setTimeout(() => setDone(false), 1200);
  };
  return html`<button type="button" class="button small plain" aria-label=${name ?? label} onClick=${click}>
    ${done ? "Copied" : label}
  </button>`;
}
