// Block Kit, drawn. What the page does not know becomes a grey box with its type on it.

import { el, icon, popUp } from "./dom.js";
import { state } from "./state.js";
import { date, emoji, link, mention, mrkdwn } from "./text.js";

/**
 * Blocks as elements. `surface` says what happens: surface.click(action_id, chosen) sends an action,
 * surface.confirm(confirm) asks first, surface.errors has texts by block_id, surface.kept first values.
 */
export function drawBlocks(blocks, surface) {
  return blocks.map((block) => {
    try {
      return (BLOCKS[block.type] ?? unknown)(block, surface);
    } catch {
      return unknown(block);
    }
  });
}

/** What stands in the inputs under `root`: by block_id and action_id. */
export function valuesIn(root) {
  const values = {};
  for (const field of root.querySelectorAll("[data-action]")) {
    const { block, action, kind } = field.dataset;
    (values[block] ??= {})[action] = READERS[kind](field);
  }
  return values;
}

const BLOCKS = {
  divider: () => el("hr"),
  header: (block) => el("h3.block-header", {}, block.text.text),
  section: (block, surface) =>
    el(
      "div.block-section",
      {},
      el("div.grow", {}, block.text && text(block.text), block.fields && el("div.fields", {}, block.fields.map(text))),
      block.accessory && drawElement(block.accessory, block, surface),
    ),
  context: (block) => el("div.block-context", {}, block.elements.map((one) => (one.type === "image" ? picture(one) : text(one)))),
  actions: (block, surface) => el("div.block-actions", {}, block.elements.map((one) => drawElement(one, block, surface))),
  input: drawInput,
  rich_text: (block) => el("div.rich", {}, block.elements.map(richPart)),
  markdown: (block) => el("div.text", {}, block.text),
  image: (block) => picture(block),
};

const ELEMENTS = {
  button: drawButton,
  overflow: drawOverflow,
  static_select: drawSelect,
  plain_text_input: drawTextInput,
  datetimepicker: drawDateTime,
  checkboxes: (element, block, surface) => drawChoices("checkbox", element, block, surface),
  radio_buttons: (element, block, surface) => drawChoices("radio", element, block, surface),
  image: picture,
};

const READERS = {
  text: (field) => field.value,
  select: (field) => field.value || undefined,
  time: (field) => (field.value ? Math.floor(new Date(field.value).getTime() / 1000) : undefined),
  checkbox: (field) => [...field.querySelectorAll(":checked")].map((one) => one.value),
  radio: (field) => field.querySelector(":checked")?.value,
};

function text(object) {
  return el("div.text", {}, object.type === "mrkdwn" ? mrkdwn(object.text) : object.text);
}

function unknown(thing) {
  return el("div.unknown", {}, `${thing?.type ?? "something"}: not drawn in the sandbox`);
}

function picture(thing) {
  return el("div.unknown", {}, `Image: ${thing.alt_text}`);
}

function drawElement(element, block, surface) {
  if (element.visible_to_user_ids && !element.visible_to_user_ids.includes(state.me)) return null;
  return (ELEMENTS[element.type] ?? unknown)(element, block, surface);
}

/** Send an action; where the element has a confirm dialog, after that. */
async function send(element, surface, chosen) {
  if (element.confirm && !(await surface.confirm(element.confirm))) return false;
  await surface.click(element.action_id, chosen);
  return true;
}

function drawButton(element, block, surface) {
  const button = el(`button.button.${element.style ?? "plain"}`, { "aria-label": element.accessibility_label }, element.text.text);
  button.addEventListener("click", async () => {
    if (element.url && /^https?:/.test(element.url)) open(element.url, "_blank", "noopener");
    button.disabled = true;
    await send(element, surface);
    button.disabled = false;
  });
  return button;
}

function drawOverflow(element, block, surface) {
  const button = el("button.button.plain.overflow", { "aria-label": "More", "aria-haspopup": "menu" }, icon("more"));
  button.addEventListener("click", () =>
    popUp(button, element.options.map((one) => [one.text.text, () => send(element, surface, one.value)])),
  );
  return button;
}

function drawSelect(element, block, surface) {
  const options = (list) => (list ?? []).map((one) => el("option", { value: one.value }, one.text.text));
  const groups = (element.option_groups ?? []).map((one) => el("optgroup", { label: one.label.text }, options(one.options)));
  const empty = el("option", { value: "" }, element.placeholder?.text ?? "Choose an option");
  const select = el("select", field(element, block, "select"), empty, options(element.options), groups);
  select.value = surface.kept?.[block.block_id]?.[element.action_id] ?? element.initial_option?.value ?? "";
  onChosen(select, element, block, surface, () => select.value);
  return select;
}

