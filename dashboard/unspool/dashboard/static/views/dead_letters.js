// Messages and tasks that failed too often: look, put back, or discard.
import { get, path, post, remove } from "../api.js";
import { count, number } from "../format.js";
import { html } from "../html.js";
import { useLoad } from "../load.js";
import { attempt, confirm } from "../parts/dialog.js";
import { JsonCard } from "../parts/json.js";
import { Empty, Failure, Loading } from "../parts/notices.js";
import { TextFilter } from "../parts/text_filter.js";
import { Age } from "../parts/time.js";
import { ask, asked, query } from "../router.js";
import { may } from "../session.js";

const PAGE = 50;

export function DeadLetters() {
  const cursor = query.value.get("cursor") ?? "";
  const execution = query.value.get("execution") ?? "";
  const { data, error, loading, reload } = useLoad(
    (signal) => get("/dlq", { limit: PAGE, cursor, execution }, signal),
    [cursor, execution],
    { every: 5000 },
  );
  return html`<div class="head"><h1>Dead letters</h1></div>
    <p class="muted summary">Messages and tasks that failed several times because of a bug or an outage, the oldest first.</p>
    <div class="filters" role="search" aria-label="Filter the dead letters">
      <${TextFilter} label="Execution" placeholder="Id of an execution" value=${execution}
        onValue=${(typed) => ask({ execution: typed, cursor: "" })} />
    </div>
    <${Failure} error=${error} />
    <section class="card" aria-label="Dead letters">
      ${loading && !data && html`<${Loading} />`}
      ${data && (data.items.length ? html`<${List} items=${data.items} reload=${reload} />` : html`<${Empty} title="No dead letters">A message or task that fails repeatedly appears here.<//>`)}
    </section>
    ${data && html`<nav class="pages" aria-label="Pages">
      <span class="muted">${count(data.items.length, "dead letter")}${data.next || cursor ? " on this page" : ""}</span>
      ${cursor && html`<a class="button small" href=${asked({ cursor: "" })}>Oldest</a>`}
      ${data.next && html`<a class="button small" href=${asked({ cursor: data.next })}>Newer</a>`}
    </nav>`}`;
}

function List({ items, reload }) {
  const open = query.value.get("open");
  return html`<table class="table cards">
    <thead><tr><th>Error</th><th>Kind</th><th>Execution</th><th>Attempts</th><th>Since</th></tr></thead>
    <tbody>
      ${items.map((each) => html`<${Row} key=${each.id} letter=${each} open=${each.id === open} reload=${reload} />`)}
    </tbody>
  </table>`;
}

function Row({ letter, open, reload }) {
  const { id, error, kind, execution, attempts, buriedAt } = letter;
  return html`<tr class="row">
      <td class="cut wide"><button type="button" class="fold-row" aria-expanded=${open} onClick=${() => ask({ open: open ? "" : id })}>
        <span class="mark" aria-hidden="true"></span><span class="cut">${error}</span></button></td>
      <td data-label="Kind">${kind}</td>
      <td class="cut"><a class="code" href=${`/executions${path(execution)}`}>${execution}</a></td>
      <td class="number" data-label="Attempts">${number(attempts)}</td>
      <td data-label="Since"><${Age} at=${buriedAt} /></td>
    </tr>
    ${open && html`<tr class="details"><td colspan="5"><${Details} id=${id} reload=${reload} /></td></tr>`}`;
}

const ACTIONS = {
  requeue: {
    title: "Requeue this dead letter?",
    body: "The original goes back into its queue unchanged and is processed again. If the cause is still there, it comes back.",
    action: "Requeue",
    run: (id) => post(`/dlq${path(id)}/requeue`),
  },
  discard: {
    title: "Discard this dead letter?",
    body: "It is deleted and cannot be brought back. Its execution keeps waiting for what it would have done.",
    action: "Discard",
    danger: true,
    run: (id) => remove(`/dlq${path(id)}`),
  },
};

function Details({ id, reload }) {
  const { data, error } = useLoad((signal) => get(`/dlq${path(id)}`, {}, signal), [id]);
  const act = async (name) => {
    const { run, ...question } = ACTIONS[name];
    if (!(await confirm(question))) return;
    await attempt(() => run(id), `${question.action}: done`);
    ask({ open: "" });
    reload();
  };
  return html`<${Failure} error=${error} />
    ${data && html`<div class="stack">
      ${may("operate") && html`<div class="choices">
        <button type="button" class="button" onClick=${() => act("requeue")}>Requeue</button>
        <button type="button" class="button danger" onClick=${() => act("discard")}>Discard</button>
      </div>`}
      <${JsonCard} title="Original" value=${data.body} />
      <section class="card"><div class="title"><h3>Traceback</h3></div><pre class="body scroll traceback" tabindex="0">${data.traceback}</pre></section>
    </div>`}`;
}
