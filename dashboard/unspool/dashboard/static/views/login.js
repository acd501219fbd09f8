// Asks for a login when the API wants one: at the issuer, or with an API key or a JWT.
import { useState } from "preact/hooks";

import { html } from "../html.js";
import { logIn } from "../login.js";
import { Failure } from "../parts/notices.js";
import { asked, go, query, route } from "../router.js";
import { locked } from "../session.js";

const PAGE = "/login";
/** The longest address that the API takes as `next`. */
const MOST = 1024;

/** By the `error` that the API gives the page: what it means. */
const REASONS = {
  denied: "You did not log in: the identity provider denied it.",
  expired: "This login was not begun in this browser, or it took too long. Log in again.",
  refused: "The identity provider refused this login. The log of the API has the reason.",
  invalid: "The answer of the identity provider is not valid. The log of the API has the reason.",
  "no-scopes": "Your account may do nothing here. Ask an administrator for a role.",
  unavailable: "The identity provider does not answer. Try again in a moment.",
  "too-many": "There were too many attempts. Try again in a minute.",
};

/** Where the reader wants to go: the page that is shown, or the one that a failed login names. */
function wanted() {
  const next = route.value === PAGE ? query.value.get("next") : asked({});
  return isPage(next) ? next : "/";
}

function isPage(address) {
  try {
    return address.length <= MOST && address.startsWith("/") && new URL(address, location.href).origin === location.origin;
  } catch {
    return false;
  }
}

function failed() {
  const reason = route.value === PAGE && query.value.get("error");
  return reason ? new Error(Object.hasOwn(REASONS, reason) ? REASONS[reason] : "The login failed. Log in again.") : null;
}

export function Login() {
  const [token, setToken] = useState("");
  const [error, setError] = useState(failed);
  const issuer = locked.value.members.login;
  const submit = async (event) => {
    event.preventDefault();
    try {
      await logIn(token.trim());
      if (route.value === PAGE) go(wanted(), { replace: true });
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<form class="card login" onSubmit=${submit}>
    <div class="body stack">
      <h1>Log in</h1>
      <${Failure} error=${error} />
      ${issuer && html`<${Issuer} ...${issuer} />`}
      <p class="muted">${issuer ? "Or use" : "The API needs"} a key, or a JWT of your identity provider. An administrator creates keys with <code>unspool keys create</code>.</p>
      <label class="label">API key or JWT
        <input class="field" type="password" autocomplete="off" required value=${token} autofocus=${!issuer}
          onInput=${(event) => setToken(event.target.value)} />
      </label>
      <div><button class=${issuer ? "button" : "button first"}>Log in${issuer && " with the key"}</button></div>
    </div>
  </form>`;
}

/** A link to the issuer, which sends the reader back to the wanted page. */
function Issuer({ path, name }) {
  const address = `${path}?${new URLSearchParams({ next: wanted() })}`;
  return html`<a class="button first issuer" href=${address} autofocus>Log in with ${name}</a>`;
}

/** The page of a failed login, for a reader who is logged in. */
export function LoggedIn() {
  return html`<div class="card login"><div class="body stack">
    <h1>You are logged in</h1>
    <${Failure} error=${failed()} />
    <a class="button first issuer" href=${wanted()}>Go on</a>
  </div></div>`;
}
