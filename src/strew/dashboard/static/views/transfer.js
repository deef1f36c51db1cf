// One transfer, live: numbers, the map of chunks, the curves, who lags, and who sends to whom.
import { Completion, Throughput } from "../drawings/curves.js";
import { link } from "../live/route.js";
import { useBoard } from "../live/watching.js";
import { at, Copy } from "../parts/copy.js";
import * as format from "../parts/format.js";
import { html, useEffect, useState } from "../parts/html.js";
import { Figure, FleetBar, Legend, Panel, Trouble, Waiting } from "../parts/pieces.js";
import { FlowGraph } from "./flowgraph.js";
import { MapPanel } from "./mappanel.js";
import { Stragglers } from "./stragglers.js";
import { Zones } from "./zones.js";

export function Transfer({ of, query }) {
  const { board, error, version } = useBoard(of);
  if (error) return html`<${Trouble} error=${error} />`;
  if (!board) return html`<${Waiting} what=${of} />`;
  const reference = of.startsWith("blake3:") ? (board.references[0] ?? of) : of;
  const before = board.previous ? ` and of ${board.previous.reference || "the one before"}` : "";
  return html`<main>
    <${Head} board=${board} reference=${reference} />
    <${Figures} board=${board} />
    <${MapPanel} board=${board} version=${version} query=${query} />
    <div class="pair">
      <${Panel} title="Machines done" note=${`over time, with the bound${before}`}>
        <${Completion} board=${board} version=${version} />
      <//>
      <${Panel} title="Throughput" note="of useful bytes, each second">
        <${Throughput} board=${board} version=${version} />
      <//>
    </div>
    <div class="pair uneven">
      <div class="stacked">
        <${Stragglers} board=${board} />
        <${Zones} board=${board} />
      </div>
      <${FlowGraph} board=${board} version=${version} />
    </div>
  </main>`;
}

function Head({ board, reference }) {
  const { progress } = board;
  const state = progress.over
    ? progress.done === progress.total
      ? "every machine has it"
      : `${progress.done} of ${progress.total} machines have it`
    : "under way";
  return html`<header class="page">
    <div>
      <h1>${reference.startsWith("blake3:") ? format.shortId(reference) : reference}</h1>
      <p class="sub">
        ${board.name} · ${format.size(board.size_bytes)} in ${format.plural(board.chunk_count, "chunk")} ·
        published <${Ago} at=${board.published_unix_s} /> · ${state}
      </p>
      <nav class="also" aria-label="about this transfer">
        <a href=${link("artifact", board.artifact)}>artifact <code>${format.shortId(board.artifact)}</code></a>
        <a href=${link("report", board.artifact)}>where the time went</a>
      </nav>
    </div>
    <${Copy}
      command=${`strew status ${reference} --watch ${at()}`}
      path=${`swarms/${board.artifact}/board`}
    />
  </header>`;
}

function Ago({ at }) {
  useTicks(5000);
  return format.ago(at);
}

function useTicks(everyMs, isOn = true) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!isOn) return undefined;
    const timer = setInterval(() => tick((count) => count + 1), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, isOn]);
}

function Figures({ board }) {
  const { progress } = board;
  useTicks(250, !progress.over);
  const ratio = progress.over ? progress.ratio_end : progress.ratio_now;
  const elapsed = board.elapsed();
  const last = board.times_s[board.times_s.length - 1];
  const rarest = progress.rarest;
  const bytes = progress.total_bytes ? progress.done_bytes / progress.total_bytes : 0;
  const link = { measured: "links as measured", rate: "the configured rate" }[progress.link_from];
  return html`<section class="panel figures" aria-label="numbers">
    <div class="lead">
      <p class="many"><strong>${format.count(progress.done)}</strong>${" of "}${format.count(progress.total)} machines</p>
      <${FleetBar} progress=${progress} sizeBytes=${board.size_bytes} />
      <${Legend}
        of=${[
          ["good", `${format.count(progress.done)} have it`],
          ["going", `${format.count(progress.fetching)} fetching`],
          ["idle", `${format.count(progress.waiting)} waiting`],
          ...(progress.paused ? [["warn", `${format.count(progress.paused)} paused`]] : []),
          ...(progress.failed ? [["bad", `${format.count(progress.failed)} failed`]] : []),
        ]}
      />
    </div>
    <dl>
      ${progress.over
        ? html`<${Figure} name="Last machine" value=${format.exact(last)} note="after the publication" />`
        : html`<${Figure}
            name="Time left"
            value=${format.seconds(progress.eta_s)}
            note=${`${format.seconds(elapsed)} so far`}
          />`}
      <${Figure} name="Bytes in place" value=${format.progress(bytes)} note=${format.size(progress.done_bytes)} />
      <${Figure}
        name=${progress.over ? "Against the bound" : "Against the bound, now"}
        value=${format.times(ratio)}
        note=${progress.bound_seconds ? `${format.seconds(progress.bound_seconds)} with ${link ?? "these links"}` : "no link known yet"}
        title="When the last machine is done, as a multiple of the least time that these links allow"
      />
      <${Figure}
        name="Origin sent"
        tone="origin"
        value=${format.times(progress.origin_sent_ratio)}
        note="the file"
        title="What the origin sent, as a multiple of the file: 1 is the least"
      />
      <${Figure} name="From peers" tone="near" value=${format.percent(progress.peer_share, 1)} note="of what was received" />
      ${progress.over
        ? html`<${Figure} name="Rate" value=${format.rate(progress.done_bytes / last)} note="on average, all machines" />`
        : html`<${Figure} name="Rate" value=${format.rate(progress.rate_bytes_per_s)} note="all machines together" />`}
      <${Figure}
        name="Rarest chunk"
        value=${rarest ? format.plural(rarest.copies, "copy", "copies") : format.DASH}
        note=${rarest ? `of ${format.plural(rarest.chunks, "chunk")}, first ${rarest.first}` : ""}
        tone=${rarest && rarest.copies === 0 && !progress.over ? "bad" : ""}
        title="Machines that hold the chunk that fewest hold"
      />
      <${Figure} name="Received twice" value=${format.percent(progress.duplicate_ratio, 1)} note="of the bytes" />
    </dl>
  </section>`;
}
