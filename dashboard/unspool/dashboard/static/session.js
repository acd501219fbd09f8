// What the page knows of its user: API key, tenant and colour scheme. The key stays in this browser tab.
import { signal } from "@preact/signals";

const stored = (name) => sessionStorage.getItem(`unspool.${name}`) ?? "";

export const key = signal(stored("key"));
export const tenant = signal(new URLSearchParams(location.search).get("tenant") ?? stored("tenant"));
/** The problem that made the API ask for a key; null if it does not. */
export const locked = signal(null);
export const theme = signal(document.documentElement.dataset.theme ?? "system");

function keep(target, name, value) {
  target.value = value;
  if (value) sessionStorage.setItem(`unspool.${name}`, value);
  else sessionStorage.removeItem(`unspool.${name}`);
}

keep(tenant, "tenant", tenant.value);

export function useKey(value) {
  keep(key, "key", value);
  locked.value = null;
}

export function useTenant(value) {
  keep(tenant, "tenant", value);
}

/** The headers that say who asks. */
export function identity() {
  return {
    ...(key.value ? { Authorization: `Bearer ${key.value}` } : {}),
    ...(tenant.value ? { "X-Tenant": tenant.value } : {}),
  };
}

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
