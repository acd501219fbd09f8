// Asks for an API key or a JWT when the API wants one.
import { useState } from "preact/hooks";

import { html } from "../html.js";
import { logIn } from "../login.js";
import { Failure } from "../parts/notices.js";

export function Login() {
  const [token, setToken] = useState("");
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await logIn(token.trim());
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<form class="card login" onSubmit=${submit}>
    <div class="body stack">
      <h1>Log in</h1>
      <p class="muted">The API needs a key, or a JWT of your identity provider. An administrator creates keys with <code>unspool keys create</code>.</p>
      <${Failure} error=${error} />
      <label class="label">API key or JWT
        <input class="field" type="password" autocomplete="off" required value=${token} autofocus
          onInput=${(event) => setToken(event.target.value)} />
      </label>
      <div><button class="button first">Log in</button></div>
    </div>
  </form>`;
}
