// One machine: what it has, whom it deals with, what happened there.
import { PieceBar } from "../drawings/piecebar.js";
import { link } from "../live/route.js";
import { useAsked } from "../live/watching.js";
import { Copy, curl } from "../parts/copy.js";
import * as format from "../parts/format.js";
import { html } from "../parts/html.js";
import { Bar, Cause, Figure, Panel, State, Table, Trouble, Waiting } from "../parts/pieces.js";

const LOOK_MS = 1000;

const DOWN_TEXT = {
  starting: "starting: no manifest or no neighbour yet",
  receiving: "receiving",
  asked: "asked, and nothing has begun",
  unoffered: "neighbours have it, none offers",
  nowhere: "no neighbour has what it lacks",
  storing: "disk or hashing are behind",
  finishing: "putting it in place",
};
const UP_TEXT = {
  sending: "sending",
  unwanted: "has nothing that others lack",
  unanswered: "what it has is not taken",
  limited: "waits for a configured rate",
};

export function Machine({ of }) {
  const path = `nodes/${encodeURIComponent(of)}`;
  const { value, error } = useAsked(path, LOOK_MS);
  if (!value) return error ? html`<${Trouble} error=${error} />` : html`<${Waiting} what="the machine" />`;
  // a machine that left is known by what it told alone
  const node = value.node ?? { id: of, host: "", follows: [] };
  const name = node.host ? format.address(node.host, node.port) : format.shortId(of);
  return html`<main>
    <header class="page">
      <div>
        <h1>${name} ${value.cause && html`<${Cause} of=${value.cause} />`}</h1>
        <p class="sub">
          ${node.zone ? `zone ${node.zone} · ` : ""}
          ${node.host ? `follows ${node.follows.join(", ") || "nothing"} · up for ${format.seconds(node.up_s)} · ` : "it left · "}
          node <code>${format.shortId(node.id)}</code>
        </p>
        ${value.why && html`<p class="why">${value.why}${value.remedy && html` <span class="remedy">${value.remedy}</span>`}</p>`}
        ${error && html`<p class="partial">${error.message}: this is what was known before</p>`}
      </div>
      <${Copy} command=${curl(path)} path=${path} />
    </header>
    <section class="panel figures row" aria-label="numbers"><dl>
      <${Figure} name="Heard" value=${`${format.seconds(value.silent_s)} ago`} note=${node.lease_s !== undefined ? `its lease runs for ${format.seconds(node.lease_s)}` : ""} />
      <${Figure} name="Artifacts" value=${format.count(node.complete)} note=${`complete, of ${format.count(node.holdings)}`} />
      <${Figure} name="Receives" value=${format.rate(total(value, "received_bytes_per_s"))} />
      <${Figure} name="Sends" value=${format.rate(total(value, "sent_bytes_per_s"))} />
    </dl></section>
    ${value.swarms.map((swarm) => html`<${Part} key=${swarm.artifact} swarm=${swarm} />`)}
    <div class="pair">
      <${Neighbours} value=${value} />
      <${Events} value=${value} />
    </div>
  </main>`;
}

const total = (value, name) => value.swarms.reduce((all, swarm) => all + (swarm[name] ?? 0), 0);

function Part({ swarm }) {
  const share = swarm.chunk_count ? swarm.have_chunks / swarm.chunk_count : 0;
  const title = html`<a href=${link("transfer", swarm.reference || swarm.artifact)}>${swarm.reference || format.shortId(swarm.artifact)}</a>`;
  const of = `${format.count(swarm.have_chunks)} of ${format.plural(swarm.chunk_count, "chunk")}`;
  return html`<section class="panel" aria-label=${swarm.reference || swarm.artifact}>
    <header><h2>${title} <${State} of=${swarm.state} origin=${swarm.origin} /></h2>
      <div class="note">${format.progress(share)} · ${of} · ↓ ${format.rate(swarm.received_bytes_per_s)} · ↑ ${format.rate(swarm.sent_bytes_per_s)}</div></header>
    ${swarm.reason && html`<p class="why">${swarm.reason}</p>`}
    ${swarm.cells && html`<${PieceBar} cells=${swarm.cells} label=${of} />`}
    <div class="pair tight">
      <${Shares} title="Its downlink" of=${swarm.down} text=${DOWN_TEXT} busy="receiving" />
      <${Shares} title="Its uplink" of=${swarm.up} text=${UP_TEXT} busy="sending" />
    </div>
  </section>`;
}

function Shares({ title, of, text, busy }) {
  const parts = Object.entries(of ?? {})
    .map(([name, part]) => [name.toLowerCase(), part])
    .filter(([, part]) => part >= 0.005)
    .sort((a, b) => b[1] - a[1]);
  if (!parts.length) return null;
  return html`<table class="causes"><caption>${title}</caption><tbody>
    ${parts.map(
      ([name, part]) => html`<tr><th scope="row">${text[name] ?? name}</th>
        <td class="bar-cell"><${Bar} part=${part} tone=${name === busy ? "good" : "idle"} /></td>
        <td class="number">${format.percent(part)}</td></tr>`,
    )}
  </tbody></table>`;
}

function Neighbours({ value }) {
  const rows = [...value.neighbours].sort(
    (a, b) => b.sent_bytes + b.received_bytes - a.sent_bytes - a.received_bytes,
  );
  return html`<${Panel} title="Neighbours" note="bytes of the last 10 s, as rates">
    <${Table}
      label="neighbours"
      rows=${rows}
      keyOf=${(of) => of.id}
      empty="No chunk went to or from this machine in the last 10 s."
      columns=${[
        ["Machine", (of) => html`<a class="name" href=${link("machine", of.id)}>${of.host ? format.address(of.host, of.port) : format.shortId(of.id)}</a> <small>${of.zone}</small>`],
        ["Gave it", (of) => format.rate(of.received_bytes / 10), "number"],
        ["Got from it", (of) => format.rate(of.sent_bytes / 10), "number"],
      ]}
    />
    ${value.bans.length > 0 &&
    html`<h3>Not dealt with</h3>
      <${Table}
        label="bans"
        rows=${value.bans}
        keyOf=${(of) => of.id}
        columns=${[
          ["Machine", (of) => html`<a href=${link("machine", of.id)}>${format.shortId(of.id)}</a>`],
          ["Why", (of) => of.reason, "text"],
          ["For", (of) => format.seconds(of.for_s), "number"],
        ]}
      />`}
  <//>`;
}

function Events({ value }) {
  return html`<${Panel} title="What happened there" note="newest first">
    ${value.events.length
      ? html`<ol class="events">
          ${value.events.map(
            (of) => html`<li><time>${format.clock(of.at_unix_s)}</time><span>${of.text}</span></li>`,
          )}
        </ol>`
      : html`<p class="empty">Nothing was told of it yet.</p>`}
  <//>`;
}
