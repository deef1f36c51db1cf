// What views ask of the API, kept up to date while they are shown.
import { useEffect, useRef, useState } from "../parts/html.js";
import { artifactOf, ask } from "./api.js";
import { Board } from "./board.js";
import { Stream } from "./stream.js";

// Asked once, and again every `everyMs` if that is given: {value, error}.
export function useAsked(path, everyMs = 0) {
  const [state, set] = useState({ value: null, error: null });
  useEffect(() => {
    if (!path) return undefined;
    const stop = new AbortController();
    let timer = 0;
    const look = async () => {
      try {
        const value = await ask(path, { signal: stop.signal });
        set({ value, error: null });
      } catch (error) {
        if (stop.signal.aborted) return;
        set((known) => ({ value: known.value, error }));
      }
      if (everyMs && !stop.signal.aborted) timer = setTimeout(look, everyMs);
    };
    set({ value: null, error: null });
    look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs]);
  return state;
}

// Asked again when an event of these kinds comes, at most every `apartMs`.
export function useTold(path, kinds, apartMs = 1000) {
  const [state, set] = useState({ value: null, error: null });
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    let isDue = false;
    const look = async () => {
      isDue = false;
      try {
        set({ value: await ask(path, { signal: stop.signal }), error: null });
      } catch (error) {
        if (stop.signal.aborted) return;
        set((known) => ({ value: known.value, error }));
      }
      timer = stop.signal.aborted ? 0 : setTimeout(rest, apartMs);
    };
    const rest = () => {
      timer = 0;
      if (isDue) look();
    };
    const nudge = () => {
      isDue = true;
      if (!timer) {
        timer = -1;
        look();
      }
    };
    const stream = new Stream(`kinds=${kinds}`, { onEvent: nudge });
    nudge();
    return () => {
      stop.abort();
      clearTimeout(timer);
      stream.close();
    };
  }, [path, kinds, apartMs]);
  return state;
}

// The board of one transfer, and what changes on it. {board, error, version}: the board is one
// object that changes in place, `version` grows with each change.
export function useBoard(reference) {
  const [state, set] = useState({ board: null, error: null, version: 0 });
  const current = useRef(null);
  useEffect(() => {
    const stop = new AbortController();
    let stream = null;
    let isLoading = false;
    const tell = () =>
      set((known) => ({ board: current.current, error: null, version: known.version + 1 }));
    const load = async (artifact) => {
      if (isLoading) return;
      isLoading = true;
      try {
        const snapshot = await ask(`swarms/${artifact}/board`, { signal: stop.signal });
        current.current = new Board(snapshot);
        tell();
        return snapshot.event_id;
      } finally {
        isLoading = false;
      }
    };
    const begin = async () => {
      const artifact = await artifactOf(reference, { signal: stop.signal });
      const lastId = await load(artifact);
      if (stop.signal.aborted) return;
      const query = `kinds=board&artifact=${encodeURIComponent(artifact)}`;
      stream = new Stream(query, {
        lastId,
        onEvent: (kind, data) => {
          if (kind === "open") {
            if (!data.resumed) load(artifact).catch(() => {});
          } else if (kind === "board" && current.current && data.artifact === artifact) {
            current.current.apply(data);
            tell();
          }
        },
      });
    };
    current.current = null;
    set({ board: null, error: null, version: 0 });
    begin().catch((error) => {
      if (!stop.signal.aborted) set({ board: null, error, version: 0 });
    });
    return () => {
      stop.abort();
      stream?.close();
    };
  }, [reference]);
  return state;
}
