// Who lags, why, and what is done about it.
import { link } from "../live/route.js";
import * as format from "../parts/format.js";
import { html } from "../parts/html.js";
import { Cause, Panel, Table } from "../parts/pieces.js";

const SHOWN_MAX = 30;

export function Stragglers({ board }) {
  const all = board.stragglers();
  const shown = all.slice(0, SHOWN_MAX);
  const note = all.length ? format.plural(all.length, "machine") : "";
  return html`<${Panel} title="Stragglers" note=${note} className="stragglers">
    <${Table}
      label="stragglers"
      rows=${shown}
      keyOf=${(machine) => machine.id}
      empty=${board.progress.over ? "None is left behind." : "None: every machine keeps up with the others."}
      columns=${[
        [
          "Machine",
          (machine) => html`<a class="name" href=${link("machine", machine.id)}>${board.nameOf(machine)}</a>
            <small>${board.zones[machine.zone_index]}</small>`,
        ],
        ["Has", (machine) => format.progress(board.share(machine)), "number"],
        ["Rate", (machine) => format.rate(machine.received_bytes_per_s), "number"],
        [
          "Cause, and what is done about it",
          (machine) => html`<${Cause} of=${machine.cause} /> <span class="why">${machine.why}</span>
            ${machine.remedy && html`<small class="remedy">${machine.remedy}</small>`}`,
          "text",
        ],
      ]}
    />
    ${all.length > shown.length &&
    html`<p class="more">and ${format.count(all.length - shown.length)} more: sort the map by trouble to see all</p>`}
  <//>`;
}