function drawChoices(kind, element, block, surface) {
  const first = kind === "radio" ? [element.initial_option?.value] : (element.initial_options ?? []).map((one) => one.value);
  const kept = surface.kept?.[block.block_id]?.[element.action_id];
  const checked = kept === undefined ? first : [kept].flat();
  const choices = element.options.map((one) =>
    el(
      "label.choice",
      {},
      el("input", { type: kind, name: `${block.block_id}/${element.action_id}`, value: one.value, checked: checked.includes(one.value) }),
      el("span", {}, text(one.text), one.description && el("small", {}, one.description.text)),
    ),
  );
  const group = el("div.choices", { ...field(element, block, kind), role: "group" }, choices);
  onChosen(group, element, block, surface, () => READERS[kind](group));
  return group;
}

function drawTextInput(element, block, surface) {
  const input = el(element.multiline ? "textarea" : "input", {
    ...field(element, block, "text"),
    placeholder: element.placeholder?.text ?? "",
    autofocus: element.focus_on_load,
    value: surface.kept?.[block.block_id]?.[element.action_id] ?? element.initial_value ?? "",
  });
  if (element.max_length) {
    const counter = el("small.counter");
    const count = () => {
      counter.textContent = `${input.value.length} / ${element.max_length}`;
      counter.classList.toggle("over", input.value.length > element.max_length);
    };
    input.addEventListener("input", count);
    count();
    return el("div.counted", {}, input, counter);
  }
  return input;
}

function drawDateTime(element, block, surface) {
  const seconds = surface.kept?.[block.block_id]?.[element.action_id] ?? element.initial_date_time;
  const input = el("input", { ...field(element, block, "time"), type: "datetime-local", value: seconds ? localTime(seconds) : "" });
  onChosen(input, element, block, surface, () => READERS.time(input));
  return input;
}

/** Outside of input blocks a choice is an action at once. */
function onChosen(control, element, block, surface, read) {
  if (block.type === "input" && !block.dispatch_action) return;
  control.addEventListener("change", () => send(element, surface, read()));
}

function field(element, block, kind) {
  return {
    id: `field-${block.block_id}-${element.action_id}`,
    "data-block": block.block_id,
    "data-action": element.action_id,
    "data-kind": kind,
    "aria-label": block.label?.text ?? element.placeholder?.text,
  };
}

function drawInput(block, surface) {
  const error = surface.errors?.[block.block_id];
  const control = drawElement(block.element, block, surface);
  const id = `field-${block.block_id}-${block.element.action_id}`;
  const fault = error && el("p.field-error", { id: `${id}-error` }, error);
  const input = control.matches?.(`[id="${id}"]`) ? control : control.querySelector?.(`[id="${id}"]`);
  if (fault && input) {
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", fault.id);
  }
  const label = el("label.field-label", { htmlFor: id }, block.label.text, block.optional && el("small", {}, " (optional)"));
  return el("div.block-input", {}, label, control, fault, block.hint && el("small.hint", {}, block.hint.text));
}

function localTime(seconds) {
  const here = new Date(seconds * 1000);
  return new Date(here.getTime() - here.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function richPart(part) {
  if (part.type === "rich_text_list") {
    const list = el(part.style === "ordered" ? "ol" : "ul", {}, part.elements.map((one) => el("li", {}, one.elements.map(richElement))));
    if (part.indent) list.classList.add("indented");
    return list;
  }
  const tags = { rich_text_quote: "blockquote", rich_text_preformatted: "pre", rich_text_section: "div.text" };
  return tags[part.type] ? el(tags[part.type], {}, part.elements.map(richElement)) : unknown(part);
}

function richElement(one) {
  const drawn = {
    text: () => one.text,
    link: () => link(one.url, one.text),
    user: () => mention(one.user_id),
    usergroup: () => el("span.mention.mine", {}, `@${one.usergroup_id}`),
    broadcast: () => el("span.mention.mine", {}, `@${one.range}`),
    channel: () => el("span.mention", {}, `#${state.channels.get(one.channel_id)?.name ?? one.channel_id}`),
    emoji: () => emoji(one.name),
    date: () => date(one.timestamp, one.format ?? "{date}"),
  }[one.type]?.();
  const styles = { bold: "b", italic: "i", strike: "s", code: "code" };
  return Object.entries(styles).reduce((inner, [name, tag]) => (one.style?.[name] ? el(tag, {}, inner) : inner), drawn ?? "");
}
