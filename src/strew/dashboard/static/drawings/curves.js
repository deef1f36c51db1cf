// The two charts of a transfer: how many machines are done, and how fast bytes move.
import * as format from "../parts/format.js";
import { html, useMemo, useRef } from "../parts/html.js";
import uPlot from "../vendor/uplot/uPlot.js";
import { Chart, mark } from "./chart.js";

const ZONES_MAX = 6; // lines of their own: more are not told apart

const time = (at) => (at < 120 ? `${Number(at.toFixed(1))} s` : format.seconds(at));

// Steps of the axis of rates: round in the units that stand beside them.
const RATE_STEPS = [0, 1, 2, 3, 4].flatMap((power) =>
  [1, 2, 5, 10, 20, 50, 100, 200, 500].map((step) => step * 1024 ** power),
);
const axisRate = (bytes) => {
  for (const [unit, scale] of [["TiB", 4], ["GiB", 3], ["MiB", 2], ["KiB", 1]]) {
    if (bytes >= 1024 ** scale) return `${Number((bytes / 1024 ** scale).toFixed(1))} ${unit}/s`;
  }
  return `${bytes} B/s`;
};

// The share of machines done against time, the transfer before it, and the bound.
export function Completion({ board, version }) {
  const facts = useRef(board);
  facts.current = board;
  const make = useMemo(
    () => (colours) => {
      const steps = uPlot.paths.stepped({ align: 1 });
      return {
        time,
        value: (part) => `${Math.round(part)} %`,
        scales: {
          x: { range: (_, low, high) => [0, Math.max(1.02 * high, 1)] },
          y: { range: [0, 104] },
        },
        series: [
          { label: "this transfer", stroke: colours.good, width: 2.5, fill: `${colours.good}22`, paths: steps, spanGaps: true },
          { label: "the one before", stroke: colours.faint, dash: [5, 4], width: 1.5, paths: steps, spanGaps: true },
        ],
        hooks: {
          draw: [
            (chart) => {
              const { bound_seconds: bound, line_seconds: line } = facts.current.progress;
              if (bound) mark(chart, bound, `bound ${format.seconds(bound)}`, colours.accent);
              if (line && bound && line < 0.9 * bound) mark(chart, line, "file / link", colours.faint, 1);
            },
          ],
        },
      };
    },
    [],
  );
  const data = useMemo(() => {
    const { progress, previous } = board;
    const own = curve(board.times_s, progress.total, progress.over ? null : board.now_s);
    const before = previous ? curve(previous.times_s, previous.total, null) : [[0], [0]];
    const joined = uPlot.join([own, before]);
    const last = joined[0][joined[0].length - 1];
    const end = Math.max(last, 1.06 * (progress.bound_seconds ?? 0));
    if (end > last) {
      joined[0].push(end);
      joined[1].push(null);
      joined[2].push(null);
    }
    return joined;
  }, [board, version]);
  const done = board.progress.done;
  const label = `${done} of ${board.progress.total} machines done`;
  return html`<${Chart} make=${make} data=${data} label=${label} />`;
}

function curve(timesS, total, now) {
  const at = [0];
  const part = [0];
  timesS.forEach((second, place) => {
    const value = (100 * (place + 1)) / Math.max(total, 1);
    // several at the same moment are one step
    if (second === at[at.length - 1]) part[part.length - 1] = value;
    else {
      at.push(second);
      part.push(value);
    }
  });
  if (now !== null && now > at[at.length - 1]) {
    at.push(now);
    part.push(part[part.length - 1]);
  }
  return [at, part];
}

// The zones that receive, if they are few enough to be told apart.
function zonesOf(board) {
  const zones = new Set(board.machines.filter((of) => !of.is_origin).map((of) => of.zone_index));
  return zones.size > 1 && zones.size <= ZONES_MAX ? [...zones].sort((a, b) => a - b) : [];
}

// Bytes a second: the whole fleet, the origin, and each zone where there are several.
export function Throughput({ board, version }) {
  const zones = zonesOf(board);
  const make = useMemo(
    () => (colours) => ({
      time,
      value: (bytes) => axisRate(bytes),
      incrs: RATE_STEPS,
      scales: {
        x: { range: (_, low, high) => [0, Math.max(1.02 * high, 1)] },
        y: { range: (_, low, high) => [0, Math.max(high * 1.08, 1024)] },
      },
      series: [
        { label: "all machines receive", stroke: colours.accent, width: 2.5, fill: `${colours.accent}1c` },
        { label: "the origin sends", stroke: colours.sources[1], width: 2 },
        ...zones.map((zone, place) => ({
          label: board.zones[zone] || "no zone",
          stroke: colours.zones[place],
          width: 1.25,
          spanGaps: true,
        })),
      ],
    }),
    [zones.join()],
  );
  const data = useMemo(() => {
    const { at_s: at, fleet, origin } = board.rates;
    const columns = [at, fleet, origin, ...zones.map((zone) => board.rates.zones[zone] ?? [])];
    return columns.map((column) => (at.length ? [...column] : [0]));
  }, [board, version, zones.length]);
  const label = `${format.rate(board.progress.rate_bytes_per_s)} received by all machines`;
  return html`<${Chart} make=${make} data=${data} label=${label} />`;
}
