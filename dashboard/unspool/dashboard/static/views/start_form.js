// Starts an execution: a form made from the schema of the input, or JSON. The API checks the input first.
import { useState } from "preact/hooks";

import { Problem, path, post } from "../api.js";
import { html } from "../html.js";
import { Failure } from "../parts/notices.js";
import { ask, go, query } from "../router.js";
import { byPointer, draftOf, formOf, valueOf } from "../schema_model.js";
import { Members } from "./schema_fields.js";
import { TagFields, tagsOf } from "./tag_fields.js";

export function StartForm({ workflow, definition }) {
  const [node] = useState(() => formOf(definition.input?.schema?.document));
  const asJson = !node || query.value.get("input") === "json";
  const [draft, setDraft] = useState(() => node && draftOf(node));
  const [json, setJson] = useState("{}");
  const [id, setId] = useState("");
  const [tags, setTags] = useState([]);
  const [problems, setProblems] = useState([]);
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const found = [];
    try {
      const input = asJson ? JSON.parse(json) : valueOf(node, draft, { problems: found });
      if (!found.length) found.push(...(await inputProblems(workflow, input)));
      setProblems(found);
      if (found.length) throw new Problem(422, "The input does not match its schema.", { errors: asJson ? found : [] });
      const started = await post(
        `/workflows${path(workflow.namespace, workflow.name)}/executions`,
        { input, ...(id ? { id } : {}), ...(tags.length ? { tags: tagsOf(tags) } : {}) },
        { version: workflow.version },
      );
      go(`/executions${path(started.id)}`);
    } catch (problem) {
      setError(problem);
    }
  };
  const ofTags = error?.members?.pointer === "/tags" ? error.message : null;
  const ofId = error?.status === 409 ? error.message : null;
  return html`<form class="card start" onSubmit=${submit}>
    <div class="title">
      <h2>Start an execution of version ${workflow.version}</h2>
      ${node && html`<span class="end"><${Mode} asJson=${asJson} toJson=${() => setJson(written(node, draft))} /></span>`}
    </div>
    <div class="body stack">
      <${Failure} error=${ofTags || ofId ? null : error} />
      ${asJson
        ? html`<label class="label">Input, as JSON
            <textarea class="field" spellcheck=${false} value=${json} onInput=${(event) => setJson(event.target.value)}></textarea>
          </label>`
        : html`<${Members} node=${node} pointer="" draft=${draft} onDraft=${setDraft} problems=${byPointer(problems)} />`}
      <${TagFields} rows=${tags} onRows=${setTags} problem=${ofTags} />
      <label class="label">Id <span class="note">Optional. The same id again with the same input starts nothing new.</span>
        <input class="field" value=${id} maxlength="128" pattern="[A-Za-z0-9_.\\-]+" spellcheck=${false}
          aria-invalid=${ofId ? true : undefined} onInput=${(event) => setId(event.target.value)} />
        ${ofId && html`<span class="problem" role="alert">${ofId}</span>`}
      </label>
      <div><button class="button first">Start</button></div>
    </div>
  </form>`;
}

/** What the API finds wrong with an input. An execution with such an input would fault at once. */
async function inputProblems({ namespace, name, version }, input) {
  return (await post(`/workflows${path(namespace, name, version)}/input-check`, { input })).problems;
}

function Mode({ asJson, toJson }) {
  return html`<button type="button" class="button small" aria-pressed=${!asJson} onClick=${() => ask({ input: "" })}>Form</button>
    <button type="button" class="button small" aria-pressed=${asJson}
      onClick=${() => (asJson || toJson(), ask({ input: "json" }))}>JSON</button>`;
}

/** What the form has up to now, as JSON. */
const written = (node, draft) => JSON.stringify(valueOf(node, draft, { problems: [] }), null, 2);
