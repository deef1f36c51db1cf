// The token of whoever looks. It comes in the address behind "#", which a browser sends nowhere,
// and is taken out of it at once, so that it stays in no history and in no address that is shared.
// It is kept for this tab alone.
const KEY = "strew.token";
const listeners = new Set();

export function takeToken() {
  const found = /^#token=([^&]+)(?:&(.*))?$/.exec(location.hash);
  if (!found) return;
  sessionStorage.setItem(KEY, decodeURIComponent(found[1]));
  const view = found[2] && found[2].startsWith("/") ? found[2] : "/";
  history.replaceState(null, "", `${location.pathname}#${view}`);
}

export const token = () => sessionStorage.getItem(KEY) ?? "";

export function signIn(text) {
  // the whole address that `strew serve` prints is as good as the token in it
  const given = /token=([^&\s]+)/.exec(text);
  sessionStorage.setItem(KEY, given ? decodeURIComponent(given[1]) : text.trim());
  for (const listener of listeners) listener();
}

export function signOut() {
  if (!token()) return;
  sessionStorage.removeItem(KEY);
  for (const listener of listeners) listener();
}

export function onSession(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
