// The fields of a form, for the nodes of a schema.
import { html } from "../html.js";
import { below, draftOf } from "../schema_model.js";

/**
 * A field, or a group of fields.
 *
 * @param {{node: object, name: string, required: boolean, pointer: string, draft: any, onDraft: (draft: any) => void,
 *          problems: Map<string, string[]>}} properties
 */
export function Field(properties) {
  const { node, pointer, problems } = properties;
  const Shown = { object: Group, list: List, variants: Variants }[node.kind] ?? Leaf;
  return html`<${Shown} ...${properties} messages=${problems.get(pointer) ?? []} />`;
}

const idOf = (pointer) => `field${pointer.replaceAll(/[^A-Za-z0-9_-]/g, (each) => `_${each.codePointAt(0)}_`)}`;

const titleOf = ({ node, name }) => node.title ?? name;

/** A message as a sentence: with a capital letter and a full stop. */
const sentence = (message) => `${message[0].toUpperCase()}${message.slice(1)}${message.endsWith(".") ? "" : "."}`;

function Messages({ id, messages }) {
  return messages.length > 0 && html`<span class="problem" id=${id} role="alert">${messages.map(sentence).join(" ")}</span>`;
}

function Legend(properties) {
  const { node, required } = properties;
  return html`<legend>${titleOf(properties)} ${required ? html`<span class="muted" title="required">*</span>` : ""}</legend>
    ${node.note && html`<span class="note">${node.note}</span>`}`;
}

export function Members({ node, pointer, draft, onDraft, problems }) {
  return node.fields.map(
    ({ name, node: each, required }) => html`<${Field} key=${name} node=${each} name=${name} required=${required} pointer=${below(pointer, name)}
      draft=${draft[name]} onDraft=${(value) => onDraft({ ...draft, [name]: value })} problems=${problems} />`,
  );
}

function Group(properties) {
  return html`<fieldset class="group">
    <${Legend} ...${properties} />
    <${Messages} messages=${properties.messages} />
    <${Members} ...${properties} />
  </fieldset>`;
}

function List(properties) {
  const { node, pointer, draft, onDraft, problems, messages } = properties;
  const title = titleOf(properties);
  const replace = (place, value) => onDraft(draft.with(place, value));
  return html`<fieldset class="group">
    <${Legend} ...${properties} />
    <${Messages} messages=${messages} />
    ${draft.map(
      (each, place) => html`<div class="item" key=${place}>
        <${Field} node=${node.item} name=${`${title} ${place + 1}`} required=${true} pointer=${below(pointer, place)} draft=${each}
          onDraft=${(value) => replace(place, value)} problems=${problems} />
        <button type="button" class="button small" aria-label=${`Remove ${title} ${place + 1}`} onClick=${() => onDraft(draft.toSpliced(place, 1))}>Remove</button>
      </div>`,
    )}
    <div><button type="button" class="button small" onClick=${() => onDraft([...draft, draftOf(node.item)])}>Add to ${title}</button></div>
  </fieldset>`;
}

function Variants(properties) {
  const { node, draft, onDraft } = properties;
  const { chosen, drafts } = draft;
  const choose = (event) => onDraft({ chosen: Number(event.target.value), drafts });
  return html`<fieldset class="group">
    <${Legend} ...${properties} />
    <label class="label"><span>Form</span>
      <select class="field" aria-label=${`Form of ${titleOf(properties)}`} value=${chosen} onChange=${choose}>
        ${node.nodes.map((each, place) => html`<option value=${place}>${each.title ?? `Alternative ${place + 1}`}</option>`)}
      </select>
    </label>
    <${Field} ...${properties} key=${chosen} node=${node.nodes[chosen]} name=${node.nodes[chosen].title ?? titleOf(properties)} draft=${drafts[chosen]}
      onDraft=${(value) => onDraft({ chosen, drafts: drafts.with(chosen, value) })} />
  </fieldset>`;
}

function Leaf(properties) {
  const { node, required, pointer, messages } = properties;
  const problem = `${idOf(pointer)}-problem`;
  return html`<label class="label">
    <span>${titleOf(properties)} ${required ? html`<span class="muted" title="required">*</span>` : ""}</span>
    ${node.note && html`<span class="note">${node.note}</span>`}
    <${Control} ...${properties} said=${messages.length ? { "aria-invalid": true, "aria-describedby": problem } : {}} />
    <${Messages} id=${problem} messages=${messages} />
  </label>`;
}

function Control({ node, required, draft, onDraft, said }) {
  const { kind, choices, minimum, maximum } = node;
  const type = (event) => onDraft(event.target.value);
  if (kind === "choice") {
    return html`<select class="field" value=${draft} required=${required} onChange=${type} ...${said}>
      <option value=""></option>
      ${choices.map((each) => html`<option value=${JSON.stringify(each)}>${typeof each === "string" ? each : JSON.stringify(each)}</option>`)}
    </select>`;
  }
  if (kind === "boolean") {
    return html`<select class="field" value=${draft === null ? "" : String(draft)} required=${required} ...${said}
      onChange=${(event) => onDraft({ true: true, false: false }[event.target.value] ?? null)}>
      <option value=""></option><option value="true">yes</option><option value="false">no</option>
    </select>`;
  }
  if (kind === "json") {
    return html`<textarea class="field small" placeholder="JSON" required=${required} spellcheck=${false} value=${draft} onInput=${type} ...${said}></textarea>`;
  }
  const isNumber = kind !== "string";
  return html`<input class="field" type=${isNumber ? "number" : "text"} step=${kind === "integer" ? 1 : "any"} min=${minimum} max=${maximum}
    required=${required && isNumber} value=${draft} onInput=${type} ...${said} />`;
}
