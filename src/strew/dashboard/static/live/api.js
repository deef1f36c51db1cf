// Questions to the API of the process that served this page.
import { signOut, token } from "./session.js";

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || `the answer was ${status}`);
    this.status = status;
    this.hint = problem.hint || "";
  }
}

export async function open(path, { signal, headers = {} } = {}) {
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}`, {
      signal,
      cache: "no-store",
      headers: { Authorization: `Bearer ${token()}`, ...headers },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { detail: "the process does not answer", hint: "it may have ended" });
  }
  if (answer.ok) return answer;
  let problem = {};
  try {
    problem = await answer.json();
  } catch {
    // not one of ours: the status has to do
  }
  if (answer.status === 401) signOut();
  throw new Refused(answer.status, problem);
}

export const ask = async (path, options) => (await open(path, options)).json();

export function pathOfName(reference) {
  const at = reference.lastIndexOf(":");
  const name = reference.slice(0, at).split("/").map(encodeURIComponent).join("/");
  return `names/${name}/${encodeURIComponent(reference.slice(at + 1))}`;
}

// The artifact behind NAME:TAG or an id.
export async function artifactOf(reference, options) {
  if (reference.startsWith("blake3:")) return reference;
  return (await ask(pathOfName(reference), options)).artifact;
}
