// Where one is: everything a view shows stands in the address behind "#", so that it can be
// shared: #/transfer/app:2?zone=rack1&sort=rate.
import { useEffect, useState } from "../parts/html.js";

const listeners = new Set();

export function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const slash = path.indexOf("/");
  const view = slash < 0 ? path : path.slice(0, slash);
  const of = slash < 0 ? "" : decodeURIComponent(path.slice(slash + 1));
  return { view, of, query: Object.fromEntries(new URLSearchParams(query)) };
}

export function link(view, of = "", query = {}) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== "" && value !== undefined && value !== null) asked.set(name, value);
  }
  // references stay readable: a colon and a slash need no escape behind "#"
  const shown = encodeURIComponent(of).replaceAll("%3A", ":").replaceAll("%2F", "/");
  const text = asked.toString();
  return `#/${view}${of ? `/${shown}` : ""}${text ? `?${text}` : ""}`;
}

export const go = (view, of, query) => {
  location.hash = link(view, of, query);
};

// Change what the view shows, not where one is: no step in the history.
export function show(changes) {
  const here = route();
  history.replaceState(null, "", link(here.view, here.of, { ...here.query, ...changes }));
  listeners.forEach((listener) => listener());
}

window.addEventListener("hashchange", () => listeners.forEach((listener) => listener()));

export function useRoute() {
  const [here, set] = useState(route);
  useEffect(() => {
    const look = () => set(route());
    listeners.add(look);
    return () => listeners.delete(look);
  }, []);
  return here;
}
