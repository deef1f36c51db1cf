// One artifact: its files, its versions, and what they share.
import { artifactOf } from "../live/api.js";
import { link } from "../live/route.js";
import { useAsked } from "../live/watching.js";
import { at, Copy } from "../parts/copy.js";
import * as format from "../parts/format.js";
import { html, useEffect, useState } from "../parts/html.js";
import { Bar, Figure, Panel, Table, Trouble, Waiting } from "../parts/pieces.js";

const FILES_SHOWN = 500;

export function Artifact({ of }) {
  const [artifact, resolve] = useState(of.startsWith("blake3:") ? of : "");
  const [failed, fail] = useState(null);
  useEffect(() => {
    artifactOf(of).then(resolve, fail);
  }, [of]);
  const { value, error } = useAsked(artifact && `artifacts/${artifact}/contents`);
  const trouble = failed ?? error;
  if (!value) return trouble ? html`<${Trouble} error=${trouble} />` : html`<${Waiting} what="the artifact" />`;
  const name = value.references[0] ?? value.artifact;
  return html`<main>
    <header class="page">
      <div>
        <h1>${value.name}${value.is_tree ? "/" : ""}</h1>
        <p class="sub"><code class="whole">${value.artifact}</code></p>
        <nav class="also" aria-label="about this artifact">
          ${value.references.map((reference) => html`<a href=${link("transfer", reference)}>${reference}</a>`)}
          ${!value.references.length && html`<a href=${link("transfer", value.artifact)}>its transfer</a>`}
        </nav>
      </div>
      <${Copy} command=${`strew show ${name} ${at()}`} path=${`artifacts/${value.artifact}/contents`} />
    </header>
    <section class="panel figures row" aria-label="numbers"><dl>
      <${Figure} name="Size" value=${format.size(value.size_bytes)} note=${`${format.count(value.size_bytes)} bytes`} />
      <${Figure} name="Chunks" value=${format.count(value.chunk_count)} note=${`cut to about ${format.size(value.chunk_average_bytes)}`} />
      <${Figure} name="Manifest" value=${format.size(value.manifest_bytes)} note="goes to each machine once" />
      <${Figure} name="Files" value=${format.count(value.entry_count)} note="with folders and links" />
    </dl></section>
    <${Versions} value=${value} />
    <${Files} value=${value} />
  </main>`;
}

function Versions({ value }) {
  return html`<${Panel} title="Other versions" note="a machine that has one need not fetch what both share">
    <${Table}
      label="versions"
      rows=${value.versions}
      keyOf=${(of) => of.artifact}
      empty="None is known here."
      columns=${[
        ["Version", (of) => html`<a class="name" href=${link("artifact", of.artifact)}>${of.references.join(", ") || format.shortId(of.artifact)}</a>`],
        ["Size", (of) => format.size(of.size_bytes), "number"],
        ["Published", (of) => format.ago(of.published_s), "number"],
        [
          "Shared",
          (of) => html`<span class="with-bar"><${Bar} part=${of.shared_bytes / Math.max(1, value.size_bytes)} tone="local" />
            <span>${format.percent(of.shared_bytes / Math.max(1, value.size_bytes), 1)}</span></span>`,
          "wide",
        ],
        ["An update from it fetches", (of) => format.size(value.size_bytes - of.shared_bytes), "number"],
      ]}
    />
  <//>`;
}

function Files({ value }) {
  const [wanted, want] = useState("");
  const found = value.entries.filter((of) => of.path.toLowerCase().includes(wanted.toLowerCase()));
  const shown = found.slice(0, FILES_SHOWN);
  const isAll = value.entries.length === value.entry_count;
  const filter =
    value.entry_count > 8 &&
    html`<input type="search" aria-label="filter files" placeholder="Filter" value=${wanted} onInput=${(event) => want(event.target.value)} />`;
  return html`<${Panel} title="Files" note=${filter}>
    <${Table}
      label="files"
      rows=${shown}
      keyOf=${(of) => of.path}
      empty="No file of that name."
      columns=${[
        ["Path", (of) => html`<code class="path">${of.path}${of.kind === "dir" ? "/" : ""}</code>${of.target && html` <small>→ ${of.target}</small>`}`, "text"],
        ["Mode", (of) => html`<code>${of.mode.toString(8).padStart(4, "0")}</code>`, "number"],
        ["Size", (of) => (of.kind === "file" ? format.size(of.size_bytes) : format.DASH), "number"],
      ]}
    />
    ${(shown.length < found.length || !isAll) &&
    html`<p class="more">${format.count(shown.length)} of ${format.count(value.entry_count)} shown${isAll ? "" : ", the largest"}: strew show lists all</p>`}
  <//>`;
}
