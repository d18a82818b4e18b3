// Dialogs over the page: the app's modals, and the question before a dangerous button.

import { drawBlocks, valuesIn } from "./blocks.js";
import { el, icon } from "./dom.js";
import { act, interact } from "./server.js";
import { state } from "./state.js";
import { mrkdwn } from "./text.js";

let shown = null; // {id, hash, dialog} of the modal that is on the page

/** Show the topmost modal of the person, or none; one that the app has changed keeps what was typed. */
export function drawModals() {
  const top = state.modals[state.modals.length - 1];
  if (top && shown?.id === top.id && shown.hash === top.hash) return;
  const kept = top && shown?.id === top.id ? valuesIn(shown.dialog) : {};
  shown?.dialog.remove();
  shown = top ? { id: top.id, hash: top.hash, dialog: drawModal(top, kept, {}) } : null;
  shown?.dialog.showModal();
  shown?.dialog.querySelector("textarea, input, select")?.focus();
}

/** Ask before a button with a confirm dialog: whether to go on. */
export function ask(confirm) {
  return new Promise((resolve) => {
    const words = confirm.text.type === "mrkdwn" ? mrkdwn(confirm.text.text) : confirm.text.text;
    const dialog = el("dialog.modal.small", { "aria-labelledby": "confirm-title" });
    const answer = (yes) => () => {
      dialog.remove();
      resolve(yes);
    };
    dialog.append(
      el("header", {}, el("h2", { id: "confirm-title" }, confirm.title.text)),
      el("div.modal-body", {}, el("div.text", {}, words)),
      el(
        "footer",
        {},
        el("button.button.plain", { onclick: answer(false) }, confirm.deny.text),
        el(`button.button.${confirm.style ?? "primary"}`, { onclick: answer(true) }, confirm.confirm.text),
      ),
    );
    dialog.addEventListener("cancel", answer(false));
    document.body.append(dialog);
    dialog.showModal();
  });
}

function drawModal(view, kept, errors) {
  const dialog = el("dialog.modal", { "aria-labelledby": "modal-title" });
  const name = state.app.name;
  const close = () => act("close", { view: view.id, whole_stack: Boolean(view.clear_on_close) });
  const surface = {
    kept,
    errors,
    confirm: ask,
    click: (action_id, chosen) => interact(name, "click_in_view", { view: view.id, action_id, chosen, values: valuesIn(dialog) }),
  };
  const body = el("div.modal-body", {}, drawBlocks(view.blocks, surface));
  const send = el("button.button.primary", { type: "submit" }, view.submit?.text);
  const form = el(
    "form",
    { noValidate: true },
    el(
      "header",
      {},
      el("span.avatar.bot", { "aria-hidden": "true" }, name.slice(0, 1).toUpperCase()),
      el("h2", { id: "modal-title" }, view.title.text),
      el("button.icon", { type: "button", "aria-label": "Close", onclick: close }, icon("close")),
    ),
    body,
    el("footer", {}, el("button.button.plain", { type: "button", onclick: close }, view.close?.text ?? "Cancel"), view.submit && send),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    const values = valuesIn(dialog);
    const outcome = await interact(name, "submit", { view: view.id, values });
    send.disabled = false;
    if (shown?.dialog === dialog && !outcome.ok) body.replaceChildren(...drawBlocks(view.blocks, { ...surface, kept: values, errors: outcome.errors }));
    dialog.querySelector("[aria-invalid]")?.focus();
  });
  dialog.append(form);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  document.body.append(dialog);
  return dialog;
}
