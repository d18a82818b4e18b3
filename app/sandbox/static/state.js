// What the page knows, and how it changes: the feed's words applied to one object.

export const state = {
  me: "",
  bot: "",
  dm: "",
  app: { name: "millzbot", commands: [], shortcuts: [], home_tab: false },
  users: new Map(),
  channels: new Map(),
  messages: new Map(), // channel -> Map of ts -> message, oldest first
  statuses: new Map(), // "channel/thread_ts" -> status
  unread: new Set(),
  modals: [],
  home: null,
  connections: 0,
  channel: "", // the one that is shown
  tab: "messages", // or "home", in the conversation with the app
  thread: null, // the ts whose thread is shown
  asked: new Map(), // the person's own fresh mentions: ts -> channel
};

const STATUS_MS = 120_000;

/** Apply one change of the feed; the kind says what it is. */
export function apply(change) {
  if (change.kind === "state") return applyWhole(change);
  if (change.kind === "message") return put(change.message);
  if (change.kind === "deleted") return state.messages.get(change.message.channel)?.delete(change.message.ts);
  if (change.kind === "status") return putStatus(change.status);
  if (change.kind === "member") return state.channels.set(change.channel.id, change.channel);
  if (change.kind === "modals") return (state.modals = change.modals);
  if (change.kind === "home") return (state.home = change.home);
  if (change.kind === "socket") return (state.connections = change.connections);
}

export function userName(id) {
  return state.users.get(id)?.name ?? id;
}

/** Messages of a channel that stand outside of threads. */
export function roots(channel) {
  return [...(state.messages.get(channel)?.values() ?? [])].filter((one) => !one.thread_ts || one.thread_ts === one.ts);
}

/** Replies of a thread, without its parent. */
export function replies(channel, ts) {
  return [...(state.messages.get(channel)?.values() ?? [])].filter((one) => one.thread_ts === ts && one.ts !== ts);
}

/** The status of a thread while it lasts. */
export function status(channel, ts) {
  const found = state.statuses.get(`${channel}/${ts}`);
  return found && Date.now() - found.heard < STATUS_MS ? found : null;
}

function applyWhole(change) {
  const { users, channels, messages, statuses, kind, ...rest } = change;
  Object.assign(state, rest);
  state.users = new Map(users.map((one) => [one.id, one]));
  state.channels = new Map(channels.map((one) => [one.id, one]));
  state.messages = new Map(channels.map((one) => [one.id, new Map()]));
  messages.forEach(put);
  state.statuses.clear();
  statuses.forEach(putStatus);
  if (!state.channels.has(state.channel)) state.channel = channels.find((one) => !one.is_im).id;
}

function put(message) {
  if (!state.messages.has(message.channel)) state.messages.set(message.channel, new Map());
  state.messages.get(message.channel).set(message.ts, message);
}

function putStatus(one) {
  const key = `${one.channel}/${one.thread_ts}`;
  if (one.text) state.statuses.set(key, { ...one, heard: Date.now() });
  else state.statuses.delete(key);
}
