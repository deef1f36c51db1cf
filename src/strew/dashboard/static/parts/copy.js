// "Copy as command" and "copy as JSON": what is shown, for a terminal or a program.
import { ask } from "../live/api.js";
import { html, useState } from "./html.js";

const TOLD_MS = 1600;

// A page that came without TLS from another machine has no navigator.clipboard.
async function copied(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return;
    } catch {
      // not allowed: as of old
    }
  }
  const place = document.createElement("textarea");
  place.value = text;
  place.className = "off-screen";
  document.body.append(place);
  place.select();
  const isDone = document.execCommand("copy");
  place.remove();
  if (!isDone) throw new Error("the browser does not let this page copy");
}

export const curl = (path) =>
  `curl -H "Authorization: Bearer $STREW_TOKEN" '${location.origin}/api/v1/${path}'`;

export const at = () => `--at ${location.host}`;

// `command` is a line for a shell, `path` what the API answers to, below /api/v1.
export function Copy({ command, path }) {
  const [told, tell] = useState("");
  const act = (what, get) => async () => {
    try {
      await copied(await get());
      tell(`${what} copied`);
    } catch (error) {
      tell(error.message);
    }
    setTimeout(() => tell(""), TOLD_MS);
  };
  return html`<div class="copy">
    <span class="told" role="status">${told}</span>
    ${command &&
    html`<button class="quiet" title=${command} onClick=${act("command", async () => command)}>
      copy as command
    </button>`}
    ${path &&
    html`<button
      class="quiet"
      title=${`GET /api/v1/${path}`}
      onClick=${act("JSON", async () => JSON.stringify(await ask(path), null, 2))}
    >
      copy as JSON
    </button>`}
  </div>`;
}
