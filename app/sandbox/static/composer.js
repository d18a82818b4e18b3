// The place to type: it grows, completes @names and /commands, and sends on Enter.

import { el, icon } from "./dom.js";
import { state } from "./state.js";

/** A composer in `place`; `onSend(text)` gives whether it went, `label()` what the empty field says. */
export function composer(place, { onSend, label, commands }) {
  const area = el("textarea", { rows: 1, role: "combobox", "aria-autocomplete": "list", maxLength: 12000 });
  const send = el("button.send", { "aria-label": "Send", title: "Send" }, icon("send"));
  const list = el("ul.completions", { role: "listbox", id: `${place.id}-completions`, hidden: true, "aria-label": "Suggestions" });
  area.setAttribute("aria-controls", list.id);
  place.replaceChildren(list, el("div.composer", {}, area, send));

  const completions = complete(area, list, commands, () => refresh());
  const refresh = () => {
    grow(area);
    send.disabled = !area.value.trim();
    completions.offer();
  };
  const submit = async () => {
    const text = area.value;
    if (!text.trim()) return;
    area.value = "";
    refresh();
    area.focus();
    if (!(await onSend(text.trim())) && !area.value) area.value = text;
    refresh();
  };
  area.addEventListener("input", refresh);
  area.addEventListener("blur", completions.hide);
  area.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (!list.hidden && completions.keys[event.key]) completions.keys[event.key]();
    else if (event.key === "Enter" && !event.shiftKey) submit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  send.addEventListener("click", submit);
  refresh();
  return {
    focus: () => area.focus(),
    relabel: () => {
      area.placeholder = label();
      area.setAttribute("aria-label", label());
    },
    fill: (text) => {
      area.value = text;
      area.focus();
      area.setSelectionRange(text.length, text.length);
      refresh();
      completions.hide();
    },
  };
}

/** Make a field as high as its text. */
export function grow(area) {
  area.style.height = "auto";
  if (area.scrollHeight) area.style.height = `${Math.min(area.scrollHeight, 220)}px`;
}

/** The list of what could be meant by the word before the caret, and its keys. */
function complete(area, list, commands, changed) {
  const mark = (index) => {
    [...list.children].forEach((one, at) => one.setAttribute("aria-selected", String(at === index)));
    area.setAttribute("aria-activedescendant", list.children[index]?.id ?? "");
  };
  const chosen = () => [...list.children].findIndex((one) => one.getAttribute("aria-selected") === "true");
  const move = (step) => mark((chosen() + step + list.children.length) % list.children.length);
  const hide = () => {
    list.hidden = true;
    area.setAttribute("aria-expanded", "false");
  };
  const take = () => {
    const word = list.children[chosen()].dataset.text;
    const before = area.value.slice(0, area.selectionStart).replace(/(@\w*|\/\S*)$/, `${word} `);
    area.value = before + area.value.slice(area.selectionStart).trimStart();
    area.setSelectionRange(before.length, before.length);
    changed();
  };
  const option = ([text, hint], index) => {
    const pressed = (event) => {
      event.preventDefault();
      mark(index);
      take();
    };
    const properties = { role: "option", id: `${list.id}-${index}`, "data-text": text, onpointerdown: pressed };
    return el("li", properties, el("b", {}, text), el("small", {}, hint));
  };
  const offer = () => {
    const before = area.value.slice(0, area.selectionStart);
    const found = before.startsWith("/") ? commandsLike(before, commands) : namesLike(before);
    list.replaceChildren(...found.map(option));
    list.hidden = found.length === 0;
    area.setAttribute("aria-expanded", String(!list.hidden));
    mark(0);
  };
  return { offer, hide, keys: { ArrowDown: () => move(1), ArrowUp: () => move(-1), Escape: hide, Enter: take, Tab: take } };
}

function commandsLike(typed, allowed) {
  if (!allowed || /\s/.test(typed)) return [];
  return [...state.app.commands, ["/invite", "[@somebody]"]].filter(([name]) => name.startsWith(typed));
}

function namesLike(before) {
  const typed = /(?:^|\s)@(\w*)$/.exec(before)?.[1].toLowerCase();
  if (typed === undefined) return [];
  return [...state.users.values()]
    .filter((one) => ![state.me, "USLACKBOT"].includes(one.id) && one.name.toLowerCase().startsWith(typed))
    .sort((one, other) => (other.id === state.bot) - (one.id === state.bot))
    .map((one) => [`@${one.name}`, one.bot_id ? "app" : "person"]);
}
