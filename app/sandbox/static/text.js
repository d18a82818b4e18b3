// Slack's text into elements: mrkdwn, mentions, links, emoji, dates.

import { el } from "./dom.js";
import { state, userName } from "./state.js";

const EMOJI = {
  "+1": "👍", "-1": "👎", bell: "🔔", bird: "🐦", boom: "💥", calendar: "📅", clap: "👏", eyes: "👀", fire: "🔥",
  heart: "❤️", hourglass: "⌛", hourglass_flowing_sand: "⏳", mega: "📣", memo: "📝", no_entry: "⛔", pencil: "✏️",
  pencil2: "✏️", robot_face: "🤖", rocket: "🚀", sparkles: "✨", speech_balloon: "💬", star: "⭐", star2: "🌟", tada: "🎉",
  thinking_face: "🤔", thumbsdown: "👎", thumbsup: "👍", warning: "⚠️", wave: "👋", white_check_mark: "✅", x: "❌", zap: "⚡",
};

const TOKENS = new RegExp(
  [
    "```([\\s\\S]+?)```", // 1 preformatted
    "`([^`\\n]+)`", // 2 code
    "<([^<>\\n]+)>", // 3 mention, channel or link
    "(?<![\\w*])\\*(\\S|\\S[^*\\n]*?\\S)\\*(?![\\w*])", // 4 bold
    "(?<![\\w_])_(\\S|\\S[^_\\n]*?\\S)_(?![\\w_])", // 5 italic
    "(?<![\\w~])~(\\S|\\S[^~\\n]*?\\S)~(?![\\w~])", // 6 struck
    ":([a-z0-9_+-]+):", // 7 emoji
    "(https?:\\/\\/[^\\s<>|]+)", // 8 bare link
  ].join("|"),
  "gu",
);

/** mrkdwn as nodes; lines that begin with > become quotes. */
export function mrkdwn(text) {
  return text.split(/((?:^(?:&gt;|>).*\n?)+)/m).flatMap((part, index) => {
    if (index % 2 === 0) return inline(part);
    return el("blockquote", {}, inline(part.replace(/^(?:&gt;|>) ?/gm, "").trimEnd()));
  });
}

/** Slack's three entities, undone. */
export function unescape(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

/** What a person would have typed to get this text. */
export function typed(text) {
  return unescape(text.replace(/<@(\w+)(?:\|[^>]*)?>/g, (_, id) => `@${userName(id)}`));
}

/** The text alone, on one line. */
export function gist(message) {
  const plain = message.text || message.blocks.map((block) => block.text?.text ?? block.text ?? "").join(" ");
  return typed(String(plain)).replace(/[*_~`]/g, "").replace(/\s+/g, " ").trim();
}

export function emoji(name) {
  return EMOJI[name.replace(/::skin-tone-\d/, "")] ?? `:${name}:`;
}

export function mention(id) {
  return el(id === state.me ? "span.mention.mine" : "span.mention", {}, `@${userName(id)}`);
}

export function link(url, label) {
  if (!/^(https?|mailto):/.test(url)) return label || url;
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label || url);
}

/** <!date^…>: a time in Slack's pattern, in this computer's zone. */
export function date(seconds, pattern) {
  const when = new Date(seconds * 1000);
  const day = (style) => when.toLocaleDateString([], style);
  const forms = {
    time: () => when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }),
    time_secs: () => when.toLocaleTimeString(),
    date_num: () => when.toISOString().slice(0, 10),
    date: () => day({ dateStyle: "long" }),
    date_pretty: () => day({ dateStyle: "long" }),
    date_long: () => day({ dateStyle: "full" }),
    date_long_pretty: () => day({ dateStyle: "full" }),
    date_short: () => day({ dateStyle: "medium" }),
    date_short_pretty: () => day({ dateStyle: "medium" }),
  };
  return pattern.replace(/\{(\w+)\}/g, (whole, name) => forms[name]?.() ?? whole);
}

function inline(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(TOKENS)) {
    parts.push(unescape(text.slice(end, match.index)), token(match));
    end = match.index + match[0].length;
  }
  return [...parts, unescape(text.slice(end))].filter(Boolean);
}

function token([whole, pre, code, angled, bold, italic, struck, name, url]) {
  if (pre) return el("pre", {}, unescape(pre.replace(/^\n|\n$/g, "")));
  if (code) return el("code", {}, unescape(code));
  if (angled) return reference(angled);
  if (bold) return el("b", {}, inline(bold));
  if (italic) return el("i", {}, inline(italic));
  if (struck) return el("s", {}, inline(struck));
  if (name) return EMOJI[name] ?? whole;
  return link(unescape(url));
}

function reference(inside) {
  const [target, label] = inside.split("|", 2);
  if (target.startsWith("@")) return mention(target.slice(1));
  if (target.startsWith("#")) return el("span.mention", {}, `#${label || target.slice(1)}`);
  if (target.startsWith("!date^")) {
    const [, seconds, pattern] = target.split("^");
    return el("time", { title: unescape(label ?? "") }, date(Number(seconds), pattern ?? "{date}"));
  }
  if (target.startsWith("!")) return el("span.mention.mine", {}, `@${label || target.slice(1).split("^")[0]}`);
  return link(unescape(target), label && unescape(label));
}
