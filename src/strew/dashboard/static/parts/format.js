// Numbers as people read them. Sizes are 1024-based, as everywhere in strew; an absent number is a
// dash, never a zero.
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
export const DASH = "–";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export function size(bytes) {
  if (!isNumber(bytes)) return DASH;
  let unit = 0;
  let value = Math.abs(bytes);
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${bytes < 0 ? "-" : ""}${value.toFixed(digits)} ${UNITS[unit]}`;
}

export const rate = (bytes) => (isNumber(bytes) ? `${size(bytes)}/s` : DASH);

export function seconds(value) {
  if (!isNumber(value)) return DASH;
  if (value < 0) return `-${seconds(-value)}`;
  if (value < 9.95) return `${value.toFixed(1)} s`;
  if (value < 119.5) return `${Math.round(value)} s`;
  const whole = Math.round(value);
  if (whole < 7200) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  if (whole < 172800) {
    return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
  }
  return `${Math.floor(whole / 86400)} days`;
}

// A time that was measured, and does not run any more.
export function exact(value) {
  if (!isNumber(value) || value < 0 || value >= 99.95) return seconds(value);
  return `${value.toFixed(value < 1 ? 2 : 1)} s`;
}

export const percent = (part, digits = 0) =>
  isNumber(part) ? `${(100 * part).toFixed(digits)} %` : DASH;

// A share that is not all is never shown as 100 %.
export function progress(part) {
  if (!isNumber(part)) return DASH;
  const shown = Math.floor(1000 * part + 1e-9) / 10;
  return `${part >= 1 ? "100" : shown.toFixed(shown < 10 ? 1 : 0)} %`;
}

export const times = (ratio, digits = 2) => (isNumber(ratio) ? `${ratio.toFixed(digits)}×` : DASH);

export const count = (value) =>
  isNumber(value) ? Math.round(value).toLocaleString("en").replaceAll(",", " ") : DASH;

export const shortId = (id) => {
  const text = String(id ?? "");
  return text.startsWith("blake3:") ? text.slice(7, 17) : text.slice(0, 8);
};

export const address = (host, port) =>
  String(host).includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export function ago(unixS) {
  if (!isNumber(unixS) || unixS <= 0) return DASH;
  const past = Date.now() / 1000 - unixS;
  return past < 1.5 ? "just now" : `${seconds(past)} ago`;
}

export function clock(unixS) {
  if (!isNumber(unixS) || unixS <= 0) return DASH;
  const at = new Date(unixS * 1000);
  const time = at.toLocaleTimeString("en-GB");
  return new Date().toDateString() === at.toDateString()
    ? time
    : `${at.toLocaleDateString("sv-SE")} ${time}`;
}
