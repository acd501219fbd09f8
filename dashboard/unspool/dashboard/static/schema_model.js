// What a JSON schema asks for, as a tree of nodes; drafts of values for it; and the values that drafts describe.
//
// A draft has the form of its node: a text for a leaf, null, true or false for a boolean, an object of drafts, a list
// of drafts, or for variants the chosen one with a draft of each.

const SIMPLE = new Set(["string", "integer", "number", "boolean"]);
const DEEPEST = 8;
const MOST_VARIANTS = 8;

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** Returns the node of a schema; null if it describes no object with properties. */
export function formOf(schema) {
  const node = nodeOf(schema, schema, 0);
  return node.kind === "object" ? node : null;
}

function nodeOf(given, root, depth) {
  const schema = resolved(given, root);
  if (!isObject(schema) || depth > DEEPEST) return { kind: "json", note: "", title: undefined };
  const shared = { title: text(schema.title), note: text(schema.description) ?? "", default: schema.default };
  return { ...shared, ...shapeOf(schema, root, depth) };
}

const text = (value) => (typeof value === "string" ? value : undefined);

function shapeOf(schema, root, depth) {
  const type = typeOf(schema);
  if (Object.hasOwn(schema, "const")) return { kind: "choice", choices: [schema.const] };
  if (Array.isArray(schema.enum)) return { kind: "choice", choices: schema.enum };
  const options = schema.oneOf ?? schema.anyOf;
  if (Array.isArray(options)) return variants(options, root, depth);
  if (SIMPLE.has(type)) return { kind: type, minimum: schema.minimum, maximum: schema.maximum };
  if (isObject(schema.properties) && (type === undefined || type === "object")) return members(schema, root, depth);
  if (type === "array" && isObject(schema.items)) {
    const item = nodeOf(schema.items, root, depth + 1);
    if (item.kind !== "json") return { kind: "list", item };
  }
  return { kind: "json" };
}

/** The type; of a type that can be null too, the other one. */
function typeOf({ type }) {
  const types = [type].flat().filter((each) => each !== "null");
  return types.length === 1 ? types[0] : type;
}

function members(schema, root, depth) {
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const fields = Object.entries(schema.properties).map(([name, each]) => ({
    name,
    required: required.has(name),
    node: nodeOf(each ?? {}, root, depth + 1),
  }));
  return { kind: "object", fields };
}

/** Alternatives, if each of them can be a form; else the value is written as JSON. */
function variants(options, root, depth) {
  const nodes = options.map((each) => nodeOf(each, root, depth + 1));
  if (!nodes.length || nodes.length > MOST_VARIANTS || nodes.some(({ kind }) => kind === "json")) return { kind: "json" };
  return { kind: "variants", nodes };
}

/** Follows references to other places of the same schema. */
function resolved(schema, root) {
  let found = schema;
  for (let steps = 0; isObject(found) && typeof found.$ref === "string" && steps < DEEPEST; steps += 1) {
    if (!found.$ref.startsWith("#/")) return undefined;
    const parts = found.$ref.slice(2).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    found = parts.reduce((value, part) => (isObject(value) && Object.hasOwn(value, part) ? value[part] : undefined), root);
  }
  return found;
}

/** Returns the draft of a node: of a value if one is given, else of its default. */
export function draftOf(node, value = node.default) {
  switch (node.kind) {
    case "object":
      return Object.fromEntries(node.fields.map(({ name, node: each }) => [name, draftOf(each, own(value, name) ?? each.default)]));
    case "list":
      return (Array.isArray(value) ? value : []).map((each) => draftOf(node.item, each));
    case "variants":
      return { chosen: 0, drafts: node.nodes.map((each) => draftOf(each, value ?? each.default)) };
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "string":
      return value === undefined || value === null ? "" : String(value);
    default:
      return value === undefined ? "" : JSON.stringify(value, null, node.kind === "json" ? 2 : undefined);
  }
}

const own = (value, name) => (isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined);

/** Returns the JSON pointer of a member. */
export const below = (pointer, name) => `${pointer}/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`;

/**
 * Returns the value that a draft describes; undefined if it is empty and not required.
 *
 * @param {object} node
 * @param {any} draft
 * @param {{required?: boolean, pointer?: string, problems: {pointer: string, message: string}[]}} options
 *     problems that are found are added to `problems`
 */
export function valueOf(node, draft, { required = true, pointer = "", problems }) {
  const inner = (each, part, name, isRequired) =>
    valueOf(each, part, { required: isRequired, pointer: name === null ? pointer : below(pointer, name), problems });
  switch (node.kind) {
    case "object": {
      const given = node.fields
        .map(({ name, node: each, required: needed }) => [name, inner(each, draft[name], name, needed && (required || anyFilled(node, draft)))])
        .filter(([, value]) => value !== undefined);
      return given.length || required ? Object.fromEntries(given) : undefined;
    }
    case "list":
      return draft.length || required ? draft.map((each, place) => inner(node.item, each, place, true) ?? null) : undefined;
    case "variants":
      return inner(node.nodes[draft.chosen], draft.drafts[draft.chosen], null, required);
    case "boolean":
      return draft ?? undefined;
    case "string":
      return draft === "" && !required ? undefined : draft;
    default:
      return parsed(draft, pointer, problems);
  }
}

/** Whether a draft has anything in it. */
function anyFilled(node, draft) {
  switch (node.kind) {
    case "object":
      return node.fields.some(({ name, node: each }) => anyFilled(each, draft[name]));
    case "list":
      return draft.length > 0;
    case "variants":
      return anyFilled(node.nodes[draft.chosen], draft.drafts[draft.chosen]);
    default:
      return draft !== "" && draft !== null;
  }
}

function parsed(draft, pointer, problems) {
  if (draft.trim() === "") return undefined;
  try {
    return JSON.parse(draft);
  } catch {
    problems.push({ pointer, message: "This is not valid JSON." });
    return undefined;
  }
}

const MISSING = /^"(.*)" is a required property$/s;

/** Returns the messages of problems by the pointer of the field that they belong to. */
export function byPointer(problems) {
  const found = new Map();
  for (const { pointer, message } of problems) {
    const missing = MISSING.exec(message);
    const [place, said] = missing ? [below(pointer, missing[1]), "This is required."] : [pointer, message];
    found.set(place, [...(found.get(place) ?? []), said]);
  }
  return found;
}
