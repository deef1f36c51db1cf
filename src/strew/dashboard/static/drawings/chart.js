// A chart over time (uPlot) that fills its place, follows the colours of the page, and is drawn
// again when its data change.
import { html, useEffect, useRef } from "../parts/html.js";
import uPlot from "../vendor/uplot/uPlot.js";
import { onPalette, palette } from "./palette.js";

const HEIGHT_PX = 232;

// `make(colours)` gives uPlot's series, axes' formats and what is drawn over it; `data` its columns.
export function Chart({ make, data, label }) {
  const place = useRef(null);
  const chart = useRef(null);
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    const build = () => {
      chart.current?.destroy();
      const width = place.current.clientWidth;
      chart.current = new uPlot(options(make, width), latest.current, place.current);
    };
    build();
    const forget = onPalette(build);
    const watch = new ResizeObserver(() => {
      const width = place.current?.clientWidth;
      if (width && width !== chart.current.width) chart.current.setSize({ width, height: HEIGHT_PX });
    });
    watch.observe(place.current);
    return () => {
      forget();
      watch.disconnect();
      chart.current.destroy();
    };
  }, [make]);
  useEffect(() => {
    chart.current?.setData(data);
  }, [data]);
  return html`<div class="chart" ref=${place} role="img" aria-label=${label}></div>`;
}

function options(make, width) {
  const colours = palette();
  const { series, value, time, incrs, hooks = {}, scales = {} } = make(colours);
  const axis = {
    stroke: colours.muted,
    font: `11px ${colours.font}`,
    grid: { stroke: colours.line, width: 1 },
    ticks: { show: false },
    gap: 6,
  };
  return {
    width,
    height: HEIGHT_PX,
    padding: [12, 12, 0, 0],
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    legend: { live: true },
    scales: { x: { time: false, ...scales.x }, y: scales.y ?? {} },
    axes: [
      { ...axis, size: 28, space: 70, values: (_, list) => list.map((at) => time(at)) },
      { ...axis, size: 76, space: 40, incrs, values: (_, list) => list.map((of) => value(of)) },
    ],
    series: [
      { label: "", value: (_, at) => (at === null || at === undefined ? "" : `after ${time(at)}`) },
      ...series.map((of) => ({
        width: 2,
        points: { show: false },
        value: (_, at) => (at === null || at === undefined ? "" : value(at)),
        ...of,
      })),
    ],
    hooks,
  };
}

// A vertical line with a word at its top, drawn over a chart.
export function mark(chart, at, text, colour, row = 0) {
  const x = Math.round(chart.valToPos(at, "x", true));
  const { left, top, width, height } = chart.bbox;
  if (x < left || x > left + width) return;
  const { ctx } = chart;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.fillStyle = colour;
  ctx.lineWidth = 1.5 * ratio;
  ctx.setLineDash([4 * ratio, 4 * ratio]);
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, top + height);
  ctx.stroke();
  ctx.font = `600 ${11 * ratio}px ${palette().font}`;
  const isLeft = x > left + width - ctx.measureText(text).width - 10 * ratio;
  ctx.textAlign = isLeft ? "right" : "left";
  ctx.textBaseline = "top";
  ctx.fillText(text, x + (isLeft ? -6 : 6) * ratio, top + (2 + 15 * row) * ratio);
  ctx.restore();
}
