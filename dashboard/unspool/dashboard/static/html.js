// The one place that joins Preact and htm: templates become elements, never text that is parsed as HTML.
import { h, render } from "preact";
import htm from "htm";

export const html = htm.bind(h);
export { render };
