// Dark or light: as the system says, unless somebody chose.
import { repaint } from "../drawings/palette.js";
import { html, useState } from "./html.js";
import { Icon } from "./icon.js";

const KEY = "strew.theme";
const system = matchMedia("(prefers-color-scheme: light)");

const chosen = () => localStorage.getItem(KEY) ?? "";

export const current = () => chosen() || (system.matches ? "light" : "dark");

export function applyTheme() {
  document.documentElement.dataset.theme = current();
  repaint();
}

system.addEventListener("change", applyTheme);

export function toggleTheme() {
  localStorage.setItem(KEY, current() === "dark" ? "light" : "dark");
  applyTheme();
}

export function ThemeButton() {
  const [, again] = useState(0);
  const press = () => {
    toggleTheme();
    again((count) => count + 1);
  };
  const other = current() === "dark" ? "light" : "dark";
  return html`<button class="icon" onClick=${press} aria-label=${`show in ${other}`} title=${`show in ${other} (t)`}>
    <${Icon} of=${other} />
  </button>`;
}
