// The chunks of one machine in one line: the map's row, by itself.
import { NOTHING } from "../live/board.js";
import { html, useEffect, useRef } from "../parts/html.js";
import { mixed, onPalette, palette, rgb } from "./palette.js";

const HEIGHT_PX = 18;
const LEVELS = 10;
const FAINTEST = 0.28;

export function PieceBar({ cells, label }) {
  const canvas = useRef(null);
  useEffect(() => {
    const paint = () => canvas.current && draw(canvas.current, cells); // it may be gone by now
    paint();
    return onPalette(paint);
  }, [cells]);
  return html`<canvas class="pieces" ref=${canvas} role="img" aria-label=${label}></canvas>`;
}

function draw(canvas, cells) {
  const colours = palette();
  const empty = rgb(colours.empty);
  canvas.width = Math.max(1, cells.length);
  canvas.height = HEIGHT_PX;
  const context = canvas.getContext("2d");
  for (let column = 0; column < cells.length; column += 1) {
    const code = cells.charCodeAt(column) - NOTHING;
    const level = code <= 0 ? 0 : code % LEVELS;
    const source = code <= 0 ? 0 : 1 + Math.floor(code / LEVELS);
    const part = level === 0 ? 0 : level === 9 ? 1 : FAINTEST + ((0.86 - FAINTEST) * (level - 1)) / 7;
    const [red, green, blue] = mixed(empty, rgb(colours.sources[source] ?? colours.empty), part);
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(column, 0, 1, HEIGHT_PX);
  }
}
