// What the keys do.
import { html, useEffect, useRef } from "./html.js";

const KEYS = [
  ["/", "search for a transfer or a machine"],
  ["g t", "go to the transfers"],
  ["g m", "go to the members"],
  ["t", "dark or light"],
  ["?", "this help"],
  ["Esc", "close"],
];
const MAP_KEYS = [
  ["↑ ↓ ← →", "move over machines and chunks"],
  ["Page ↑ ↓", "ten machines further"],
  ["+ −", "zoom, also with the wheel once the map has the focus"],
  ["0", "the whole fleet"],
  ["Enter", "open the machine"],
];

export function Help({ onClose }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  const list = (keys) =>
    keys.map(([key, text]) => html`<dt><kbd>${key}</kbd></dt><dd>${text}</dd>`);
  return html`<dialog class="help" ref=${dialog} onClose=${onClose} aria-label="keys">
    <h2>Keys</h2>
    <dl>${list(KEYS)}</dl>
    <h3>On the map of chunks</h3>
    <dl>${list(MAP_KEYS)}</dl>
    <button class="plain" onClick=${() => dialog.current.close()}>close</button>
  </dialog>`;
}
