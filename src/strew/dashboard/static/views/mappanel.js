// The map of chunks with all that one can do to it: pointing, zooming, moving by keys, sorting.
// What is looked at stands in the address.
import { ChunkMap, linesOf } from "../drawings/chunkmap.js";
import { SOURCES } from "../live/board.js";
import { link, show } from "../live/route.js";
import * as format from "../parts/format.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../parts/html.js";
import { Cause, Legend, Panel, State } from "../parts/pieces.js";

const SORTS = [
  ["zone", "zone, then progress"],
  ["progress", "progress"],
  ["rate", "rate"],
  ["trouble", "trouble"],
  ["name", "name"],
];
const LEGEND = [
  ["origin", "from the origin"],
  ["near", "a peer nearby"],
  ["far", "a peer elsewhere"],
  ["local", "was here"],
  ["missing", "not here"],
];
// Lines change their order so often at most: a map that never rests cannot be read.
const ARRANGE_MS = 1000;
const HEIGHT_SHARE = 0.5;
const HEIGHT_PX_MAX = 560;
const ZOOM_STEP = 1.25;
const COUNTED_MAX = 4000;

export function MapPanel({ board, version, query }) {
  const canvas = useRef(null);
  const frame = useRef(null);
  const map = useRef(null);
  const [cursor, setCursor] = useState(null);
  const [pointer, setPointer] = useState(null);
  const [isZoomed, setZoomed] = useState(false);
  const sort = SORTS.some(([name]) => name === query.sort) ? query.sort : "zone";
  const zone = board.zones.includes(query.zone) ? query.zone : "";
  const arranged = useArranged(board, version, sort, zone);

  // before the first frame is shown: keys and the pointer find a map that stands
  useLayoutEffect(() => {
    const drawing = new ChunkMap(canvas.current);
    map.current = drawing;
    return () => drawing.close();
  }, []);

  useLayoutEffect(() => {
    const drawing = map.current;
    const isFirst = !drawing.lines.length;
    drawing.arrange(board, arranged.lines, arranged.groups);
    fit(drawing, frame.current);
    if (isFirst) restore(drawing, board, query, setCursor);
    setZoomed(!drawing.isWhole);
    const watch = new ResizeObserver(() => fit(drawing, frame.current));
    watch.observe(frame.current);
    return () => watch.disconnect();
  }, [arranged]);

  useEffect(() => {
    map.current.update(board.dirty);
    board.dirty.clear();
  }, [board, version]);

  useEffect(() => {
    map.current.cursor = cursor;
    map.current.draw();
  }, [cursor]);

  const looked = useLooked(map, board, setZoomed);
  const controls = useControls({ map, canvas, board, cursor, setCursor, setPointer, looked });
  const focus = pointer ?? (document.activeElement === canvas.current ? cursor : null);
  const many = arranged.lines.filter((row) => row >= 0).length;
  return html`<${Panel}
    title="Chunks on machines"
    className="map"
    note=${html`<${Tools} board=${board} sort=${sort} zone=${zone} isZoomed=${isZoomed}
      onWhole=${() => { map.current.whole(); looked(); }} />`}
  >
    <div class="map-frame" ref=${frame}>
      <canvas
        ref=${canvas}
        tabindex="0"
        role="application"
        aria-roledescription="map of chunks"
        aria-label=${`${many} machines, ${board.chunk_count} chunks. Arrow keys move, plus and minus zoom, Enter opens the machine`}
        ...${controls}
      ></canvas>
      ${focus && html`<${Tip} board=${board} at=${focus} map=${map.current} />`}
    </div>
    <div class="map-foot">
      <${Legend} of=${LEGEND} />
      <span class="axis">${format.plural(board.chunk_count, "chunk")}, first to last${board.columns < board.chunk_count ? `, ${Math.round(board.chunk_count / board.columns)} to a column` : ""}</span>
    </div>
    <p class="off-screen" role="status">${cursor && spoken(board, cursor)}</p>
  <//>`;
}

