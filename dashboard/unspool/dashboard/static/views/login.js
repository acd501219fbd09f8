// Asks for an API key when the API wants one. The key stays in this browser tab.
import { useState } from "preact/hooks";

import { html } from "../html.js";
import { key, locked, useKey } from "../session.js";

export function Login() {
  const [value, setValue] = useState("");
  const submit = (event) => {
    event.preventDefault();
    useKey(value.trim());
  };
  return html`<form class="card login" onSubmit=${submit}>
    <div class="body stack">
      <h1>Log in</h1>
      <p class="muted">This API needs a key. It is kept in this tab until you close it or log out.</p>
      ${key.value && html`<p class="failure" role="alert">${locked.value.message}</p>`}
      <label class="label">API key
        <input class="field" type="password" autocomplete="off" required value=${value} autofocus
          onInput=${(event) => setValue(event.target.value)} />
      </label>
      <div><button class="button first">Log in</button></div>
    </div>
  </form>`;
}
