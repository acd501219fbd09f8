// The navigation, and who is logged in.
import { html } from "../html.js";
import { logOut } from "../login.js";
import { route } from "../router.js";
import { caller, chooseTheme, tenant, theme } from "../session.js";
import { attempt } from "./dialog.js";
import { Icon } from "./icons.js";

const PLACES = [
  ["/", "executions", "Executions"],
  ["/workflows", "workflows", "Workflows"],
  ["/schedules", "schedules", "Schedules"],
  ["/events", "events", "Events"],
  ["/dead-letters", "dead-letters", "Dead letters"],
  ["/system", "system", "System"],
];

const here = (place, path) => (place === "/" ? path === "/" || path.startsWith("/executions") : path.startsWith(place));

export function Side() {
  return html`<header class="side">
    <a class="brand" href="/"><img src="/static/icon.svg" alt="" width="24" height="24" />Unspool</a>
    <nav class="nav" aria-label="Views">
      ${PLACES.map(
        ([place, icon, name]) => html`<a href=${place} aria-current=${here(place, route.value) ? "page" : undefined}>
          <${Icon} of=${icon} />${name}
        </a>`,
      )}
    </nav>
    <div class="foot">
      <${Caller} />
      <a href="/api/docs">API description</a>
      <${Theme} />
    </div>
  </header>`;
}

function Caller() {
  const shown = tenant.value || caller.value?.tenant;
  const loggedIn = caller.value?.csrf;
  return html`${shown && shown !== "default" && html`<span class="muted cut">Tenant <strong>${shown}</strong></span>`}
    ${loggedIn && html`<span class="muted cut" title=${caller.value.name}>${caller.value.name}</span>
      <button type="button" class="button small" onClick=${() => attempt(logOut)}>Log out</button>`}`;
}

function Theme() {
  return html`<select class="field" aria-label="Colours" value=${theme.value} onChange=${(event) => chooseTheme(event.target.value)}>
    <option value="system">System colours</option>
    <option value="light">Light</option>
    <option value="dark">Dark</option>
  </select>`;
}
