// The map of chunks: a line for each machine, a column for each run of chunks, the colour is where
// they came from and how many of them are there.
//
// All cells lie in one image of a pixel each, in the order of the lines. Only lines that changed
// are written anew, and a frame copies the part one looks at, so that what is not seen costs
// nothing. With more lines than pixels the lines of a pixel are averaged, and of their states the
// worst is shown: one odd machine among thousands still shows.
import { NOTHING } from "../live/board.js";
import { mixed, onPalette, palette, pixel, rgb } from "./palette.js";

const LEVELS = 10;
const CODES = LEVELS * 4 + 1;
// A column of which little is there is still told from an empty one.
const FAINTEST = 0.28;
const GUTTER_PX = 108;
const STRIP_PX = 10;
const LINE_PX_MAX = 24;
const SMALL_FLEET = 40;
const LABELS_FROM_PX = 13;
const ZOOM_LINES_MIN = 4;

export class ChunkMap {
  constructor(canvas) {
    this.canvas = canvas;
    this.lines = new Int32Array(0); // rows of the board from above, -1 for a space between zones
    this.groups = [];
    this.top = 0;
    this.shown = 1; // lines in sight
    this.cursor = null; // {line, column}
    this.frames = 0;
    this._board = null;
    this._frame = 0;
    this._context = canvas.getContext("2d");
    this._cells = document.createElement("canvas");
    this._small = document.createElement("canvas");
    this._forget = onPalette(() => this._recolour());
    this._colour();
  }

  close() {
    this._forget();
    cancelAnimationFrame(this._frame);
  }

  // The order of lines changed, or the board did.
  arrange(board, lines, groups) {
    const isNew = this._board !== board;
    const wasWhole = isNew || this.shown >= this.lines.length;
    this._board = board;
    this.lines = lines;
    this.groups = groups;
    this._lineOf = new Map();
    lines.forEach((row, line) => row >= 0 && this._lineOf.set(row, line));
    if (wasWhole) this.whole();
    else this.look(this.top, this.shown);
    this._fill();
  }

  // Cells of these rows changed.
  update(rows) {
    if (!this._image) return;
    let first = Infinity;
    let last = -1;
    for (const row of rows) {
      const line = this._lineOf.get(row);
      if (line === undefined) continue;
      this._write(line);
      first = Math.min(first, line);
      last = Math.max(last, line);
    }
    if (last < 0) return;
    const context = this._cells.getContext("2d");
    context.putImageData(this._image, 0, 0, 0, first, this._width, last - first + 1);
    this.draw();
  }

  whole() {
    this.look(0, this.lines.length);
  }

  // Show `shown` lines from `top`.
  look(top, shown) {
    const all = Math.max(1, this.lines.length);
    this.shown = Math.min(all, Math.max(Math.min(ZOOM_LINES_MIN, all), shown));
    this.top = Math.min(Math.max(0, top), all - this.shown);
    this.draw();
  }

  // Zoom by a factor around a line that stays where it is.
  zoom(factor, around = this.top + this.shown / 2) {
    const shown = Math.min(this.lines.length, Math.max(ZOOM_LINES_MIN, this.shown * factor));
    this.look(around - ((around - this.top) * shown) / this.shown, shown);
  }

  get isWhole() {
    return this.shown >= this.lines.length;
  }

  // How high it wants to be: lines of a small fleet are not blown up.
  heightFor(most) {
    return Math.max(64, Math.min(most, this.lines.length * LINE_PX_MAX));
  }

  resize(width, height, ratio) {
    this._ratio = ratio;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.gutter = width < 560 ? 72 : GUTTER_PX;
    this.width = width;
    this.height = height;
    this._paint();
  }

