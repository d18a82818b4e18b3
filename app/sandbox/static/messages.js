// The streams of messages: a channel's, and a thread's.

import { drawBlocks } from "./blocks.js";
import { grow } from "./composer.js";
import { el, icon, popUp, toast } from "./dom.js";
import { ask } from "./modals.js";
import { act, interact } from "./server.js";
import { replies, roots, state, status, userName } from "./state.js";
import { emoji, gist, mrkdwn, typed } from "./text.js";

const NEWEST = 300;
const TOGETHER_S = 300;
const editing = new Set();

/** Show a channel outside of its threads; `openThread(ts)` is called for a reply. */
export function drawStream(stream, channel, { openThread, suggest }) {
  const shown = roots(channel).slice(-NEWEST);
  fill(stream, shown.length ? lines(shown, { openThread, inThread: false }) : [welcome(channel, suggest)]);
}

/** Show one thread: the parent, its replies, the status. */
export function drawThread(stream, channel, ts) {
  const parent = state.messages.get(channel)?.get(ts);
  const answers = replies(channel, ts);
  const count = answers.length ? `${answers.length} ${answers.length === 1 ? "reply" : "replies"}` : "";
  fill(stream, [
    parent ? keyed(parent, { inThread: true }) : el("p.gone", {}, "The first message of this thread was deleted."),
    count && el("div.divider", { "data-key": `count ${count}` }, el("span", {}, count)),
    ...answers.map((one, index) => keyed(one, { inThread: true, follows: together(answers[index - 1], one) })),
    statusLine(channel, ts),
  ]);
}

/** Put these children in place of the old ones, keeping those that are as they were. */
function fill(stream, children) {
  const atEnd = stream.scrollHeight - stream.scrollTop - stream.clientHeight < 120;
  const old = new Map([...stream.children].map((child) => [child.dataset.key, child]));
  const fresh = children.filter(Boolean).map((child) => (child.dataset.key && old.get(child.dataset.key)) || child);
  const before = stream.lastElementChild?.dataset.key;
  const same = fresh.length === stream.children.length && fresh.every((child, index) => stream.children[index] === child);
  if (!same) stream.replaceChildren(...fresh);
  if (atEnd || before === undefined) stream.scrollTop = stream.scrollHeight;
}

function lines(shown, options) {
  return shown.flatMap((message, index) => {
    const before = shown[index - 1];
    const day = dayOf(message.ts);
    const divider = (!before || dayOf(before.ts) !== day) && el("div.divider", { "data-key": `day ${day}` }, el("span", {}, day));
    const follows = together(before, message) && !divider && !replies(before.channel, before.ts).length;
    return [divider, keyed(message, { ...options, follows })];
  });
}

/** A message with a key that says all that its drawing depends on. */
function keyed(message, options) {
  const { channel, ts } = message;
  const answers = options.inThread ? [] : replies(channel, ts);
  const waiting = !options.inThread && status(channel, ts);
  const isOpen = !options.inThread && state.thread === ts;
  const key = JSON.stringify([
    message, options.follows, editing.has(ts), answers.map((one) => [one.ts, one.text]), waiting && waiting.text, isOpen, options.inThread,
  ]);
  const element = drawMessage(message, { ...options, answers, waiting, isOpen });
  element.dataset.key = key;
  element.dataset.ts = ts;
  return element;
}

function drawMessage(message, options) {
  const author = state.users.get(message.user);
  const kind = [message.ephemeral_to && "ephemeral", options.follows && "follows", options.isOpen && "open"].filter(Boolean);
  const name = el("div.byline", {}, el("b", {}, userName(message.user)), author?.bot_id && el("span.badge", {}, "APP"), clock(message.ts));
  return el(
    ["article.message", ...kind].join("."),
    {},
    options.follows ? clock(message.ts, true) : avatar(message.user),
    el(
      "div.body",
      {},
      message.ephemeral_to && el("div.only-you", {}, icon("eye"), "Only visible to you"),
      !options.follows && name,
      editing.has(message.ts) ? editor(message) : content(message),
      message.reactions.length > 0 && el("div.reactions", {}, [...new Set(message.reactions.map(([one]) => one))].map(reaction(message))),
      options.answers?.length > 0 && summary(message, options),
      options.waiting && !options.isOpen && statusLine(message.channel, message.ts),
    ),
    toolbar(message, options),
  );
}

function content(message) {
  const surface = {
    confirm: ask,
    click: (action_id, chosen) =>
      interact(userName(message.user), "click", { channel: message.channel, ts: message.ts, action_id, chosen }),
  };
  const isTyped = !message.bot_id || !message.blocks.length;
  const body = isTyped ? el("div.text", {}, mrkdwn(message.text)) : drawBlocks(message.blocks, surface);
  if (message.edited_ts && isTyped) body.append(el("small.edited", {}, " (edited)"));
  return el("div.content", {}, body);
}

function reaction(message) {
  return (name) => el("span.reaction", { title: name }, emoji(name), " ", message.reactions.filter(([one]) => one === name).length);
}

