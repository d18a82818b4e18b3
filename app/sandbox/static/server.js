// Talking to the sandbox: deeds by POST, the live feed by WebSocket, both with the page's token.

import { toast } from "./dom.js";

const TOKEN = document.querySelector("meta[name=sandbox-token]").content;
const WRONG_TOKEN = 4401;
const MEANINGS = {
  operation_timeout: "did not answer in time.",
  dispatch_failed: "is not connected.",
  unexpected_response: "answered in a way that Slack would not accept.",
};

/** Do something as the person: {ok, error, errors, result}. */
export async function act(deed, body) {
  try {
    const answer = await fetch(`/page/${deed}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Sandbox-Token": TOKEN },
      body: JSON.stringify(body),
    });
    if (answer.ok) return await answer.json();
    toast(await answer.text());
  } catch {
    toast("The sandbox does not answer. Is it still running?");
  }
  return { ok: false, error: "unreachable", errors: {} };
}

/** The same for buttons and menus, with a word to the person when the app failed. */
export async function interact(name, deed, body) {
  const outcome = await act(deed, body);
  if (outcome.error && outcome.error !== "unreachable") toast(`${name} ${MEANINGS[outcome.error] ?? `failed: ${outcome.error}.`}`);
  return outcome;
}

/** Call `onChange` with every change, `onLost` and `onFound` as the connection goes and comes. */
export function follow({ onChange, onLost, onFound }) {
  let wait = 250;
  const connect = () => {
    const socket = new WebSocket(`ws://${location.host}/feed`);
    socket.onopen = () => socket.send(TOKEN);
    socket.onmessage = (event) => {
      const change = JSON.parse(event.data);
      if (change.kind === "state") {
        wait = 250;
        onFound();
      }
      onChange(change);
    };
    socket.onclose = (event) => {
      if (event.code === WRONG_TOKEN) return location.reload();
      onLost();
      setTimeout(connect, wait);
      wait = Math.min(wait * 2, 4000);
    };
  };
  connect();
}