  // {line, row, column} under a point of the canvas in CSS pixels; null outside of the cells.
  at(x, y) {
    const across = (x - this.gutter) / (this.width - this.gutter - STRIP_PX - 2);
    const line = Math.floor(this.top + (y / this.height) * this.shown);
    const row = this.lines[line];
    if (across < 0 || row === undefined || row < 0) return null;
    const columns = this._board.columns;
    return { line, row, column: Math.min(columns - 1, Math.floor(across * columns)) };
  }

  lineOf(row) {
    return this._lineOf.get(row);
  }

  // Where a cell is in CSS pixels: its middle.
  middleOf({ line, column }) {
    const columns = this._board?.columns || 1;
    const cells = this.width - this.gutter - STRIP_PX - 2;
    return {
      x: this.gutter + ((column + 0.5) / columns) * cells,
      y: ((line + 0.5 - this.top) / this.shown) * this.height,
    };
  }

  draw() {
    if (this._frame) return;
    this._frame = requestAnimationFrame(() => {
      this._frame = 0;
      this._paint();
    });
  }

  // --- colours --------------------------------------------------------------------------------

  _colour() {
    const colours = palette();
    const empty = rgb(colours.empty);
    this._pixels = new Uint32Array(CODES);
    this._pixels[0] = pixel(empty);
    for (let source = 1; source <= 4; source += 1) {
      const full = rgb(colours.sources[source]);
      for (let level = 1; level < LEVELS; level += 1) {
        const part = level === 9 ? 1 : FAINTEST + ((0.86 - FAINTEST) * (level - 1)) / 7;
        this._pixels[LEVELS * (source - 1) + level] = pixel(mixed(empty, full, part));
      }
    }
    const none = pixel(empty, 0);
    this._states = {
      lags: pixel(rgb(colours.bad)),
      gone: pixel(rgb(colours.faint)),
      done: pixel(rgb(colours.good)),
      origin: pixel(rgb(colours.sources[1])),
      fetching: pixel(mixed(empty, rgb(colours.muted), 0.45)),
      none,
    };
  }

  _recolour() {
    this._colour();
    this._fill();
  }

  _state(machine) {
    if (machine.lags) return this._states.lags;
    if (machine.isGone) return this._states.gone;
    if (machine.is_origin) return this._states.origin;
    return machine.isDone ? this._states.done : this._states.fetching;
  }

  // --- the image of all cells -----------------------------------------------------------------

  _fill() {
    if (!this._board || !this.lines.length) return;
    this._width = this._board.columns + 1; // the last pixel of a line is the machine's state
    this._cells.width = this._width;
    this._cells.height = this.lines.length;
    const context = this._cells.getContext("2d");
    this._image = context.createImageData(this._width, this.lines.length);
    this._memory = new Uint32Array(this._image.data.buffer);
    this._lags = new Uint8Array(this.lines.length);
    for (let line = 0; line < this.lines.length; line += 1) this._write(line);
    context.putImageData(this._image, 0, 0);
    this.draw();
  }

  _write(line) {
    const row = this.lines[line];
    const start = line * this._width;
    if (row < 0) {
      this._memory.fill(0, start, start + this._width);
      return;
    }
    const machine = this._board.machines[row];
    const { cells } = machine;
    const columns = this._board.columns;
    this._lags[line] = machine.lags ? 1 : 0;
    if (machine.is_origin) {
      // it has all of it from the start: where from is no question there
      this._memory.fill(this._pixels[6], start, start + columns);
      this._memory[start + columns] = this._states.origin;
      return;
    }
    for (let column = 0; column < columns; column += 1) {
      const code = cells.charCodeAt(column) - NOTHING;
      this._memory[start + column] = this._pixels[code > 0 && code < CODES ? code : 0];
    }
    this._memory[start + columns] = this._state(machine);
  }

  // --- one frame ------------------------------------------------------------------------------

