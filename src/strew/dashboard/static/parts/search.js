// Finds transfers by name and machines by address, from the keyboard: "/".
import { ask } from "../live/api.js";
import { link } from "../live/route.js";
import * as format from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";

const FOUND_MAX = 8;

export function Search() {
  const [text, write] = useState("");
  const [known, learn] = useState(null);
  const [chosen, choose] = useState(0);
  const field = useRef(null);
  useEffect(() => {
    const press = (event) => {
      if (event.key === "/" && !/input|textarea|select/i.test(event.target.tagName)) {
        event.preventDefault();
        field.current.focus();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  const prepare = async () => {
    try {
      const [transfers, nodes] = await Promise.all([ask("transfers"), ask("nodes")]);
      learn([
        ...transfers.map((of) => ({
          text: of.reference || of.artifact,
          note: `${of.name}, ${format.size(of.size_bytes)}`,
          to: link("transfer", of.reference || of.artifact),
        })),
        ...nodes.map((of) => ({
          text: format.address(of.host, of.port),
          note: of.zone ? `machine in ${of.zone}` : "machine",
          to: link("machine", of.id),
          id: of.id,
        })),
      ]);
    } catch {
      learn([]);
    }
  };
  const wanted = text.trim().toLowerCase();
  const found = wanted
    ? (known ?? [])
        .filter((of) => `${of.text} ${of.note} ${of.id ?? ""}`.toLowerCase().includes(wanted))
        .slice(0, FOUND_MAX)
    : [];
  const take = (of) => {
    if (!of) return;
    location.hash = of.to;
    write("");
    field.current.blur();
  };
  const press = (event) => {
    if (event.key === "Escape") {
      write("");
      field.current.blur();
    } else if (event.key === "Enter") take(found[chosen]);
    else if (event.key === "ArrowDown") choose(Math.min(chosen + 1, found.length - 1));
    else if (event.key === "ArrowUp") choose(Math.max(chosen - 1, 0));
    else return;
    event.preventDefault();
  };
  return html`<div class="search" role="search">
    <input
      ref=${field}
      type="search"
      placeholder="Search"
      aria-label="search for a transfer or a machine"
      aria-keyshortcuts="/"
      value=${text}
      onFocus=${prepare}
      onInput=${(event) => {
        write(event.target.value);
        choose(0);
      }}
      onKeyDown=${press}
    />
    <kbd aria-hidden="true">/</kbd>
    ${wanted &&
    html`<ul class="found" role="listbox">
      ${found.map(
        (of, place) => html`<li
          role="option"
          aria-selected=${place === chosen}
          onPointerDown=${() => take(of)}
        >
          <span>${of.text}</span><small>${of.note}</small>
        </li>`,
      )}
      ${!found.length && html`<li class="none">nothing of that name</li>`}
    </ul>`}
  </div>`;
}
