// A diagram of this API as an element. Text becomes elements only here, after a check.

const ELEMENTS = new Set(["svg", "g", "title", "rect", "path", "text", "tspan", "circle", "ellipse", "line", "polygon", "polyline"]);
const REFUSED = /^(on|href$|xlink:|style$|src$)/i;

const policy = globalThis.trustedTypes?.createPolicy("diagram", { createHTML: (text) => text });

/**
 * Returns the root element of an SVG document.
 *
 * @throws {Error} it is no SVG, or has an element or attribute that diagrams do not have
 */
export function svgElement(text) {
  const document_ = new DOMParser().parseFromString(policy?.createHTML(text) ?? text, "image/svg+xml");
  const root = document_.documentElement;
  for (const each of [root, ...root.querySelectorAll("*")]) check(each);
  return document.importNode(root, true);
}

function check(element) {
  const known = element.namespaceURI === "http://www.w3.org/2000/svg" && ELEMENTS.has(element.localName);
  const refused = [...element.attributes].find(({ name }) => REFUSED.test(name));
  if (!known || refused) throw new Error("The API sent something that is not a diagram.");
}
