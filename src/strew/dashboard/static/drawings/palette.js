// Colours, read from the style sheet so that there is one place for them. They are those of Okabe
// and Ito (2008), told apart by people with any colour vision; no colour stands without a word or a
// shape beside it.
const listeners = new Set();
let known = null;

function read() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    panel: of("panel"),
    empty: of("empty"),
    line: of("line"),
    text: of("text"),
    muted: of("muted"),
    faint: of("faint"),
    accent: of("accent"),
    good: of("good"),
    warn: of("warn"),
    bad: of("bad"),
    sources: [of("empty"), of("origin"), of("near"), of("far"), of("local")],
    zones: [1, 2, 3, 4, 5, 6].map((number) => of(`zone-${number}`)),
    font: style.getPropertyValue("--sans").trim(),
  };
}

export function palette() {
  known ??= read();
  return known;
}

export function onPalette(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function repaint() {
  known = null;
  listeners.forEach((listener) => listener());
}

export function rgb(hex) {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

// A pixel as a canvas keeps it in memory; every machine that has a browser is little-endian.
export const pixel = ([red, green, blue], alpha = 255) =>
  ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;

export function mixed(from, to, part) {
  return from.map((channel, place) => Math.round(channel + (to[place] - channel) * part));
}
