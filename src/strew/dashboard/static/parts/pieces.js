// Small pieces that several views are made of.
import { CAUSES } from "../live/board.js";
import * as format from "./format.js";
import { html } from "./html.js";

export function Panel({ title, note, children, className = "", id }) {
  return html`<section class=${`panel ${className}`} id=${id} aria-label=${title}>
    ${title && html`<header><h2>${title}</h2>${note && html`<div class="note">${note}</div>`}</header>`}
    ${children}
  </section>`;
}

export function Figure({ name, value, note, tone = "", title }) {
  return html`<div class=${`figure ${tone}`} title=${title}>
    <dt>${name}</dt>
    <dd>${value}${note && html`<small>${note}</small>`}</dd>
  </div>`;
}

const STATES = {
  seeding: ["✓", "has it", "good"],
  done: ["✓", "done", "good"],
  fetching: ["↓", "fetching", "going"],
  running: ["↓", "under way", "going"],
  waiting: ["…", "waiting", "idle"],
  paused: ["Ⅱ", "paused", "warn"],
  failed: ["✕", "failed", "bad"],
  partial: ["✕", "not all", "bad"],
  gone: ["–", "gone", "idle"],
  alive: ["●", "alive", "good"],
  suspect: ["?", "suspect", "warn"],
  dead: ["✕", "dead", "bad"],
  left: ["–", "left", "idle"],
};

export function State({ of, origin = false }) {
  const [sign, text, tone] = origin ? ["◆", "origin", "origin"] : (STATES[of] ?? ["", of, "idle"]);
  return html`<span class=${`state ${tone}`}><i aria-hidden="true">${sign}</i>${text}</span>`;
}

export function Cause({ of }) {
  if (!of) return null;
  const known = CAUSES[of];
  const tone = known && known.weight >= 5 ? "bad" : "warn";
  return html`<span class=${`cause ${tone}`}>${known?.text ?? of}</span>`;
}

// How far a fleet is, by what its machines do; of those that fetch, how far they are together.
export function FleetBar({ progress, sizeBytes }) {
  const { total, done, failed, paused, fetching } = progress;
  const underWay = Math.max(0, progress.done_bytes - done * sizeBytes);
  const part = Math.min(1, underWay / Math.max(1, fetching * sizeBytes));
  const parts = [
    ["good", done, "have it"],
    ["going", fetching, "fetch"],
    ["warn", paused, "are paused"],
    ["bad", failed, "failed"],
  ].filter(([, many]) => many > 0);
  const label = parts.map(([, many, word]) => `${many} ${word}`).join(", ") || "none yet";
  return html`<div class="fleet-bar" role="img" aria-label=${`of ${total} machines ${label}`}>
    ${parts.map(
      ([tone, many]) =>
        html`<span class=${tone} style=${{ width: `${(100 * many) / Math.max(total, 1)}%` }}>
          ${tone === "going" && html`<b style=${{ width: `${100 * part}%` }}></b>`}
        </span>`,
    )}
  </div>`;
}

export function Bar({ part, tone = "going", label }) {
  const width = `${(100 * Math.min(1, Math.max(0, part || 0))).toFixed(2)}%`;
  return html`<span class="bar" role="img" aria-label=${label ?? format.percent(part)}>
    <span class=${tone} style=${{ width }}></span>
  </span>`;
}

export function Legend({ of }) {
  return html`<ul class="legend">
    ${of.map(([tone, text]) => html`<li><i class=${tone} aria-hidden="true"></i>${text}</li>`)}
  </ul>`;
}

export function Trouble({ error }) {
  return html`<div class="trouble" role="alert">
    <strong>${error.status === 404 ? "Nothing here" : "No answer"}</strong>
    <p>${error.message}</p>
    ${error.hint && html`<p class="hint">${error.hint}</p>`}
  </div>`;
}

export function Waiting({ what }) {
  return html`<p class="waiting-for" role="status">asking for ${what} …</p>`;
}

// A list of columns and rows. A column is [name, cell(row), class].
export function Table({ columns, rows, keyOf, label, empty }) {
  if (!rows.length) return html`<p class="empty">${empty}</p>`;
  return html`<div class="table"><table aria-label=${label}>
    <thead><tr>${columns.map(([name, , kind]) => html`<th scope="col" class=${kind}>${name}</th>`)}</tr></thead>
    <tbody>
      ${rows.map(
        (row) => html`<tr key=${keyOf(row)}>
          ${columns.map(([, cell, kind]) => html`<td class=${kind}>${cell(row)}</td>`)}
        </tr>`,
      )}
    </tbody>
  </table></div>`;
}
