// What may be done with an execution. Each action says what it will do and asks first.
import { path, post } from "../api.js";
import { html } from "../html.js";
import { attempt, confirm } from "../parts/dialog.js";
import { may } from "../session.js";

const OPEN = ["pending", "running", "waiting"];

const ACTIONS = [
  {
    name: "suspend",
    title: "Suspend",
    allowed: OPEN,
    question: "Suspend this execution?",
    body: "It begins no further task until it is resumed. Work that executors have begun goes on, and its results are kept.",
  },
  {
    name: "resume",
    title: "Resume",
    allowed: ["suspended"],
    question: "Resume this execution?",
    body: "It continues where it was suspended.",
  },
  {
    name: "retry",
    title: "Retry",
    allowed: ["faulted"],
    question: "Retry this execution?",
    body: "It begins again at the task that faulted, in the same history. Completed tasks are not repeated.",
  },
  {
    name: "cancel",
    title: "Cancel",
    allowed: [...OPEN, "suspended"],
    question: "Cancel this execution?",
    body: "It ends now and cannot continue. Running tasks are told to stop; effects that they had are not undone.",
    danger: true,
  },
];

export function Actions({ execution, reload }) {
  const run = async ({ name, title, question, body, danger }) => {
    const agreed = await confirm({ title: question, body, action: title, danger, asksReason: true });
    if (!agreed) return;
    await attempt(() => post(`/executions${path(execution.id)}/${name}`, undefined, { wait: 5, ...agreed }), `${title}: done`);
    reload();
  };
  if (!may("operate")) return null;
  return ACTIONS.filter((each) => each.allowed.includes(execution.status)).map(
    (each) => html`<button key=${each.name} type="button" class=${`button ${each.danger ? "danger" : ""}`}
      onClick=${() => run(each)}>${each.title}</button>`,
  );
}
