// Fields for tags: a name and a value each.
import { html } from "../html.js";

const NAME = "[A-Za-z0-9][A-Za-z0-9_.\\-]{0,62}";

/** Returns the tags that the rows describe. */
export const tagsOf = (rows) => Object.fromEntries(rows.map(({ name, value }) => [name, value]));

/** @param {{rows: {name: string, value: string}[], onRows: (rows: object[]) => void, problem?: string}} properties */
export function TagFields({ rows, onRows, problem }) {
  const change = (place, member) => (event) => onRows(rows.with(place, { ...rows[place], [member]: event.target.value }));
  return html`<fieldset class="group">
    <legend>Tags</legend>
    <span class="note">Optional: names with values, to find the execution by. They should hold nothing secret.</span>
    ${problem && html`<span class="problem" role="alert">${problem}</span>`}
    ${rows.map(
      ({ name, value }, place) => html`<div class="item tag-row" key=${place}>
        <input class="field" aria-label=${`Name of tag ${place + 1}`} placeholder="Name" pattern=${NAME} value=${name} required spellcheck=${false} onInput=${change(place, "name")} />
        <input class="field" aria-label=${`Value of tag ${place + 1}`} placeholder="Value" maxlength="256" value=${value} required spellcheck=${false} onInput=${change(place, "value")} />
        <button type="button" class="button small" aria-label=${`Remove tag ${place + 1}`} onClick=${() => onRows(rows.toSpliced(place, 1))}>Remove</button>
      </div>`,
    )}
    <div><button type="button" class="button small" disabled=${rows.length >= 16} onClick=${() => onRows([...rows, { name: "", value: "" }])}>Add a tag</button></div>
  </fieldset>`;
}
