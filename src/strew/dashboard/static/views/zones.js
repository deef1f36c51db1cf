// How far each zone is: a slow rack shows as one line.
import { show } from "../live/route.js";
import * as format from "../parts/format.js";
import { html } from "../parts/html.js";
import { Bar, Panel, Table } from "../parts/pieces.js";

const SHOWN_MAX = 12;

export function Zones({ board }) {
  const all = zonesOf(board);
  if (all.length < 2) return null;
  const note = all.length > SHOWN_MAX ? `the slowest ${SHOWN_MAX} of ${all.length}` : "slowest first";
  return html`<${Panel} title="Zones" note=${note}>
    <${Table}
      label="zones"
      rows=${all.slice(0, SHOWN_MAX)}
      keyOf=${(zone) => zone.index}
      columns=${[
        [
          "Zone",
          (zone) => html`<button class="as-link" onClick=${() => show({ zone: zone.name, zoom: "" })}>${zone.name || "no zone"}</button>`,
        ],
        ["Machines", (zone) => `${format.count(zone.done)} / ${format.count(zone.total)}`, "number"],
        [
          "Bytes in place",
          (zone) => html`<span class="with-bar"><${Bar} part=${zone.part} tone=${zone.part >= 1 ? "good" : "going"} />
            <span>${format.progress(zone.part)}</span></span>`,
          "wide",
        ],
        ["Receives", (zone) => format.rate(zone.rate), "number"],
        ["Lag", (zone) => (zone.lagging ? format.count(zone.lagging) : format.DASH), "number"],
      ]}
    />
  <//>`;
}

function zonesOf(board) {
  const zones = board.zones.map((name, index) => ({
    name,
    index,
    total: 0,
    done: 0,
    chunks: 0,
    rate: 0,
    lagging: 0,
  }));
  for (const machine of board.machines) {
    if (machine.is_origin || machine.isGone) continue;
    const zone = zones[machine.zone_index];
    zone.total += 1;
    zone.chunks += machine.have_chunks;
    zone.rate += machine.received_bytes_per_s;
    if (machine.isDone) zone.done += 1;
    if (machine.lags) zone.lagging += 1;
  }
  return zones
    .filter((zone) => zone.total > 0)
    .map((zone) => ({ ...zone, part: zone.chunks / Math.max(1, zone.total * board.chunk_count) }))
    .sort((a, b) => a.part - b.part || a.index - b.index);
}
