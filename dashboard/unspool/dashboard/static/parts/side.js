// The navigation.
import { html } from "../html.js";
import { route } from "../router.js";
import { chooseTheme, key, tenant, theme, useKey } from "../session.js";
import { Icon } from "./icons.js";

const PLACES = [
  ["/", "executions", "Executions"],
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
      ${tenant.value && html`<span class="muted cut">Tenant <strong>${tenant.value}</strong></span>`}
      <a href="/api/docs">API</a>
      ${key.value && html`<button type="button" class="button small" onClick=${() => (useKey(""), location.assign("/"))}>Log out</button>`}
      <${Theme} />
    </div>
  </header>`;
}

function Theme() {
  return html`<select class="field" aria-label="Colours" value=${theme.value} onChange=${(event) => chooseTheme(event.target.value)}>
    <option value="system">System colours</option>
    <option value="light">Light</option>
    <option value="dark">Dark</option>
  </select>`;
}
