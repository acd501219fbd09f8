// The history of an execution, live.
import { useEffect, useRef, useState } from "preact/hooks";

import { path } from "../api.js";
import { follow } from "../sse.js";

/**
 * Returns the events up to now, whether more come (`live`), whether the stream has ended, the last failure,
 * and a function that reads the stream again.
 */
export function useHistory(id) {
  const known = useRef([]);
  const [round, setRound] = useState(0);
  const [state, setState] = useState({ events: [], live: false, ended: false, error: null });
  const set = (values) => setState((before) => ({ ...before, ...values }));
  useEffect(() => {
    const stop = new AbortController();
    let timer;
    // A long history arrives in many pieces. The page is drawn a few times a second, not once a piece.
    const draw = () => ((timer = undefined), set({ events: [...known.current] }));
    follow(`/executions${path(id)}/events/stream`, {
      after: known.current.at(-1)?.seq,
      signal: stop.signal,
      onEvents: (events) => {
        known.current.push(...events);
        timer ??= setTimeout(draw, 40);
      },
      onState: (now) => set({ live: now === "live", ended: now === "ended", error: null }),
    }).catch((error) => set({ live: false, error }));
    return () => (clearTimeout(timer), stop.abort());
  }, [id, round]);
  return { ...state, resume: () => setRound((before) => before + 1) };
}
