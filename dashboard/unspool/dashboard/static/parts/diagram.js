// A diagram, drawn by the API. It is replaced in one step, so it does not flicker, and keeps its place and its size.
import { useEffect, useRef, useState } from "preact/hooks";

import { text } from "../api.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { svgElement } from "../svg.js";
import { Failure } from "./notices.js";

const PAUSE = 100;
/** The smallest scale that a diagram has by itself: smaller texts cannot be read, so it scrolls. */
const READABLE = 0.7;
const STEP = 1.25;
const [LEAST, MOST] = [0.1, 3];

/** @param {{address: string, label: string, onTask?: (pointer: string) => void}} properties */
export function Diagram({ address, label, onTask }) {
  const box = useRef(null);
  const load = async (signal) => svgElement(await text(address, "image/svg+xml", signal));
  const { data: drawn, error } = useLoad(load, [address], { pause: PAUSE });
  const [chosen, setChosen] = useState(null);
  const scale = useRef(null);
  scale.current = chosen;
  useEffect(() => {
    if (!drawn) return;
    if (onTask) makeTasksButtons(drawn);
    replace(box.current, drawn, scale.current);
  }, [drawn]);
  const zoom = (to) => (setChosen(to), resize(box.current, to));
  const by = (factor) => zoom(Math.min(MOST, Math.max(LEAST, shownScale(box.current) * factor)));
  const choose = (event) => {
    const task = event.target.closest("[data-pointer]");
    const pressed = event.type === "click" || event.key === "Enter" || event.key === " ";
    if (!onTask || !task || !pressed) return;
    event.preventDefault();
    onTask(task.dataset.pointer);
  };
  return html`<${Failure} error=${error} />
    <div class="card drawn">
      <div class="zoom" role="group" aria-label="Size of the diagram">
        <button type="button" class="button small" aria-label="Smaller" onClick=${() => by(1 / STEP)}>−</button>
        <button type="button" class="button small" aria-label="Larger" onClick=${() => by(STEP)}>+</button>
        <button type="button" class="button small" onClick=${() => zoom(fitting(box.current))}>Whole diagram</button>
      </div>
      <div class="diagram scroll" tabindex="0" role="region" aria-label=${label} ref=${box} onClick=${choose} onKeyDown=${choose}></div>
    </div>`;
}

const widthOf = (drawn) => drawn.viewBox.baseVal.width;

/** The scale at which the whole width of the diagram is in its box; at most its own size. */
function fitting(box) {
  const { paddingLeft, paddingRight } = getComputedStyle(box);
  const room = box.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
  return Math.min(1, room / widthOf(box.firstElementChild));
}

const shownScale = (box) => box.firstElementChild.getBoundingClientRect().width / widthOf(box.firstElementChild);

/** Gives the diagram a scale; null is the one at which it can be read. */
function resize(box, scale) {
  const drawn = box.firstElementChild;
  if (drawn) drawn.style.width = `${widthOf(drawn) * (scale ?? Math.max(READABLE, fitting(box)))}px`;
}

/** Replaces the diagram; a task that has the focus keeps it. At first the start is in the middle. */
function replace(box, drawn, scale) {
  const isFirst = box.childElementCount === 0;
  const focused = document.activeElement?.closest?.("[data-pointer]")?.dataset.pointer;
  box.replaceChildren(drawn);
  resize(box, scale);
  const start = isFirst && drawn.querySelector(".terminal");
  if (start) box.scrollLeft = start.getBoundingClientRect().left - box.getBoundingClientRect().left - box.clientWidth / 2;
  if (focused) drawn.querySelector(`[data-pointer="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function makeTasksButtons(drawn) {
  for (const task of drawn.querySelectorAll("[data-pointer]")) {
    task.setAttribute("tabindex", "0");
    task.setAttribute("role", "button");
  }
}
