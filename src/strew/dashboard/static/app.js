// The page: its head, and the view that the address names.
import { applyTheme, ThemeButton, toggleTheme } from "./parts/theme.js";
import { connection, onConnection } from "./live/stream.js";
import { onSession, signOut, takeToken, token } from "./live/session.js";
import { link, useRoute } from "./live/route.js";
import { Help } from "./parts/help.js";
import { html, render, useEffect, useState } from "./parts/html.js";
import { Icon } from "./parts/icon.js";
import { Search } from "./parts/search.js";
import { Artifact } from "./views/artifact.js";
import { Machine } from "./views/machine.js";
import { Members } from "./views/members.js";
import { Report } from "./views/report.js";
import { SignIn } from "./views/signin.js";
import { Transfer } from "./views/transfer.js";
import { Transfers } from "./views/transfers.js";

const VIEWS = {
  "": Transfers,
  transfer: Transfer,
  report: Report,
  machine: Machine,
  artifact: Artifact,
  members: Members,
};

const CONNECTION_TEXT = {
  live: "live",
  connecting: "connecting",
  lost: "connection lost, trying again",
};

// The second key of "g" and another must come within this time.
const SECOND_KEY_MS = 1200;

function Connection() {
  const [state, set] = useState(connection);
  useEffect(() => onConnection(set), []);
  if (state === "idle") return null;
  return html`<span class=${`connection ${state}`} role="status">${CONNECTION_TEXT[state]}</span>`;
}

function useKeys(openHelp) {
  useEffect(() => {
    let wentMs = -Infinity;
    const press = (event) => {
      if (/input|textarea|select/i.test(event.target.tagName)) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const isSecond = performance.now() - wentMs < SECOND_KEY_MS;
      wentMs = -Infinity;
      if (isSecond && event.key === "t") location.hash = link("");
      else if (isSecond && event.key === "m") location.hash = link("members");
      else if (event.key === "g") wentMs = performance.now();
      else if (event.key === "?") openHelp();
      else if (event.key === "t") toggleTheme();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

function App() {
  const here = useRoute();
  const [isHelpOpen, setHelp] = useState(false);
  const [held, hold] = useState(token);
  useEffect(() => onSession(() => hold(token())), []);
  useKeys(() => setHelp(true));
  useEffect(() => {
    document.title = here.of ? `${here.of} · strew` : "strew";
    scrollTo(0, 0);
  }, [here.view, here.of]);
  if (!held) return html`<${SignIn} />`;
  const View = VIEWS[here.view] ?? Transfers;
  const tab = (view, text, isHere) =>
    html`<a href=${link(view)} aria-current=${isHere ? "page" : undefined}>${text}</a>`;
  return html`
    <a class="skip" href="#main" onClick=${skip}>to the content</a>
    <header class="top">
      <a class="brand" href=${link("")} aria-label="strew, all transfers">
        <img src="/ui/icon.svg" alt="" width="24" height="24" /><span>strew</span>
      </a>
      <nav aria-label="views">
        ${tab("", "Transfers", here.view !== "members")}
        ${tab("members", "Members", here.view === "members")}
      </nav>
      <${Connection} />
      <${Search} />
      <${ThemeButton} />
      <button class="icon" onClick=${() => setHelp(true)} aria-label="keys" title="keys (?)"><${Icon} of="keys" /></button>
      <button class="icon" onClick=${signOut} aria-label="forget the token" title="forget the token"><${Icon} of="leave" /></button>
    </header>
    <div id="main" tabindex="-1">
      <${View} key=${`${here.view}/${here.of}`} of=${here.of} query=${here.query} />
    </div>
    ${isHelpOpen && html`<${Help} onClose=${() => setHelp(false)} />`}
  `;
}

// "#main" is no address of ours: the focus goes there, the view stays.
function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

takeToken();
applyTheme();
const place = document.getElementById("app");
place.replaceChildren();
render(html`<${App} />`, place);
