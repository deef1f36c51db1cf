// The few signs of the head, drawn: no letter of a font looks the same everywhere.
import { html } from "./html.js";

const PATHS = {
  light: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1.2v1.4M8 13.4v1.4M1.2 8h1.4M13.4 8h1.4M3.2 3.2l1 1M11.8 11.8l1 1M3.2 12.8l1-1M11.8 4.2l1-1",
  dark: "M13.4 9.7A5.8 5.8 0 0 1 6.3 2.6a5.8 5.8 0 1 0 7.1 7.1Z",
  keys: "M6 6.1a2 2 0 1 1 2.9 1.8c-.6.3-.9.8-.9 1.5M8 11.6v.2M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13",
  leave: "M6.2 14H3.6A1.6 1.6 0 0 1 2 12.4V3.6A1.6 1.6 0 0 1 3.6 2h2.6M10.6 11.2 13.8 8l-3.2-3.2M13.4 8H6.2",
};

export function Icon({ of }) {
  return html`<svg
    viewBox="0 0 16 16"
    width="16"
    height="16"
    fill="none"
    stroke="currentColor"
    stroke-width="1.4"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
  >
    <path d=${PATHS[of]} />
  </svg>`;
}
