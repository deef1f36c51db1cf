// Who sent to whom in the last ten seconds: machines stand on a circle, by zone; what goes from one
// zone to another is bundled through the two zones' hubs, so that the traffic between zones is one
// rope and not a thousand threads (Holten 2006, with the zones as the only level).
import { onPalette, palette } from "./palette.js";

const ARC_SPACE = 0.05; // of the circle, between two zones
const SIDES_PX = 76;
const THREADS_MAX = 1200; // drawn, the largest: more only darken the middle

export class Flows {
  constructor(canvas) {
    this._canvas = canvas;
    this._context = canvas.getContext("2d");
    this._forget = onPalette(() => this._paint());
    this._places = new Map();
    this.pointed = null;
  }

  close() {
    this._forget();
  }

  resize(width, height, ratio) {
    this._canvas.width = Math.round(width * ratio);
    this._canvas.height = Math.round(height * ratio);
    Object.assign(this, { width, height, ratio });
    this.show(this._board);
  }

  show(board) {
    this._board = board;
    if (!board || !this.width) return;
    this._place();
    this._paint();
  }

  point(x, y) {
    const { x: cx, y: cy, radius } = this._circle();
    let best = null;
    let bestPx = 14;
    if (Math.abs(Math.hypot(x - cx, y - cy) - radius) < 26) {
      for (const [row, place] of this._places) {
        const px = Math.hypot(x - place.x, y - place.y);
        if (px < bestPx) [best, bestPx] = [row, px];
      }
    }
    if (best === this.pointed) return best;
    this.pointed = best;
    this._paint();
    return best;
  }

  placeOf(row) {
    return this._places.get(row);
  }

  _circle() {
    // room for the names of zones beside the circle
    const radius = Math.min(this.width / 2 - SIDES_PX, this.height / 2 - 30);
    return { x: this.width / 2, y: this.height / 2, radius: Math.max(40, radius) };
  }

  _place() {
    const board = this._board;
    const { x: cx, y: cy, radius } = this._circle();
    const involved = new Set(board.flows.flatMap(([from, to]) => [from, to]));
    const zones = new Map();
    for (const machine of board.machines) {
      if (machine.isGone && !involved.has(machine.row)) continue;
      const list = zones.get(machine.zone_index) ?? [];
      list.push(machine);
      zones.set(machine.zone_index, list);
    }
    const groups = [...zones].sort((a, b) =>
      board.zones[a[0]].localeCompare(board.zones[b[0]], "en", { numeric: true }),
    );
    const total = groups.reduce((sum, [, list]) => sum + list.length, 0) || 1;
    const spaces = groups.length > 1 ? Math.min(ARC_SPACE, 0.4 / groups.length) : 0;
    const free = 2 * Math.PI * (1 - spaces * groups.length);
    let angle = -Math.PI / 2;
    this._places = new Map();
    this._arcs = [];
    for (const [zone, list] of groups) {
      const wide = (free * list.length) / total;
      const middle = angle + wide / 2;
      const reach = groups.length > 1 ? 0.5 : 0;
      const hub = { x: cx + reach * radius * Math.cos(middle), y: cy + reach * radius * Math.sin(middle) };
      this._arcs.push({ zone, from: angle, to: angle + wide, middle });
      list.forEach((machine, place) => {
        const at = angle + (wide * (place + 0.5)) / list.length;
        const spot = { x: cx + radius * Math.cos(at), y: cy + radius * Math.sin(at), angle: at };
        this._places.set(machine.row, { ...spot, hub, zone });
      });
      angle += wide + 2 * Math.PI * spaces;
    }
  }

  _paint() {
    const board = this._board;
    if (!board || !this._arcs) return;
    const context = this._context;
    const colours = palette();
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const largest = board.flows.reduce((most, flow) => Math.max(most, flow[2]), 1);
    const crowd = Math.max(1, Math.sqrt(board.flows.length / 40));
    context.lineCap = "round";
    const pointed = this.pointed;
    const drawn = board.flows.slice(0, THREADS_MAX);
    for (let place = drawn.length - 1; place >= 0; place -= 1) {
      const [from, to, bytes] = drawn[place];
      const isPointed = pointed !== null && (from === pointed || to === pointed);
      this._thread(from, to, {
        part: bytes / largest,
        crowd,
        alpha: pointed === null ? 1 : isPointed ? 1.6 : 0.15,
        colours,
      });
    }
    this._circleOf(context, colours);
  }

  _thread(from, to, { part, crowd, alpha, colours }) {
    const a = this._places.get(from);
    const b = this._places.get(to);
    if (!a || !b) return;
    const context = this._context;
    const machine = this._board.machines[from];
    const colour = machine.is_origin ? 1 : a.zone === b.zone ? 2 : 3;
    context.strokeStyle = colours.sources[colour];
    context.globalAlpha = Math.min(0.95, (alpha * (0.2 + 0.6 * part)) / Math.sqrt(crowd));
    context.lineWidth = Math.max(0.6, (4.5 * Math.sqrt(part)) / Math.sqrt(crowd));
    context.beginPath();
    context.moveTo(a.x, a.y);
    if (a.zone === b.zone) {
      const { x: cx, y: cy } = this._circle();
      const pull = this._arcs.length > 1 ? a.hub : { x: cx, y: cy };
      context.quadraticCurveTo(pull.x, pull.y, b.x, b.y);
    } else {
      context.bezierCurveTo(a.hub.x, a.hub.y, b.hub.x, b.hub.y, b.x, b.y);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  _circleOf(context, colours) {
    const { x: cx, y: cy, radius } = this._circle();
    context.lineCap = "butt";
    context.font = `11px ${colours.font}`;
    context.textBaseline = "middle";
    for (const { zone, from, to, middle } of this._arcs) {
      context.strokeStyle = colours.line;
      context.lineWidth = 5;
      context.beginPath();
      context.arc(cx, cy, radius + 6, from, to);
      context.stroke();
      const name = this._board.zones[zone];
      if (!name || this._arcs.length > 24) continue;
      context.fillStyle = colours.muted;
      const isRight = Math.cos(middle) > 0.25;
      const isLeft = Math.cos(middle) < -0.25;
      context.textAlign = isRight ? "left" : isLeft ? "right" : "center";
      const away = radius + 17;
      context.fillText(name, cx + away * Math.cos(middle), cy + away * Math.sin(middle));
    }
    const dot = Math.max(1.2, Math.min(4.5, (radius * 2) / Math.max(8, this._places.size)));
    for (const [row, place] of this._places) {
      const machine = this._board.machines[row];
      context.fillStyle = machine.is_origin
        ? colours.sources[1]
        : machine.lags
          ? colours.bad
          : machine.isDone
            ? colours.good
            : colours.muted;
      context.beginPath();
      context.arc(place.x, place.y, row === this.pointed ? dot + 3 : dot, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

// The largest flows between zones, for those who read: [[from zone, to zone, bytes], ...].
export function betweenZones(board) {
  const sums = new Map();
  for (const [from, to, bytes] of board.flows) {
    const a = board.machines[from];
    const b = board.machines[to];
    if (!a || !b) continue;
    const left = a.is_origin ? "origin" : board.zones[a.zone_index] || "machines";
    const right = board.zones[b.zone_index] || "machines";
    const key = `${left}\n${right}`;
    sums.set(key, (sums.get(key) ?? 0) + bytes);
  }
  return [...sums]
    .map(([key, bytes]) => [...key.split("\n"), bytes])
    .sort((a, b) => b[2] - a[2]);
}