  _paint() {
    const context = this._context;
    const { width, height } = this.canvas;
    if (!width || !this._image) return;
    this.frames += 1;
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = false;
    const ratio = this._ratio;
    const left = Math.round(this.gutter * ratio);
    const strip = Math.round(STRIP_PX * ratio);
    const across = width - left - strip - Math.round(2 * ratio);
    const columns = this._board.columns;
    const isDense = this.shown > height;
    const [image, top, lines] = isDense
      ? [this._averaged(height), 0, height]
      : [this._cells, this.top, this.shown];
    context.drawImage(image, 0, top, columns, lines, left, 0, across, height);
    context.drawImage(image, columns, top, 1, lines, width - strip, 0, strip, height);
    this._rule(context, left, across, height);
    this._label(context, ratio, height);
    this._point(context, ratio);
  }

  // Thin lines between machines, once there is room for them.
  _rule(context, left, across, height) {
    const linePx = height / this.shown;
    if (linePx < 7 * this._ratio) return;
    context.fillStyle = palette().panel;
    const thick = Math.max(1, Math.round(this._ratio));
    for (let line = Math.ceil(this.top); line <= this.top + this.shown; line += 1) {
      const y = Math.round((line - this.top) * linePx);
      context.fillRect(left, y - thick, this.canvas.width - left, thick);
    }
    for (const { first } of this.groups.slice(1)) {
      const y = Math.round((first - this.top) * linePx);
      context.fillRect(0, y - 3 * thick, this.canvas.width, 5 * thick);
    }
  }

  // Every pixel line is the mean of the lines in it.
  _averaged(height) {
    const width = this._width;
    if (this._small.width !== width || this._small.height !== height) {
      this._small.width = width;
      this._small.height = height;
      this._smallImage = null;
    }
    const context = this._small.getContext("2d");
    if (!this._smallImage) {
      this._smallImage = context.createImageData(width, height);
      this._smallMemory = new Uint32Array(this._smallImage.data.buffer);
    }
    const out = this._smallImage.data;
    const from = this._image.data;
    const sums = new Uint32Array(width * 3);
    for (let y = 0; y < height; y += 1) {
      const first = Math.floor(this.top + (y * this.shown) / height);
      const end = Math.max(first + 1, Math.floor(this.top + ((y + 1) * this.shown) / height));
      let count = 0;
      let lags = false;
      sums.fill(0);
      for (let line = first; line < end && line < this.lines.length; line += 1) {
        if (this.lines[line] < 0) continue;
        count += 1;
        lags ||= this._lags[line] === 1;
        let at = line * width * 4;
        for (let sum = 0; sum < sums.length; sum += 3, at += 4) {
          sums[sum] += from[at];
          sums[sum + 1] += from[at + 1];
          sums[sum + 2] += from[at + 2];
        }
      }
      let to = y * width * 4;
      for (let sum = 0; sum < sums.length; sum += 3, to += 4) {
        out[to] = count ? sums[sum] / count : 0;
        out[to + 1] = count ? sums[sum + 1] / count : 0;
        out[to + 2] = count ? sums[sum + 2] / count : 0;
        out[to + 3] = count ? 255 : 0;
      }
      if (lags) this._smallMemory[(y + 1) * width - 1] = this._states.lags;
    }
    context.putImageData(this._smallImage, 0, 0);
    return this._small;
  }

