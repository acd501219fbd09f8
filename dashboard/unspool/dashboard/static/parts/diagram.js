// A diagram, drawn by the API. It is replaced in one step, so it does not flicker, and keeps its place.
import { useEffect, useRef, useState } from "preact/hooks";

import { text } from "../api.js";
import { html } from "../html.js";
import { svgElement } from "../svg.js";
import { Failure } from "./notices.js";

const PAUSE = 100;

/** @param {{address: string, label: string, onTask?: (pointer: string) => void}} properties */
export function Diagram({ address, label, onTask }) {
  const box = useRef(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    const load = async () => {
      try {
        const drawn = svgElement(await text(address, "image/svg+xml", stop.signal));
        if (onTask) makeTasksButtons(drawn);
        if (stop.signal.aborted) return;
        replace(box.current, drawn);
        setError(null);
      } catch (problem) {
        if (!stop.signal.aborted) setError(problem);
      }
    };
    const timer = setTimeout(load, box.current.childElementCount ? PAUSE : 0);
    return () => (clearTimeout(timer), stop.abort());
  }, [address]);
  const choose = (event) => {
    const task = event.target.closest("[data-pointer]");
    const pressed = event.type === "click" || event.key === "Enter" || event.key === " ";
    if (!onTask || !task || !pressed) return;
    event.preventDefault();
    onTask(task.dataset.pointer);
  };
  return html`<${Failure} error=${error} />
    <div class="card diagram scroll" tabindex="0" role="region" aria-label=${label} ref=${box} onClick=${choose} onKeyDown=${choose}></div>`;
}

/** Replaces the diagram; a task that has the focus keeps it. */
function replace(box, drawn) {
  const focused = document.activeElement?.closest?.("[data-pointer]")?.dataset.pointer;
  box.replaceChildren(drawn);
  if (focused) drawn.querySelector(`[data-pointer="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function makeTasksButtons(drawn) {
  for (const task of drawn.querySelectorAll("[data-pointer]")) {
    task.setAttribute("tabindex", "0");
    task.setAttribute("role", "button");
  }
}
