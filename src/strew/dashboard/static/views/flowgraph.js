// Who sends to whom, drawn, and in words for those who read.
import { betweenZones, Flows } from "../drawings/flows.js";
import { link } from "../live/route.js";
import * as format from "../parts/format.js";
import { html, useEffect, useRef, useState } from "../parts/html.js";
import { Legend, Panel } from "../parts/pieces.js";

const HEIGHT_PX = 330;
const READ_MAX = 4;

export function FlowGraph({ board, version }) {
  const canvas = useRef(null);
  const flows = useRef(null);
  const [pointed, point] = useState(null);
  useEffect(() => {
    const drawing = (flows.current = new Flows(canvas.current));
    const frame = canvas.current.parentElement;
    canvas.current.style.height = `${HEIGHT_PX}px`;
    const fit = () => {
      const width = frame.clientWidth;
      drawing.resize(width, HEIGHT_PX, devicePixelRatio || 1);
    };
    const watch = new ResizeObserver(fit);
    watch.observe(frame);
    return () => {
      watch.disconnect();
      drawing.close();
    };
  }, []);
  useEffect(() => flows.current.show(board), [board, version]);
  const move = (event) => {
    const box = canvas.current.getBoundingClientRect();
    point(flows.current.point(event.clientX - box.left, event.clientY - box.top));
  };
  const leave = () => {
    flows.current.point(-1, -1);
    point(null);
  };
  const open = () => {
    if (pointed !== null) location.hash = link("machine", board.machines[pointed].id);
  };
  const sums = betweenZones(board);
  const total = sums.reduce((sum, [, , bytes]) => sum + bytes, 0);
  const label = sums.length ? `${format.size(total)} sent in the last 10 s` : "nothing was sent";
  return html`<${Panel} title="Who sends to whom" note=${board.progress.over ? "in its last 10 s" : "in the last 10 s"} className="flows">
    <div class="flow-frame">
      <canvas
        ref=${canvas}
        class=${pointed === null ? "" : "pointing"}
        role="img"
        aria-label=${label}
        onPointerMove=${move}
        onPointerLeave=${leave}
        onClick=${open}
      ></canvas>
      ${pointed !== null && html`<${Exchange} board=${board} row=${pointed} at=${flows.current.placeOf(pointed)} />`}
    </div>
    <${Legend} of=${[["origin", "origin"], ["near", "within a zone"], ["far", "between zones"]]} />
    <ul class="between">
      ${sums.slice(0, READ_MAX).map(
        ([from, to, bytes]) =>
          html`<li><span>${from === to ? `within ${from}` : `${from} → ${to}`}</span><span>${format.rate(bytes / 10)}</span></li>`,
      )}
      ${!sums.length && html`<li><span>nothing is on its way</span></li>`}
    </ul>
  <//>`;
}

function Exchange({ board, row, at }) {
  const machine = board.machines[row];
  let sent = 0;
  let received = 0;
  for (const [from, to, bytes] of board.flows) {
    if (from === row) sent += bytes;
    if (to === row) received += bytes;
  }
  const isRight = at && Math.cos(at.angle) > 0;
  const style = at && {
    transform: `translate(${at.x}px, ${at.y}px) translate(${isRight ? "calc(-100% - 14px)" : "14px"}, -50%)`,
  };
  return html`<div class="tip" style=${style}>
    <p class="head"><strong>${format.address(machine.host, machine.port)}</strong></p>
    <p>↓ ${format.rate(received / 10)} · ↑ ${format.rate(sent / 10)}</p>
  </div>`;
}
