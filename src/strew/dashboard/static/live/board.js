// One transfer as the process sees it: a snapshot, and what changed since. Rows keep their place
// for as long as the process lives. See "Board" in docs/PROTOCOL.md.
import { address } from "../parts/format.js";

export const FIELDS = [
  "id",
  "host",
  "port",
  "zone_index",
  "state",
  "is_origin",
  "follows",
  "have_chunks",
  "received_bytes_per_s",
  "sent_bytes_per_s",
  "done_s",
  "silent_s",
  "cause",
  "why",
  "remedy",
  "received_bytes",
  "received_origin_bytes",
  "reused_bytes",
  "sent_bytes",
  "duplicate_bytes",
  "neighbours",
  "cells",
];

const PLACE = Object.fromEntries(FIELDS.map((name, place) => [name, place]));

export const NOTHING = 40; // "(": nothing of a column is there
export const SOURCES = ["missing", "origin", "near", "far", "local"];

// Points of the rates that are kept; beyond that every second one goes.
const POINTS_MAX = 480;

// Causes that ask somebody to look; the rest passes by itself.
export const CAUSES = {
  starting: { text: "starting", weight: 1 },
  "slow-down": { text: "slow downlink", weight: 4 },
  "slow-up": { text: "slow uplink", weight: 3 },
  "slow-disk": { text: "slow disk", weight: 5 },
  "few-neighbours": { text: "few neighbours", weight: 4 },
  "bad-chunks": { text: "bad chunks", weight: 6 },
  banned: { text: "banned", weight: 6 },
  "no-holder": { text: "no holder", weight: 7 },
  stalled: { text: "stalled", weight: 8 },
  "cut-off": { text: "cut off", weight: 9 },
  ended: { text: "ended", weight: 8 },
  paused: { text: "paused", weight: 7 },
  failed: { text: "failed", weight: 9 },
};

export class Machine {
  constructor(row, values) {
    this.row = row;
    for (let place = 0; place < FIELDS.length; place += 1) this[FIELDS[place]] = values[place];
  }

  // 0: nothing, 9: all of the column is there.
  level(column) {
    const code = this.cells.charCodeAt(column) - NOTHING;
    return code <= 0 ? 0 : code % 10;
  }

  source(column) {
    const code = this.cells.charCodeAt(column) - NOTHING;
    return code <= 0 ? 0 : 1 + Math.floor(code / 10);
  }

  get isDone() {
    return this.state === "seeding";
  }

  get isGone() {
    return this.state === "gone";
  }

  get lags() {
    return Boolean(this.cause) && !this.isDone && !this.is_origin;
  }
}

export class Board {
  constructor(snapshot) {
    Object.assign(this, snapshot);
    this.machines = snapshot.machines.map((values, row) => new Machine(row, values));
    this.heardMs = performance.now();
    // rows whose cells changed since a drawing last asked
    this.dirty = new Set();
    this.version = 0;
  }

  // Seconds since the publication, by the clock of this page between two events.
  elapsed() {
    if (this.progress.over) return this.now_s;
    return this.now_s + (performance.now() - this.heardMs) / 1000;
  }

  share(machine) {
    return this.chunk_count ? machine.have_chunks / this.chunk_count : 0;
  }

  // What to call a machine: its host, with the port where several share one.
  nameOf(machine) {
    if (this._named !== this.machines.length) {
      this._named = this.machines.length;
      this._perHost = new Map();
      for (const { host } of this.machines) {
        this._perHost.set(host, (this._perHost.get(host) ?? 0) + 1);
      }
    }
    const isShared = this._perHost.get(machine.host) > 1;
    return isShared ? address(machine.host, machine.port) : machine.host;
  }

  // The first chunk of a column, and the first behind it.
  chunksOf(column) {
    const first = Math.floor((column * this.chunk_count) / this.columns);
    return [first, Math.floor(((column + 1) * this.chunk_count) / this.columns)];
  }

  apply(delta) {
    this.now_s = delta.now_s;
    this.heardMs = performance.now();
    this.progress = delta.progress ?? this.progress;
    for (const values of delta.joined ?? []) {
      const machine = new Machine(this.machines.length, values);
      this.machines.push(machine);
      this.dirty.add(machine.row);
    }
    for (const [row, changes] of delta.machines ?? []) {
      const machine = this.machines[row];
      if (!machine) continue;
      for (const [name, value] of Object.entries(changes)) {
        if (name in PLACE) machine[name] = value;
      }
      this.dirty.add(row);
    }
    for (const [row, start, chars] of delta.cells ?? []) {
      const machine = this.machines[row];
      if (!machine) continue;
      const { cells } = machine;
      machine.cells = cells.slice(0, start) + chars + cells.slice(start + chars.length);
      this.dirty.add(row);
    }
    if (delta.zones) this.zones = delta.zones;
    if (delta.times_s?.length) {
      this.times_s.push(...delta.times_s);
      this.times_s.sort((a, b) => a - b);
    }
    if (delta.rates) this._addRates(delta.rates);
    if (delta.flows) this.flows = delta.flows;
    this.version += 1;
  }

  _addRates([atS, fleet, origin, zones]) {
    const { rates } = this;
    rates.at_s.push(atS);
    rates.fleet.push(fleet);
    rates.origin.push(origin);
    zones.forEach((value, zone) => {
      // a zone that came later was silent before
      rates.zones[zone] ??= new Array(rates.at_s.length - 1).fill(0);
      rates.zones[zone].push(value);
    });
    if (rates.at_s.length <= POINTS_MAX) return;
    // the newest point stays
    const thin = (list) => list.filter((_, place) => (list.length - 1 - place) % 2 === 0);
    rates.at_s = thin(rates.at_s);
    rates.fleet = thin(rates.fleet);
    rates.origin = thin(rates.origin);
    rates.zones = rates.zones.map(thin);
  }

  // Machines that lag, the worst first.
  stragglers() {
    const weight = (machine) => CAUSES[machine.cause]?.weight ?? 2;
    return this.machines
      .filter((machine) => machine.lags)
      .sort((a, b) => weight(b) - weight(a) || a.have_chunks - b.have_chunks || a.row - b.row);
  }
}
