// Publishes an event to the workflows that listen for it.
import { useState } from "preact/hooks";

import { send } from "../api.js";
import { html } from "../html.js";
import { confirm, say } from "../parts/dialog.js";
import { Failure } from "../parts/notices.js";
import { ask } from "../router.js";

export function PublishForm() {
  const [values, setValues] = useState({ type: "", source: "/dashboard", subject: "", data: "{}" });
  const [error, setError] = useState(null);
  const input = (name, properties) => html`<input class="field" spellcheck=${false} value=${values[name]} ...${properties}
    onInput=${(event) => setValues({ ...values, [name]: event.target.value })} />`;
  const submit = async (event) => {
    event.preventDefault();
    try {
      const published = eventOf(values);
      const agreed = await confirm({
        title: `Publish ${published.type}?`,
        body: "Every execution that listens for it gets it, and schedules that it matches start executions. It cannot be taken back.",
        action: "Publish",
        refusal: "Do not publish",
      });
      if (!agreed) return;
      const headers = { "Content-Type": "application/cloudevents+json" };
      await send("POST", "/events", { body: JSON.stringify(published), headers });
      setError(null);
      say("The event is published.");
      ask({ publish: "" });
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<form class="card publish" onSubmit=${submit} aria-label="Publish an event">
    <div class="body stack">
      <${Failure} error=${error} />
      <div class="columns">
        <label class="label">Type ${input("type", { required: true, placeholder: "order.paid" })}</label>
        <label class="label">Source ${input("source", { required: true })}</label>
        <label class="label">Subject ${input("subject", { placeholder: "optional" })}</label>
      </div>
      <label class="label">Data, as JSON
        <textarea class="field small" spellcheck=${false} value=${values.data}
          onInput=${(event) => setValues({ ...values, data: event.target.value })}></textarea>
      </label>
      <div><button class="button first">Publish</button></div>
    </div>
  </form>`;
}

function eventOf({ type, source, subject, data }) {
  const event = { specversion: "1.0", id: identifier(), time: new Date().toISOString(), type, source };
  if (subject) event.subject = subject;
  if (data.trim()) event.data = JSON.parse(data);
  return event;
}

/** A random id. `crypto.randomUUID` exists only on pages by HTTPS or of this machine. */
const identifier = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
