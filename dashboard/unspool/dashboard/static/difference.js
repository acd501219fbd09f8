// What changed between two states: the places whose values differ.

import { taskName } from "./format.js";

export const ABSENT = Symbol("absent");

const isObject = (value) => value !== null && typeof value === "object";

/** Returns `{pointer, before, after}` for each place that differs; a missing value is `ABSENT`. */
function changes(before, after, pointer = "") {
  if (Object.is(before, after)) return [];
  if (!isObject(before) || !isObject(after) || Array.isArray(before) !== Array.isArray(after)) {
    return [{ pointer, before, after }];
  }
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) =>
    changes(
      Object.hasOwn(before, name) ? before[name] : ABSENT,
      Object.hasOwn(after, name) ? after[name] : ABSENT,
      `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`,
    ),
  );
}

/** Returns the changes between two states of an execution; runs are compared by their number. */
export function stateChanges(before, after) {
  return changes(keyed(before), keyed(after)).filter((change) => change.pointer !== "/version");
}

function keyed(state) {
  const by = (list, name) => Object.fromEntries((list ?? []).map((each) => [name(each), each]));
  return {
    ...state,
    running: by(state.running, (each) => `${taskName(each.task)} (run ${each.run})`),
    next: by(state.next, (each) => each.task),
  };
}