function summary(message, { answers, openThread }) {
  const last = answers[answers.length - 1];
  const faces = [...new Set(answers.map((one) => one.user))].slice(0, 3).map((user) => avatar(user));
  return el(
    "button.summary",
    { onclick: () => openThread(message.ts) },
    el("span.faces", {}, faces),
    el("b", {}, `${answers.length} ${answers.length === 1 ? "reply" : "replies"}`),
    el("span.last", {}, gist(last)),
  );
}

function statusLine(channel, ts) {
  const found = status(channel, ts);
  if (!found) return null;
  const dots = el("span.pulse", { "aria-hidden": "true" }, el("i"), el("i"), el("i"));
  const words = `${state.app.name} ${found.text.replace(/[.…]+$/, "")}`;
  return el("p.status", { "data-key": `status ${found.at} ${found.text}`, role: "status" }, dots, words);
}

function toolbar(message, { inThread, openThread }) {
  const more = el("button.icon", { "aria-label": "More actions", "aria-haspopup": "menu", title: "More actions" }, icon("more"));
  const items = menuOf(message);
  more.addEventListener("click", () => popUp(more, items));
  const reply = el("button.icon", { "aria-label": "Reply in thread", title: "Reply in thread", onclick: () => openThread(message.ts, true) }, icon("reply"));
  return el("div.toolbar", {}, !inThread && !message.ephemeral_to && reply, items.length > 0 && more);
}

function menuOf(message) {
  const at = { channel: message.channel, ts: message.ts };
  if (message.ephemeral_to) return [];
  const shortcuts = state.app.shortcuts.map(([callback_id, name]) => [
    name,
    () => interact(state.app.name, "shortcut", { ...at, callback_id }),
  ]);
  const copy = ["Copy link", () => navigator.clipboard.writeText(`${location.origin}/#${message.channel}/${message.ts}`).then(() => toast("Link copied."))];
  const mine = message.user === state.me;
  const redraw = () => dispatchEvent(new Event("redraw"));
  const edit = ["Edit message", () => (editing.add(message.ts), redraw())];
  const remove = ["Delete message", () => act("delete", at), "danger"];
  return [...shortcuts, copy, ...(mine ? [edit, remove] : [])];
}

function editor(message) {
  const done = () => (editing.delete(message.ts), dispatchEvent(new Event("redraw")));
  const area = el("textarea", { value: typed(message.text), "aria-label": "Edit message", rows: 1 });
  const save = async () => {
    const { ok } = await act("edit", { channel: message.channel, ts: message.ts, text: area.value });
    if (ok) done();
  };
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") done();
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) save();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  area.addEventListener("input", () => grow(area));
  requestAnimationFrame(() => (grow(area), area.focus()));
  const buttons = el("div.block-actions", {}, el("button.button.plain", { onclick: done }, "Cancel"), el("button.button.primary", { onclick: save }, "Save"));
  return el("div.editor", {}, area, buttons);
}

/** A circle of initials; its colour comes from the name. */
export function avatar(id) {
  const name = userName(id);
  const hue = [...name].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % 5;
  const kind = id === state.bot ? "bot" : `hue${hue}`;
  return el(`span.avatar.${kind}`, { "aria-hidden": "true" }, name.slice(0, 1).toUpperCase());
}

function welcome(channel, suggest) {
  const { name, is_im: direct, members } = state.channels.get(channel);
  const bot = state.app.name;
  const at = direct ? "" : `@${bot} `;
  const [[command] = []] = state.app.commands;
  const invited = members.includes(state.bot);
  const tries = invited
    ? [`${at}the best thing about mondays is`, `${at}`.trim() || "never trust a", command && `${command} i have decided that`, command && `${command} help`]
    : [`/invite @${bot}`];
  const says = direct ? `This is you and ${bot}.` : `Welcome to #${name}.`;
  const does = invited
    ? `Begin a sentence, and ${bot} goes on from there. Pick one of these, or try your own:`
    : `${bot} is not in this channel. Let it in:`;
  return el(
    "div.welcome",
    { "data-key": `welcome ${channel} ${invited} ${bot}` },
    el("span.hero", { "aria-hidden": "true" }, icon("spark")),
    el("h2", {}, says),
    el("p", {}, does),
    el("div.tries", {}, tries.filter(Boolean).map((one) => el("button.try", { onclick: () => suggest(one) }, one))),
  );
}

function together(before, message) {
  if (!before || before.user !== message.user || before.ephemeral_to || message.ephemeral_to) return false;
  return Number(message.ts) - Number(before.ts) < TOGETHER_S && !before.reactions.length;
}

function clock(ts, brief = false) {
  const when = new Date(Number(ts) * 1000);
  const whole = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const shown = brief ? whole.replace(/\s*[ap]\.?m\.?$/i, "") : whole;
  return el("time.clock", { dateTime: when.toISOString(), title: when.toLocaleString() }, shown);
}

function dayOf(ts) {
  const when = new Date(Number(ts) * 1000);
  const today = new Date().toDateString() === when.toDateString();
  return today ? "Today" : when.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}
