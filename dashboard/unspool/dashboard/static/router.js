// The address is the state: the path names the view, the query its filters.
import { computed, signal } from "@preact/signals";

const current = signal(new URL(location.href));

export const route = computed(() => current.value.pathname);
export const query = computed(() => current.value.searchParams);

/** Goes to an address of this page. */
export function go(address, { replace = false } = {}) {
  const target = new URL(address, location.href);
  if (target.href === location.href) return;
  history[replace ? "replaceState" : "pushState"](null, "", target);
  const moved = target.pathname !== current.value.pathname;
  current.value = target;
  if (moved) scrollTo(0, 0);
}

/** Sets parameters of the query; a list sets one several times, an empty value removes it. */
export function ask(values, { replace = true } = {}) {
  go(asked(values), { replace });
}

/** The address with these parameters in place of the current ones. */
export function asked(values) {
  const target = new URL(current.value);
  for (const [name, value] of Object.entries(values)) {
    target.searchParams.delete(name);
    for (const each of [value].flat()) if (each !== undefined && each !== null && each !== "") target.searchParams.append(name, each);
  }
  return target.pathname + target.search;
}

/** Matches a path such as `/workflows/:namespace/:name`; returns its parameters, or null. */
export function match(pattern, path) {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  const found = {};
  for (const [index, part] of wanted.entries()) {
    if (part.startsWith(":")) found[part.slice(1)] = decoded(given[index]);
    else if (part !== given[index]) return null;
  }
  return found;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

addEventListener("popstate", () => (current.value = new URL(location.href)));

// Links are plain anchors; this makes those to other views of the page fast.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
  if (link.origin !== location.origin || /^\/(api|static|health|metrics)\b/.test(link.pathname)) return;
  if (link.hash && link.pathname === location.pathname) return;
  event.preventDefault();
  go(link.href);
});
