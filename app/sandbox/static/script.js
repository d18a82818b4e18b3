// The page: a rail of conversations, the one that is open, and perhaps one of its threads.

import { drawBlocks, valuesIn } from "./blocks.js";
import { composer } from "./composer.js";
import { byId, el, icon } from "./dom.js";
import { avatar, drawStream, drawThread } from "./messages.js";
import { ask, drawModals } from "./modals.js";
import { act, follow, interact } from "./server.js";
import { apply, state } from "./state.js";

const OPEN_FOR_MS = 60_000;
let drawnHome = "";

const main = composer(byId("composer"), {
  commands: true,
  label: () => (isDirect() ? `Message ${state.app.name}` : `Message #${here().name}`),
  onSend: (text) => (text.startsWith("/") ? command(text) : say(text)),
});
const inThread = composer(byId("thread-composer"), {
  commands: false,
  label: () => "Reply…",
  onSend: async (text) => (await act("say", { channel: state.channel, text, thread_ts: state.thread })).ok,
});

async function say(text) {
  const channel = state.channel;
  const { ok, result } = await act("say", { channel, text });
  const asks = state.channels.get(channel).is_im || text.toLowerCase().includes(`@${state.app.name.toLowerCase()}`);
  if (ok && asks) {
    state.asked.set(result, channel);
    setTimeout(() => state.asked.delete(result), OPEN_FOR_MS);
    for (const other of [...state.statuses.values(), ...state.messages.get(channel).values()]) followAnswer(channel, other.thread_ts);
  }
  return ok;
}

async function command(text) {
  const [, name, rest] = /^(\S+)\s*([\s\S]*)$/.exec(text);
  const { error } = await act("command", { channel: state.channel, command: name, text: rest });
  return error !== "unreachable";
}

/** Open the thread in which the person's own fresh question is being answered. */
function followAnswer(channel, thread) {
  if (state.asked.get(thread) !== channel || state.channel !== channel) return;
  state.asked.delete(thread);
  openThread(thread);
}

function here() {
  return state.channels.get(state.channel);
}

function isDirect() {
  return state.channel === state.dm;
}

function openChannel(id, tab = "messages") {
  if (id !== state.channel) state.thread = null;
  state.channel = id;
  state.tab = tab;
  state.unread.delete(id);
  showRail(false);
  if (id === state.dm) act("open_home", { tab });
  draw();
  byId("stream").scrollTop = byId("stream").scrollHeight;
  if (tab === "messages" && matchMedia("(hover: hover)").matches) main.focus();
}

function openThread(ts, focus = false) {
  state.thread = ts;
  draw();
  byId("thread-stream").scrollTop = byId("thread-stream").scrollHeight;
  if (focus) inThread.focus();
}

function closeThread() {
  state.thread = null;
  draw();
  main.focus();
}

function draw() {
  drawRail();
  drawHeading();
  const home = isDirect() && state.tab === "home";
  byId("stream").hidden = byId("composer").hidden = home;
  byId("home").hidden = !home;
  if (home) drawHome();
  else drawStream(byId("stream"), state.channel, { openThread, suggest: main.fill });
  byId("frame").classList.toggle("with-thread", Boolean(state.thread));
  byId("thread").hidden = !state.thread;
  if (state.thread) drawThread(byId("thread-stream"), state.channel, state.thread);
  main.relabel();
  inThread.relabel();
  drawModals();
}

function drawRail() {
  const all = [...state.channels.values()];
  const entry = (channel, sign, name, mark) => {
    const kind = [channel.id === state.channel && "current", state.unread.has(channel.id) && "unread"].filter(Boolean);
    const current = channel.id === state.channel ? "page" : undefined;
    const properties = { "aria-current": current, onclick: () => openChannel(channel.id) };
    return el("li", {}, el(["button.entry", ...kind].join("."), properties, sign, el("span", {}, name), mark));
  };
  byId("channels").replaceChildren(...all.filter((one) => !one.is_im).map((one) => entry(one, icon("hash"), one.name)));
  const dot = el(state.connections ? "i.dot.on" : "i.dot", { title: state.connections ? "connected" : "not connected" });
  byId("directs").replaceChildren(
    ...all.filter((one) => one.is_im).map((one) => entry(one, avatar(state.bot), state.app.name, dot)),
  );
  byId("presence").textContent = state.connections ? `${state.app.name} is here` : `${state.app.name} is away`;
}

