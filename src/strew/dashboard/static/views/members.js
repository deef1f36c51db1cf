// The fleet as gossip and the hash table of this process see it.
import { link } from "../live/route.js";
import { useAsked } from "../live/watching.js";
import { at, Copy } from "../parts/copy.js";
import * as format from "../parts/format.js";
import { html, useState } from "../parts/html.js";
import { Figure, Panel, State, Table, Trouble, Waiting } from "../parts/pieces.js";

const LOOK_MS = 2000;
const ROWS_SHOWN = 400;

export function Members() {
  const { value, error } = useAsked("members", LOOK_MS);
  if (!value) return error ? html`<${Trouble} error=${error} />` : html`<${Waiting} what="members" />`;
  return html`<main>
    <header class="page">
      <div>
        <h1>Members</h1>
        <p class="sub">as the process at ${format.address(value.host, value.port)} sees them${value.zone ? `, in zone ${value.zone}` : ""}</p>
        ${error && html`<p class="partial">${error.message}: this is what was known before</p>`}
      </div>
      <${Copy} command=${`strew doctor ${at()}`} path="members" />
    </header>
    <div class="pair">
      <${Gossip} of=${value.gossip} members=${value.members} />
      <${HashTable} of=${value.dht} />
    </div>
    <${List} value=${value} />
  </main>`;
}

function Gossip({ of, members }) {
  if (!of) return html`<${Panel} title="Gossip"><p class="empty">This process takes no part in gossip.</p><//>`;
  const many = (state) => members.filter((member) => member.state === state).length;
  const health = of.health === 0 ? "well" : `${of.health} behind`;
  return html`<${Panel} title="Gossip" note=${of.joined ? "joined" : "not joined yet"} className="figures row">
    <dl>
      <${Figure} name="Alive" value=${format.count(of.living + 1 - of.suspects)} note="with this one" />
      <${Figure} name="Suspect" value=${format.count(of.suspects)} tone=${of.suspects ? "warn" : ""} note="silent, not given up" />
      <${Figure} name="Gone" value=${format.count(many("dead") + many("left"))} note=${`${format.count(many("left"))} said so`} />
      <${Figure} name="Only heard of" value=${format.count(of.strangers)} note="never spoke themselves" />
      <${Figure} name="This process" value=${health} note=${of.refutations ? `had to say ${format.plural(of.refutations, "time")} that it lives` : "never doubted"} tone=${of.health ? "warn" : ""} />
      <${Figure} name="Round trip" value=${of.rtt_s ? `${(1000 * of.rtt_s).toFixed(1)} ms` : format.DASH} note="of a probe" />
      <${Figure} name="Names" value=${format.count(of.names)} note=${of.conflicts.length ? `${format.count(of.conflicts.length)} in conflict` : "no conflict"} tone=${of.conflicts.length ? "bad" : ""} />
      <${Figure} name="To be told" value=${format.count(of.rumours)} note="rumours in the queue" />
    </dl>
  <//>`;
}

function HashTable({ of }) {
  if (!of) return html`<${Panel} title="Hash table"><p class="empty">This process takes no part in it.</p><//>`;
  const answered = of.records.length
    ? of.records.reduce((sum, record) => sum + record.seconds, 0) / of.records.length
    : null;
  return html`<${Panel} title="Hash table" note=${of.joined ? "joined" : "not joined yet"} className="figures row">
    <dl>
      <${Figure} name="Contacts" value=${format.count(of.size)} note=${`in ${format.plural(of.buckets.length, "bucket")}`} />
      <${Figure} name="Kept for others" value=${format.count(of.stored_providers)} note=${`of ${format.plural(of.stored_keys, "key")}`} />
      <${Figure} name="Told of ours" value=${format.count(of.provided.length)} note=${ours(of)} />
      <${Figure} name="Searches" value=${format.count(of.ended)} note=${`${format.count(of.searches)} run now`} />
      <${Figure} name="A search took" value=${answered === null ? format.DASH : `${Math.round(1000 * answered)} ms`} note="mean of the last ones" />
      <${Figure} name="Round trip" value=${of.round_trip_s ? `${(1000 * of.round_trip_s).toFixed(1)} ms` : format.DASH} note=${`${format.count(of.queries)} queries open`} />
    </dl>
    <div class="buckets" role="img" aria-label=${`contacts by distance, furthest first: ${of.buckets.join(", ")}`}>
      ${of.buckets.map((many) => html`<span title=${format.plural(many, "contact")} style=${{ height: `${Math.max(4, many * 4)}px` }}></span>`)}
    </div>
    <p class="more">contacts by distance, the furthest half of all ids first</p>
  <//>`;
}

function ours(of) {
  if (!of.provided.length) return "nothing";
  const least = Math.min(...of.provided.map(([, keptBy]) => keptBy));
  return `each kept by ${least} or more`;
}

function List({ value }) {
  const [wanted, want] = useState("");
  const matches = (of) =>
    `${of.host}:${of.port} ${of.zone} ${of.state} ${of.id}`.toLowerCase().includes(wanted.toLowerCase());
  const found = value.members.filter(matches);
  const shown = found.slice(0, ROWS_SHOWN);
  const filter = html`<input type="search" aria-label="filter members" placeholder="Filter" value=${wanted} onInput=${(event) => want(event.target.value)} />`;
  return html`<${Panel} title=${format.plural(value.member_count, "member")} note=${filter}>
    <${Table}
      label="members"
      rows=${shown}
      keyOf=${(of) => of.id}
      empty="No member of that name."
      columns=${[
        ["Machine", (of) => html`<a class="name" href=${link("machine", of.id)}>${format.address(of.host, of.port)}</a>${of.id === value.id ? html` <small>this one</small>` : ""}`],
        ["State", (of) => html`<${State} of=${of.state} />${of.by && of.by !== of.id ? html` <small>says ${format.shortId(of.by)}</small>` : ""}${!of.met && of.id !== value.id && of.state === "alive" ? html` <small>only heard of</small>` : ""}`],
        ["Zone", (of) => of.zone || format.DASH],
        ["Follows", (of) => of.follows.join(", ") || format.DASH, "text"],
        ["Started", (of) => format.ago(of.since_s), "number"],
        ["Node", (of) => html`<code>${format.shortId(of.id)}</code>`, "number"],
      ]}
    />
    ${shown.length < found.length && html`<p class="more">${format.count(shown.length)} of ${format.count(found.length)} shown: filter to see others</p>`}
  <//>`;
}