// The order of lines, made anew once a second, or at once when it is asked for.
function useArranged(board, version, sort, zone) {
  const last = useRef({ at: 0, key: "", made: null });
  const [late, again] = useState(0);
  const key = `${sort}\n${zone}\n${board.machines.length}`;
  const known = last.current;
  const wait = known.at + ARRANGE_MS - performance.now();
  const isSame = known.board === board && known.key === key;
  useEffect(() => {
    if (wait <= 0) return undefined;
    const timer = setTimeout(() => again((count) => count + 1), wait);
    return () => clearTimeout(timer);
  }, [version]);
  return useMemo(() => {
    if (isSame && wait > 0) return known.made;
    const made = linesOf(board, sort, zone);
    last.current = { at: performance.now(), key, board, made };
    return made;
  }, [board, version, key, late]);
}

function fit(drawing, frame) {
  if (!frame) return;
  const most = Math.min(HEIGHT_PX_MAX, Math.max(220, HEIGHT_SHARE * innerHeight));
  const height = drawing.heightFor(most);
  const width = frame.clientWidth;
  const ratio = devicePixelRatio || 1;
  if (drawing.width === width && drawing.height === height && drawing._ratio === ratio) return;
  drawing.canvas.style.height = `${height}px`;
  drawing.resize(width, height, ratio);
}

// What the address says: zoom=FIRST-LAST in lines, row=MACHINE.
function restore(drawing, board, query, setCursor) {
  const zoom = /^(\d+)-(\d+)$/.exec(query.zoom ?? "");
  if (zoom) drawing.look(Number(zoom[1]), Number(zoom[2]) - Number(zoom[1]));
  const machine = board.machines.find((of) => of.id === query.row);
  const line = machine && drawing.lineOf(machine.row);
  if (line !== undefined) setCursor({ line, row: machine.row, column: 0 });
}

// Called when the part in sight changed: puts it into the address, not more than the eye needs.
function useLooked(map, board, setZoomed) {
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  return () => {
    setZoomed(!map.current.isWhole);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      const { top, shown, isWhole } = map.current;
      show({ zoom: isWhole ? "" : `${Math.round(top)}-${Math.round(top + shown)}` });
    }, 250);
  };
}

