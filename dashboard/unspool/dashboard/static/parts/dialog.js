// Questions before actions, and short messages after them.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { html } from "../html.js";

const question = signal(null);
const messages = signal([]);
let last = 0;

/**
 * Asks before something happens. Resolves to null if the user does not agree, else to `{reason}`, which is empty
 * unless the question asks for a reason and gets one. `refusal` is the button that does nothing.
 */
export function confirm({ title, body, action, refusal = "Keep as it is", danger = false, asksReason = false }) {
  return new Promise((answer) => (question.value = { title, body, action, refusal, danger, asksReason, answer }));
}

/** Shows a short message. */
export function say(text, { bad = false } = {}) {
  const id = ++last;
  messages.value = [...messages.value, { id, text, bad }];
  setTimeout(() => (messages.value = messages.value.filter((each) => each.id !== id)), bad ? 9000 : 4000);
}

/** Runs an action; a failure becomes a message. Returns whether it worked. */
export async function attempt(action, done) {
  try {
    await action();
    if (done) say(done);
    return true;
  } catch (error) {
    say(error.message, { bad: true });
    return false;
  }
}

export function Dialogs() {
  return html`<${Question} />
    <div class="toasts" role="status" aria-live="polite">
      ${messages.value.map((each) => html`<div key=${each.id} class=${`toast ${each.bad ? "bad" : ""}`}>${each.text}</div>`)}
    </div>`;
}

function Question() {
  const asked = question.value;
  const box = useRef(null);
  const reason = useRef(null);
  useEffect(() => {
    if (asked) box.current.showModal();
  }, [asked]);
  if (!asked) return null;
  const answer = (value) => {
    box.current.close(); // gives the focus back
    question.value = null;
    asked.answer(value);
  };
  return html`<dialog ref=${box} aria-labelledby="question" onCancel=${() => answer(null)}>
    <form onSubmit=${(event) => (event.preventDefault(), answer({ reason: reason.current?.value ?? "" }))}>
      <h2 id="question">${asked.title}</h2>
      <p>${asked.body}</p>
      ${asked.asksReason && html`<label class="label">Reason <span class="note">Optional; it is kept in the history.</span>
        <input class="field" maxlength="500" ref=${reason} /></label>`}
      <div class="choices">
        <button type="button" class="button" autofocus onClick=${() => answer(null)}>${asked.refusal}</button>
        <button class=${`button first ${asked.danger ? "danger" : ""}`}>${asked.action}</button>
      </div>
    </form>
  </dialog>`;
}
