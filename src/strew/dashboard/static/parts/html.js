// The way markup is written here: templates without a build step. All text put into them becomes
// text nodes or attributes, never markup.
import { h, render, Fragment } from "../vendor/preact/preact.js";
import htm from "../vendor/htm/htm.js";

export const html = htm.bind(h);
export { render, Fragment };
export {
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "../vendor/preact/hooks.js";
