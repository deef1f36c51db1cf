// Where the time of a transfer went: the least that the links allow, and what was lost beyond it,
// by cause. The causes add up to the loss.
import { artifactOf, ask } from "../live/api.js";
import { link } from "../live/route.js";
import { at, Copy } from "../parts/copy.js";
import * as format from "../parts/format.js";
import { html, useEffect, useState } from "../parts/html.js";
import { Bar, Figure, Panel, Trouble, Waiting } from "../parts/pieces.js";

const AGAIN_MS = 5000;

function useReport(reference) {
  const [state, set] = useState({ report: null, error: null });
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const look = async () => {
      try {
        const artifact = await artifactOf(reference, { signal: stop.signal });
        const report = await ask(`swarms/${artifact}/report`, { signal: stop.signal });
        set({ report, error: null });
        if (!report.partial) return;
      } catch (error) {
        if (stop.signal.aborted) return;
        set((known) => ({ report: known.report, error }));
      }
      // while a transfer is under way more is told of it
      timer = setTimeout(look, AGAIN_MS);
    };
    set({ report: null, error: null });
    look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [reference]);
  return state;
}

export function Report({ of }) {
  const { report, error } = useReport(of);
  if (!report) {
    if (!error) return html`<${Waiting} what="the report" />`;
    const hint = error.hint || "it is made when the transfer is over; this page looks again";
    return html`<${Trouble} error=${{ status: error.status, message: error.message, hint }} />`;
  }
  const name = report.reference || format.shortId(report.artifact);
  return html`<main>
    <header class="page">
      <div>
        <h1>Where the time went</h1>
        <p class="sub">
          <a href=${link("transfer", report.reference || report.artifact)}>${name}</a>${" · "}
          ${format.size(report.size_bytes)} to ${format.plural(report.nodes, "machine")} · published ${format.clock(report.published_unix_s)}
        </p>
        ${report.partial && html`<p class="partial">Not complete: ${report.partial}</p>`}
      </div>
      <${Copy}
        command=${`strew show ${report.reference || report.artifact} --report ${at()}`}
        path=${`swarms/${report.artifact}/report`}
      />
    </header>
    <${Numbers} report=${report} />
    <${Panel} title="The last machine" note=${lastNote(report)}>
      ${report.last
        ? html`<${Stack} line=${report.line_seconds} causes=${report.causes} whole=${report.seconds_last} />
            <${Causes} causes=${report.causes} lost=${report.lost_seconds} />`
        : html`<p class="empty">No machine that told how it went is done yet.</p>`}
    <//>
    <div class="pair">
      ${report.mean?.length > 0 &&
      html`<${Panel} title="The average machine" note=${`done after ${format.exact(report.seconds_median)} in the middle`}>
        <${Causes} causes=${report.mean} lost=${sum(report.mean)} isBrief />
      <//>`}
      <${Uplinks} report=${report} />
    </div>
  </main>`;
}

const sum = (causes) => causes.reduce((all, of) => all + of.seconds, 0);

const lastNote = ({ last }) =>
  last
    ? html`<a href=${link("machine", last.id)}>${last.host}</a>
        ${last.zone ? ` in ${last.zone}` : ""}, done after ${format.exact(last.done_s)}`
    : "";

function Numbers({ report }) {
  const from = { rate: "the configured rate", measured: "as measured" }[report.link_from] ?? "";
  return html`<section class="panel figures row" aria-label="numbers"><dl>
    <${Figure} name="Last machine" value=${format.exact(report.seconds_last)} note=${`median ${format.exact(report.seconds_median)}`} />
    <${Figure} name="File over link" value=${format.exact(report.line_seconds)} note=${`${format.rate(report.link_bytes_per_s)} ${from}`} />
    <${Figure} name="Bound" value=${format.exact(report.bound_seconds)} note="the least for all machines" />
    <${Figure} name="Against the bound" value=${format.times(report.ratio_to_bound)} note=${`${format.times(report.ratio_to_line)} the file over the link`} />
    <${Figure} name="Lost" value=${format.exact(report.lost_seconds)} note="beyond the file over the link" />
    <${Figure} name="Told by" value=${`${format.count(report.measured)} of ${format.count(report.nodes)}`} note="machines with a timeline" />
  </dl></section>`;
}

// Every cause keeps its colour, whatever its place; one of a newer process gets the last.
const CAUSES = [
  "start",
  "first-copies",
  "uplinks-idle",
  "slow-senders",
  "disk",
  "uplinks-busy",
  "duplicates",
  "hash",
  "finishing",
  "control",
];
const toneOf = ({ cause }) => `cause-${CAUSES.indexOf(cause) + 1 || CAUSES.length}`;
const wordsOf = ({ cause }) => cause.replaceAll("-", " ");

// One bar as long as the transfer took: the file over the link, then each loss.
function Stack({ line, causes, whole }) {
  const width = (seconds) => `${(100 * seconds) / Math.max(whole, 1e-9)}%`;
  const parts = causes.filter((of) => of.seconds > 0);
  return html`<div class="stack" role="img" aria-label=${`${format.exact(line)} of ${format.exact(whole)} is the file over the link`}>
    <span class="line" style=${{ width: width(line) }} title=${`the file over the link: ${format.exact(line)}`}>
      <b>the file over the link ${format.exact(line)}</b>
    </span>
    ${parts.map(
      (of) => html`<span
        class=${toneOf(of)}
        style=${{ width: width(of.seconds) }}
        title=${`${wordsOf(of)}: ${format.exact(of.seconds)}`}
      ></span>`,
    )}
  </div>`;
}

function Causes({ causes, lost, isBrief = false }) {
  const most = Math.max(...causes.map((of) => of.seconds), 1e-9);
  if (!causes.length) return html`<p class="empty">Nothing was lost that could be measured.</p>`;
  return html`<table class="causes" aria-label="causes">
    <tbody>
      ${causes.map(
        (of) => html`<tr>
          <th scope="row"><i class=${toneOf(of)} aria-hidden="true"></i>${wordsOf(of)}</th>
          <td class="bar-cell"><${Bar} part=${of.seconds / most} tone=${toneOf(of)} label=${format.exact(of.seconds)} /></td>
          <td class="number">${format.exact(of.seconds)}</td>
          <td class="number">${format.percent(of.share, 1)}</td>
          ${!isBrief && html`<td class="text">${of.text}</td>`}
        </tr>`,
      )}
    </tbody>
    <tfoot><tr><th scope="row">together</th><td></td><td class="number">${format.exact(sum(causes))}</td>
      <td class="number">${lost > 0 ? format.percent(sum(causes) / lost, 1) : ""}</td>${!isBrief && html`<td class="text">of what was lost</td>`}</tr></tfoot>
  </table>`;
}

const UPLINK_TEXT = {
  unwanted: "had nothing that others lacked",
  unanswered: "what it had was not taken",
  limited: "waited for a configured rate",
};

function Uplinks({ report }) {
  const { uplinks, origin } = report;
  if (!uplinks) return null;
  const idle = Object.entries(uplinks.idle ?? {});
  return html`<${Panel} title="Uplinks" note="while the transfer ran">
    <table class="causes"><tbody>
      <${Share} name="machines busy" part=${uplinks.busy} tone="good" text="sent a chunk" />
      ${idle.map(
        ([name, part]) =>
          html`<${Share} name=${`idle: ${name.toLowerCase()}`} part=${part} tone="idle" text=${UPLINK_TEXT[name.toLowerCase()] ?? ""} />`,
      )}
      ${origin && html`<${Share} name="origin busy" part=${origin.busy} tone="origin" text="sent a chunk" />`}
    </tbody></table>
  <//>`;
}

function Share({ name, part, tone, text }) {
  return html`<tr><th scope="row">${name}</th>
    <td class="bar-cell"><${Bar} part=${part} tone=${tone} /></td>
    <td class="number">${format.percent(part, 1)}</td><td class="text">${text}</td></tr>`;
}
