// Fields of a form, made from a JSON schema: one for each property of the object.
import { html } from "../html.js";

const SIMPLE = new Set(["string", "integer", "number", "boolean"]);

/** Returns the fields for a schema; null if it describes no object with properties. */
export function fieldsOf(schema) {
  if (schema === null || typeof schema !== "object" || typeof schema.properties !== "object") return null;
  if (schema.type !== undefined && schema.type !== "object") return null;
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  return Object.entries(schema.properties).map(([name, property]) => fieldOf(name, property ?? {}, required.has(name)));
}

function fieldOf(name, property, required) {
  const kind = Array.isArray(property.enum) ? "choice" : SIMPLE.has(property.type) ? property.type : "json";
  const shown = { string: String, integer: String, number: String, boolean: Boolean, choice: JSON.stringify, json: JSON.stringify };
  const empty = kind === "boolean" ? null : "";
  return {
    name,
    kind,
    required,
    title: property.title ?? name,
    note: property.description ?? "",
    choices: property.enum ?? [],
    minimum: property.minimum,
    maximum: property.maximum,
    initial: property.default === undefined ? empty : shown[kind](property.default),
  };
}

/** Returns the input that the fields describe. Fields that are empty and not required are left out. */
export function readFields(fields, values) {
  const input = {};
  for (const field of fields) {
    const value = valueOf(field, values[field.name]);
    if (value !== undefined) input[field.name] = value;
  }
  return input;
}

function valueOf({ kind, name, required }, value) {
  if (value === null || (value === "" && !(required && kind === "string"))) return undefined;
  if (kind === "string" || kind === "boolean") return value;
  try {
    return JSON.parse(value);
  } catch {
    throw new Error(`${name} is not valid JSON`);
  }
}

export function Field({ field, value, onValue }) {
  return html`<label class="label">
    <span>${field.title} ${field.required ? html`<span class="muted" title="required">*</span>` : ""}</span>
    ${field.note && html`<span class="note">${field.note}</span>`}
    <${Control} field=${field} value=${value} onValue=${onValue} />
  </label>`;
}

function Control({ field, value, onValue }) {
  const { kind, required, choices, minimum, maximum } = field;
  const type = (event) => onValue(event.target.value);
  if (kind === "choice") {
    return html`<select class="field" value=${value} required=${required} onChange=${type}>
      <option value=""></option>
      ${choices.map((each) => html`<option value=${JSON.stringify(each)}>${typeof each === "string" ? each : JSON.stringify(each)}</option>`)}
    </select>`;
  }
  if (kind === "boolean") {
    return html`<select class="field" value=${value === null ? "" : String(value)} required=${required}
      onChange=${(event) => onValue({ true: true, false: false }[event.target.value] ?? null)}>
      <option value=""></option><option value="true">yes</option><option value="false">no</option>
    </select>`;
  }
  if (kind === "json") {
    return html`<textarea class="field small" placeholder="JSON" required=${required} spellcheck=${false} value=${value} onInput=${type}></textarea>`;
  }
  const isNumber = kind !== "string";
  return html`<input class="field" type=${isNumber ? "number" : "text"} step=${kind === "integer" ? 1 : "any"} min=${minimum} max=${maximum}
    required=${required && isNumber} value=${value} onInput=${type} />`;
}
