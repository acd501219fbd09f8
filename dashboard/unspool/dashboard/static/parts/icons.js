// Icons of the navigation: 24 units square, drawn with lines.
import { html } from "../html.js";

const PATHS = {
  executions: "M4 6h10M4 12h16M4 18h7M18 6h2M15 18h5",
  workflows: "M6 3.5h5v5H6zM13 15.5h5v5h-5zM8.5 8.5V14a4 4 0 0 0 4.5 4",
  schedules: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 8v4.4l3 1.8",
  events: "M12 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM8 8a5.7 5.7 0 0 0 0 8M16 8a5.7 5.7 0 0 1 0 8M5 5a10 10 0 0 0 0 14M19 5a10 10 0 0 1 0 14",
  "dead-letters": "M3.5 6h17v12h-17zM4 7l8 6 8-6",
  system: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01",
};

export function Icon({ of }) {
  return html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round"
    stroke-linejoin="round" aria-hidden="true"><path d=${PATHS[of]} /></svg>`;
}
