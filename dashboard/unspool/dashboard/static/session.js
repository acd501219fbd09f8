// What the page knows of its user: who it is, the tenant and the colour scheme.
import { signal } from "@preact/signals";

/** The caller as `GET /session` describes it: name, scopes, tenant; null until it is known. */
export const caller = signal(null);
/** Why the API asks for a login; null if it does not. */
export const locked = signal(null);
export const theme = signal(document.documentElement.dataset.theme ?? "system");

const asked = new URLSearchParams(location.search).get("tenant");
if (asked !== null) sessionStorage.setItem("unspool.tenant", asked);

/** The tenant that a caller of all tenants looks at; empty for its own. */
export const tenant = signal(sessionStorage.getItem("unspool.tenant") ?? "");

/** Whether the caller has a scope: read, start, operate or admin. */
export const may = (scope) => caller.value?.scopes.includes(scope) ?? false;

/** Asks for a login, because the API refused the caller. */
export function lock(problem) {
  caller.value = null;
  locked.value = problem;
}

/** The headers that every request has. */
export const identity = () => (tenant.value ? { "X-Tenant": tenant.value } : {});

/** The headers of requests that change something. */
export const proof = () => (caller.value?.csrf ? { "X-CSRF-Token": caller.value.csrf } : {});

export function chooseTheme(value) {
  theme.value = value;
  if (value === "system") {
    localStorage.removeItem("unspool.theme");
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem("unspool.theme", value);
    document.documentElement.dataset.theme = value;
  }
}