function useControls({ map, canvas, board, cursor, setCursor, setPointer, looked }) {
  const drag = useRef(null);
  const place = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const step = (lines, columns) => {
    const drawing = map.current;
    let line = cursor ? cursor.line + lines : Math.floor(drawing.top);
    const way = lines < 0 ? -1 : 1;
    while (drawing.lines[line] === -1) line += way;
    line = Math.min(Math.max(0, line), drawing.lines.length - 1);
    const column = cursor ? cursor.column + columns : 0;
    const row = drawing.lines[line];
    if (row === undefined || row < 0) return;
    setCursor({ line, row, column: Math.min(Math.max(0, column), board.columns - 1) });
    if (line < drawing.top) drawing.look(line, drawing.shown);
    else if (line >= drawing.top + drawing.shown) drawing.look(line + 1 - drawing.shown, drawing.shown);
    show({ row: board.machines[row].id });
  };
  const zoom = (factor) => {
    map.current.zoom(factor, cursor ? cursor.line + 0.5 : undefined);
    looked();
  };
  const keys = {
    ArrowUp: () => step(-1, 0),
    ArrowDown: () => step(1, 0),
    ArrowLeft: () => step(0, -1),
    ArrowRight: () => step(0, 1),
    PageUp: () => step(-10, 0),
    PageDown: () => step(10, 0),
    "+": () => zoom(1 / ZOOM_STEP),
    "=": () => zoom(1 / ZOOM_STEP),
    "-": () => zoom(ZOOM_STEP),
    0: () => {
      map.current.whole();
      looked();
    },
    Enter: () => cursor && openMachine(board, cursor.row),
  };
  // preact would listen passively: then the page could not be kept from scrolling
  useEffect(() => {
    const wheel = (event) => {
      if (document.activeElement !== canvas.current && !event.ctrlKey) return;
      event.preventDefault();
      const drawing = map.current;
      const [, y] = place(event);
      const around = drawing.top + (y / drawing.height) * drawing.shown;
      if (event.shiftKey) {
        const turned = event.deltaY || event.deltaX;
        drawing.look(drawing.top + (turned / drawing.height) * drawing.shown, drawing.shown);
      } else drawing.zoom(event.deltaY > 0 ? ZOOM_STEP : 1 / ZOOM_STEP, around);
      looked();
    };
    const element = canvas.current;
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, [board]);
  return {
    onPointerMove: (event) => {
      const [x, y] = place(event);
      const drawing = map.current;
      if (drag.current) {
        const { from, top } = drag.current;
        drag.current.moved ||= Math.abs(y - from) > 3;
        drawing.look(top - ((y - from) / drawing.height) * drawing.shown, drawing.shown);
        looked();
      }
      setPointer(drawing.at(x, y));
    },
    onPointerLeave: () => setPointer(null),
    onPointerDown: (event) => {
      if (event.pointerType === "touch") return;
      canvas.current.setPointerCapture(event.pointerId);
      drag.current = { from: place(event)[1], top: map.current.top, moved: false };
    },
    onPointerUp: (event) => {
      const wasMoved = drag.current?.moved;
      drag.current = null;
      const at = map.current.at(...place(event));
      if (wasMoved || !at) return;
      setCursor(at);
      show({ row: board.machines[at.row].id });
    },
    onDblClick: (event) => {
      const at = map.current.at(...place(event));
      if (at) openMachine(board, at.row);
    },
    onKeyDown: (event) => {
      const act = keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    },
  };
}

function openMachine(board, row) {
  location.hash = link("machine", board.machines[row].id);
}

function Tools({ board, sort, zone, isZoomed, onWhole }) {
  const zones = [...board.zones].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return html`<div class="tools">
    ${isZoomed && html`<button class="quiet" onClick=${onWhole}>whole fleet</button>`}
    ${zones.length > 1 &&
    html`<label>zone
      <select value=${zone} onChange=${(event) => show({ zone: event.target.value, zoom: "" })}>
        <option value="">all</option>
        ${zones.filter(Boolean).map((name) => html`<option value=${name}>${name}</option>`)}
      </select>
    </label>`}
    <label>sort by
      <select value=${sort} onChange=${(event) => show({ sort: event.target.value })}>
        ${SORTS.map(([name, text]) => html`<option value=${name}>${text}</option>`)}
      </select>
    </label>
  </div>`;
}

const chunks = (board, column) => {
  const [first, end] = board.chunksOf(column);
  return end - first <= 1 ? `chunk ${first}` : `chunks ${first}–${end - 1}`;
};

function Tip({ board, at, map }) {
  const machine = board.machines[at.row];
  const { x, y } = map.middleOf(at);
  const level = machine.level(at.column);
  const source = SOURCES[machine.source(at.column)];
  const many = board.machines.length <= COUNTED_MAX ? holders(board, at.column) : null;
  const isRight = x > map.width - 300;
  const isLow = y > map.height - 150;
  const style = {
    transform: `translate(${x + (isRight ? -14 : 14)}px, ${y + (isLow ? -14 : 14)}px) translate(${isRight ? "-100%" : "0"}, ${isLow ? "-100%" : "0"})`,
  };
  return html`<div class="tip" style=${style}>
    <p class="head"><strong>${format.address(machine.host, machine.port)}</strong>
      <${State} of=${machine.state} origin=${machine.is_origin} /></p>
    <p>${board.zones[machine.zone_index] || "no zone"} · ${format.progress(board.share(machine))} ·
      ↓ ${format.rate(machine.received_bytes_per_s)} ↑ ${format.rate(machine.sent_bytes_per_s)}</p>
    ${machine.cause && html`<p><${Cause} of=${machine.cause} /> ${machine.why}</p>`}
    <p class="cell"><i class=${source}></i>${chunks(board, at.column)}: ${machine.is_origin ? "here from the start" : level === 0 ? "not here" : level === 9 ? sourceText(source) : `partly here, ${sourceText(source)}`}
      ${many !== null && html`<small> · whole on ${format.plural(many, "machine")}</small>`}</p>
  </div>`;
}

function sourceText(source) {
  return { origin: "from the origin", near: "from peers nearby", far: "from peers elsewhere", local: "was here before" }[source];
}

function holders(board, column) {
  let many = 0;
  for (const machine of board.machines) {
    if (!machine.isGone && machine.level(column) === 9) many += 1;
  }
  return many;
}

function spoken(board, { row, column }) {
  const machine = board.machines[row];
  if (!machine) return "";
  const level = machine.level(column);
  const here = level === 0 ? "not here" : level === 9 ? "here" : "partly here";
  return `${format.address(machine.host, machine.port)}, ${format.progress(board.share(machine))}, ${chunks(board, column)} ${here}`;
}
