// One stream of server-sent events, kept open. EventSource sends no Authorization header, so the
// lines are read here (https://html.spec.whatwg.org/multipage/server-sent-events.html).
import { open } from "./api.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
// The other end says something every 15 s; a connection that is silent for longer is dead.
const SILENT_MS = 40_000;

const streams = new Set();
const listeners = new Set();

// "live", "connecting" or "lost": the worst of all streams; "idle" without any.
export function connection() {
  const states = [...streams].map((stream) => stream.state);
  return ["lost", "connecting", "live"].find((state) => states.includes(state)) ?? "idle";
}

export function onConnection(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const tell = () => listeners.forEach((listener) => listener(connection()));

export class Stream {
  // `onEvent(kind, data)` is called for each event, "open" first, whose data say whether the
  // stream goes on after `lastId` without a gap.
  constructor(query, { lastId = "", onEvent }) {
    this.state = "connecting";
    this.lastId = String(lastId);
    this._query = query;
    this._onEvent = onEvent;
    this._stop = new AbortController();
    streams.add(this);
    this._run();
  }

  close() {
    this._stop.abort();
    streams.delete(this);
    tell();
  }

  async _run() {
    let waitMs = FIRST_WAIT_MS;
    while (!this._stop.signal.aborted) {
      try {
        await this._read(() => {
          waitMs = FIRST_WAIT_MS;
        });
      } catch (error) {
        if (this._stop.signal.aborted) return;
        if (error.status === 401 || error.status === 404) waitMs = LONGEST_WAIT_MS;
      }
      if (this._stop.signal.aborted) return;
      this._become("lost");
      await new Promise((done) => setTimeout(done, waitMs * (0.7 + 0.3 * Math.random())));
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
    }
  }

  _become(state) {
    if (this.state === state) return;
    this.state = state;
    tell();
  }

  async _read(onHeard) {
    const attempt = new AbortController();
    const end = () => attempt.abort();
    this._stop.signal.addEventListener("abort", end);
    let timer = setTimeout(end, SILENT_MS);
    try {
      const headers = this.lastId ? { "Last-Event-ID": this.lastId } : {};
      const answer = await open(`events?${this._query}`, { signal: attempt.signal, headers });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(end, SILENT_MS);
        onHeard();
        const frames = (rest + value).split("\n\n");
        rest = frames.pop();
        for (const frame of frames) this._take(frame);
      }
    } finally {
      clearTimeout(timer);
      this._stop.signal.removeEventListener("abort", end);
      end();
    }
  }

  _take(frame) {
    let kind = "message";
    let data = "";
    for (const line of frame.split("\n")) {
      if (line.startsWith("id: ")) this.lastId = line.slice(4);
      else if (line.startsWith("event: ")) kind = line.slice(7);
      else if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (!data) return;
    this._become("live");
    this._onEvent(kind, JSON.parse(data));
  }
}
