// All transfers: what is under way, and what was.
import { link } from "../live/route.js";
import { useTold } from "../live/watching.js";
import { at, Copy } from "../parts/copy.js";
import * as format from "../parts/format.js";
import { html } from "../parts/html.js";
import { Bar, State, Table, Trouble, Waiting } from "../parts/pieces.js";

export function Transfers() {
  const { value, error } = useTold("transfers", "swarm,publication");
  if (!value) return error ? html`<${Trouble} error=${error} />` : html`<${Waiting} what="transfers" />`;
  const running = value.filter((of) => of.state === "running");
  return html`<main>
    <header class="page">
      <div>
        <h1>Transfers</h1>
        <p class="sub">
          ${running.length ? `${format.plural(running.length, "transfer")} under way, ` : ""}
          ${format.count(value.length)} known
        </p>
      </div>
      <${Copy} command=${`strew status ${at()}`} path="transfers" />
    </header>
    <section class="panel">
      <${Table}
        label="transfers"
        rows=${value}
        keyOf=${(of) => of.artifact + of.reference}
        empty="Nothing was published yet: strew push PATH NAME:TAG publishes a file or a folder."
        columns=${COLUMNS}
      />
    </section>
  </main>`;
}

const to = (of) => of.reference || of.artifact;

const COLUMNS = [
  [
    "Transfer",
    (of) => html`<a class="name" href=${link("transfer", to(of))}>${of.reference || format.shortId(of.artifact)}</a>
      <small>${of.name}</small>`,
  ],
  ["State", (of) => html`<${State} of=${of.state} />`],
  [
    "Machines",
    (of) => html`<span class="with-bar">
      <${Bar} part=${of.total ? of.done / of.total : 0} tone=${of.failed ? "bad" : "good"}
        label=${`${of.done} of ${of.total}`} />
      <span>${format.count(of.done)} / ${format.count(of.total)}</span></span>`,
    "wide",
  ],
  ["Size", (of) => format.size(of.size_bytes), "number"],
  ["Last done", (of) => format.exact(of.seconds_last), "number"],
  ["× bound", (of) => format.times(of.ratio_to_bound), "number"],
  ["Origin sent", (of) => format.times(of.origin_sent_ratio), "number"],
  ["Published", (of) => format.ago(of.published_unix_s), "number"],
  [
    "",
    (of) =>
      of.recorded && html`<a href=${link("report", of.artifact)}>report</a>`,
  ],
];