function drawHeading() {
  const { name, members } = here();
  byId("title").replaceChildren(isDirect() ? avatar(state.bot) : icon("hash"), isDirect() ? state.app.name : name);
  byId("members").textContent = isDirect() ? "" : `${members.length} members`;
  byId("thread-channel").textContent = isDirect() ? state.app.name : `#${name}`;
  const tab = (id, label) =>
    el("button.tab", { role: "tab", "aria-selected": String(state.tab === id), onclick: () => openChannel(state.dm, id) }, label);
  byId("tabs").hidden = !isDirect() || !state.app.home_tab;
  byId("tabs").replaceChildren(tab("home", "Home"), tab("messages", "Messages"));
  document.title = `${isDirect() ? state.app.name : `#${name}`} – Sandbox`;
}

function drawHome() {
  const view = state.home;
  if (view && drawnHome === view.hash) return;
  drawnHome = view?.hash ?? "";
  const place = byId("home");
  const surface = {
    confirm: ask,
    click: (action_id, chosen) =>
      interact(state.app.name, "click_in_view", { view: view.id, action_id, chosen, values: valuesIn(place) }),
  };
  const nothing = el("div.welcome", {}, el("span.hero", {}, icon("spark")), el("p", {}, `${state.app.name} has put nothing here.`));
  place.replaceChildren(...(view ? drawBlocks(view.blocks, surface) : [nothing]));
}

function showRail(open) {
  byId("frame").classList.toggle("with-rail", open);
  byId("veil").hidden = !open;
  byId("open-rail").setAttribute("aria-expanded", String(open));
}

function notify(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

function onChange(change) {
  apply(change);
  if (change.kind === "state") openFromAddress();
  if (change.kind === "message") {
    const { channel, user, ephemeral_to: whisper, thread_ts: thread } = change.message;
    if (channel !== state.channel && (user !== state.me || whisper)) state.unread.add(channel);
    if (user === state.bot) followAnswer(channel, thread);
  }
  if (change.kind === "status" && change.status.text) followAnswer(change.status.channel, change.status.thread_ts);
  if (change.kind === "deleted" && change.message.ts === state.thread) state.thread = null;
  draw();
}

/** A permalink names the channel and the message: #C0GENERAL/1700000000.000100. */
function openFromAddress() {
  const [, channel, ts] = /^#(\w+)(?:\/([\d.]+))?$/.exec(location.hash) ?? [];
  if (!state.channels.has(channel)) return;
  state.channel = channel;
  const message = state.messages.get(channel).get(ts);
  if (message) state.thread = message.thread_ts ?? message.ts;
}

function onKey(event) {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && state.thread) closeThread();
  if (event.altKey && ["ArrowUp", "ArrowDown"].includes(event.key)) {
    const ids = [...state.channels.keys()];
    const step = event.key === "ArrowDown" ? 1 : -1;
    openChannel(ids[(ids.indexOf(state.channel) + step + ids.length) % ids.length]);
    event.preventDefault();
  }
}

byId("thread-close").addEventListener("click", closeThread);
byId("thread-back").addEventListener("click", closeThread);
byId("open-rail").addEventListener("click", () => showRail(true));
byId("veil").addEventListener("click", () => showRail(false));
addEventListener("redraw", draw);
addEventListener("keydown", onKey);
addEventListener("hashchange", () => (openFromAddress(), draw()));
setInterval(() => state.statuses.size && draw(), 5000);
follow({
  onChange,
  onLost: () => notify("Reconnecting to the sandbox…"),
  onFound: () => notify(""),
});