  _label(context, ratio, height) {
    const colours = palette();
    const linePx = height / this.shown / ratio;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const right = (this.gutter - 10) * ratio;
    const fit = (text) => this._fitted(context, text, right - 4 * ratio);
    if (linePx >= LABELS_FROM_PX) {
      context.font = `${11 * ratio}px ${colours.font}`;
      for (let line = Math.floor(this.top); line < this.top + this.shown; line += 1) {
        const machine = this._board.machines[this.lines[line]];
        if (!machine) continue;
        context.fillStyle = machine.lags ? colours.bad : colours.muted;
        context.fillText(fit(this._board.nameOf(machine)), right, this._y(line + 0.5, height));
      }
      return;
    }
    context.font = `${11 * ratio}px ${colours.font}`;
    let free = -Infinity;
    for (const { zone, first, count } of this.groups) {
      const from = Math.max(this._y(first, height), 0);
      const to = Math.min(this._y(first + count, height), height);
      const y = Math.min(Math.max((from + to) / 2, 9 * ratio), height - 9 * ratio);
      if (to <= from) continue;
      context.fillStyle = colours.line;
      context.fillRect(right + 4 * ratio, from, Math.max(1, 2 * ratio), to - from);
      if (y < free) continue; // zones thinner than a word: every one that has room
      context.fillStyle = colours.muted;
      context.fillText(fit(zone), right - 2 * ratio, y);
      free = y + 14 * ratio;
    }
  }

  _fitted(context, text, most) {
    if (context.measureText(text).width <= most) return text;
    let short = text;
    while (short.length > 3 && context.measureText(`…${short}`).width > most) {
      short = short.slice(1);
    }
    return `…${short}`;
  }

  _y(line, height) {
    return ((line - this.top) / this.shown) * height;
  }

  // The cell that is pointed at, by mouse or keys.
  _point(context, ratio) {
    if (!this.cursor) return;
    const { x, y } = this.middleOf(this.cursor);
    if (y < 0 || y > this.height) return;
    const linePx = Math.max(3, this.height / this.shown);
    const columnPx = Math.max(3, (this.width - this.gutter - STRIP_PX) / this._board.columns);
    context.strokeStyle = palette().text;
    context.globalAlpha = 0.35;
    context.lineWidth = ratio;
    const box = (left, top, wide, high) =>
      context.strokeRect(left * ratio, top * ratio, wide * ratio, high * ratio);
    box(this.gutter, y - linePx / 2, this.width - this.gutter, linePx);
    context.globalAlpha = 1;
    context.lineWidth = 2 * ratio;
    box(x - columnPx / 2 - 1, y - linePx / 2 - 1, columnPx + 2, linePx + 2);
  }
}

// The lines of a board: rows sorted, with spaces between zones. `sort` is "zone" (zone, then
// progress), "progress", "rate", "trouble" or "name"; `zone` shows that one alone.
export function linesOf(board, sort, zone) {
  const machines = board.machines.filter(
    (machine) => zone === "" || board.zones[machine.zone_index] === zone,
  );
  const byName = (a, b) => a.host.localeCompare(b.host, "en", { numeric: true }) || a.port - b.port;
  const order = {
    zone: (a, b) => b.is_origin - a.is_origin || b.have_chunks - a.have_chunks || a.row - b.row,
    progress: (a, b) => b.have_chunks - a.have_chunks || a.row - b.row,
    rate: (a, b) => b.received_bytes_per_s - a.received_bytes_per_s || a.row - b.row,
    trouble: (a, b) => b.lags - a.lags || a.have_chunks - b.have_chunks || a.row - b.row,
    name: byName,
  }[sort];
  machines.sort(order);
  if (sort !== "zone" || board.zones.length < 2) {
    return { lines: Int32Array.from(machines, (machine) => machine.row), groups: [] };
  }
  const groups = [];
  const lines = [];
  // in a small fleet a rule between two zones is enough
  const space = machines.length < SMALL_FLEET ? 0 : Math.max(1, Math.round(machines.length / 160));
  const zones = [...board.zones.keys()].sort((a, b) =>
    board.zones[a].localeCompare(board.zones[b], "en", { numeric: true }),
  );
  for (const index of zones) {
    const rows = machines.filter((machine) => machine.zone_index === index);
    if (!rows.length) continue;
    if (lines.length) lines.push(...new Array(space).fill(-1));
    groups.push({ zone: board.zones[index] || "no zone", first: lines.length, count: rows.length });
    lines.push(...rows.map((machine) => machine.row));
  }
  return { lines: Int32Array.from(lines), groups };
}
