// Hooks that load data of the API. Data stays on the page while newer data is on its way, so nothing flickers.
import { signal } from "@preact/signals";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { RETRY } from "./api.js";

/** The time, once a second, for ages on the page. */
export const now = signal(Date.now());
setInterval(() => (now.value = Date.now()), 1000);

/**
 * Loads data, again when the dependencies change, and every so often while the page is visible. What fails because the
 * API is away, busy or failing is loaded again.
 *
 * @param {(signal: AbortSignal) => Promise<any>} fetcher
 * @param {any[]} dependencies
 * @param {{every?: number, pause?: number}} options in milliseconds: the time between two loads, 0 for one load; and
 *   how long to wait for further changes of the dependencies before newer data is loaded
 */
export function useLoad(fetcher, dependencies, { every = 0, pause = 0 } = {}) {
  const [state, setState] = useState({ data: null, error: null, loading: true });
  const reloader = useRef(() => {});
  useEffect(() => {
    const stop = new AbortController();
    let timer, next;
    const load = async () => {
      clearTimeout(timer);
      next = every;
      try {
        const data = await fetcher(stop.signal);
        if (!stop.signal.aborted) setState({ data, error: null, loading: false });
      } catch (error) {
        if (stop.signal.aborted) return;
        setState((before) => ({ data: before.data, error, loading: false }));
        if (error.isTemporary) next ||= RETRY;
      }
      if (next && !stop.signal.aborted) timer = setTimeout(whenVisible, next);
    };
    const whenVisible = () => (document.hidden ? (timer = setTimeout(whenVisible, next)) : load());
    reloader.current = load;
    setState((before) => ({ ...before, loading: true }));
    if (pause && state.data) timer = setTimeout(load, pause);
    else load();
    return () => (clearTimeout(timer), stop.abort());
  }, dependencies);
  return { ...state, reload: useCallback(() => reloader.current(), []) };
}
