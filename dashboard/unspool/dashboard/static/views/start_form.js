// Starts an execution: a form made from the schema of the input, or JSON.
import { useState } from "preact/hooks";

import { path, post } from "../api.js";
import { html } from "../html.js";
import { Failure } from "../parts/notices.js";
import { ask, go, query } from "../router.js";
import { Field, fieldsOf, readFields } from "./schema_fields.js";

export function StartForm({ workflow, definition }) {
  const schema = definition.input?.schema?.document;
  const fields = fieldsOf(schema);
  const asJson = !fields || query.value.get("input") === "json";
  const [values, setValues] = useState(() => Object.fromEntries((fields ?? []).map((field) => [field.name, field.initial])));
  const [json, setJson] = useState("{}");
  const [id, setId] = useState("");
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      const input = asJson ? JSON.parse(json) : readFields(fields, values);
      const started = await post(
        `/workflows${path(workflow.namespace, workflow.name)}/executions`,
        { input, ...(id ? { id } : {}) },
        { version: workflow.version },
      );
      go(`/executions${path(started.id)}`);
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<form class="card start" onSubmit=${submit}>
    <div class="title">
      <h2>Start an execution of version ${workflow.version}</h2>
      ${fields && html`<span class="end"><${Mode} asJson=${asJson} toJson=${() => setJson(draft(fields, values))} /></span>`}
    </div>
    <div class="body stack">
      <${Failure} error=${error} />
      ${asJson
        ? html`<label class="label">Input, as JSON
            <textarea class="field" spellcheck=${false} value=${json} onInput=${(event) => setJson(event.target.value)}></textarea>
          </label>`
        : fields.map((field) => html`<${Field} key=${field.name} field=${field} value=${values[field.name]}
            onValue=${(value) => setValues({ ...values, [field.name]: value })} />`)}
      <label class="label">Id <span class="note">Optional. The same id again with the same input starts nothing new.</span>
        <input class="field" value=${id} maxlength="128" pattern="[A-Za-z0-9_.\\-]+" spellcheck=${false}
          onInput=${(event) => setId(event.target.value)} />
      </label>
      <div><button class="button first">Start</button></div>
    </div>
  </form>`;
}

function Mode({ asJson, toJson }) {
  return html`<button type="button" class="button small" aria-pressed=${!asJson} onClick=${() => ask({ input: "" })}>Form</button>
    <button type="button" class="button small" aria-pressed=${asJson}
      onClick=${() => (asJson || toJson(), ask({ input: "json" }))}>JSON</button>`;
}

/** What the form has up to now, as JSON. */
function draft(fields, values) {
  try {
    return JSON.stringify(readFields(fields, values), null, 2);
  } catch {
    return "{}";
  }
}
