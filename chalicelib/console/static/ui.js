// What every page is built of: Preact with tagged templates instead of JSX, so that nothing has to be compiled, and the
// few components that pages share.

import { Fragment, h, render } from "./vendor/preact.mjs";
import { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.mjs";
import htm from "./vendor/htm.mjs";
import { calls, curl, on } from "./api.js";
import { words } from "./words.js";

export { Fragment, render, useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState };
export const html = htm.bind(h);

const PATHS = {
  files: "M5 4h5l2 2h7a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1Z",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm-6 9c0-3.3 2.7-5.5 6-5.5s6 2.2 6 5.5M16 4.5a3.5 3.5 0 0 1 0 6.5m2 3.7c1.8.8 3 2.6 3 5.3",
  keys: "M15 8.5a.5.5 0 1 0 .01 0M10.3 11.9 3.5 18.7V21H7v-2h2v-2h2l1.9-1.9a6 6 0 1 0-2.6-3.2Z",
  webhooks: "M4 12h4l3-7 4 14 2-7h3",
  audit: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  organization: "M4 21V5a1 1 0 0 1 1-1h8a1 1 0 0 1 1 1v16M14 9h5a1 1 0 0 1 1 1v11M3 21h18M8 8h2M8 12h2M8 16h2",
  account: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-8 9c0-3.9 3.6-6 8-6s8 2.1 8 6",
  upload: "M12 16V4m0 0L7 9m5-5 5 5M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3",
  download: "M12 4v12m0 0 5-5m-5 5-5-5M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3",
  close: "M6 6l12 12M18 6 6 18",
  menu: "M4 7h16M4 12h16M4 17h16",
  trash: "M4 7h16M9 7V4h6v3m-9 0 1 13h10l1-13M10 11v5m4-5v5",
  copy: "M9 9h10v11H9zM5 15V4h10",
  check: "m5 13 4 4L19 7",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 4 4",
  code: "m8 7-5 5 5 5m8-10 5 5-5 5",
  image: "M4 5h16v14H4zm0 11 5-5 4 4 2-2 5 4M15.5 9h.01",
  video: "M4 6h11v12H4zm11 4 5-3v10l-5-3",
  audio: "M9 18V6l10-2v12M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0Zm10-2a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0Z",
  document: "M6 3h8l5 5v13H6zm8 0v5h5M9 13h7M9 17h7",
  archive: "M4 8h16v12H4zM3 4h18v4H3zm7 8h4",
  unknown: "M6 3h8l5 5v13H6zm8 0v5h5",
  more: "M12 6h.01M12 12h.01M12 18h.01",
  left: "m15 6-6 6 6 6",
  up: "m6 15 6-6 6 6",
  down: "m6 9 6 6 6-6",
  plus: "M12 5v14M5 12h14",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name] ?? PATHS.unknown} /></svg>
`;

/** A button that works at most once at a time, and shows that it does. */
export function Button({ onClick, kind = "", icon, label, children, disabled = false, type = "button", ...rest }) {
  const [busy, setBusy] = useState(false);
  const alive = useRef(true);
  useEffect(() => () => void (alive.current = false), []);
  const click = async (event) => {
    if (busy || !onClick) return;
    const work = onClick(event);
    if (typeof work?.then !== "function") return;
    setBusy(true);
    try {
      await work;
    } finally {
      if (alive.current) setBusy(false);
    }
  };
  const name = icon && !children ? { "aria-label": label, title: label } : label ? { "aria-label": label } : {};
  return html`<button
    ...${rest}
    ...${name}
    type=${type}
    class=${`button ${kind} ${icon && !children ? "icon-only" : ""}`}
    aria-busy=${busy || rest["aria-busy"] || undefined}
    disabled=${disabled}
    onClick=${click}
  >
    ${icon && html`<${Icon} name=${icon} />`}${children && html`<span>${children}</span>`}
  </button>`;
}

export function Field({ label, hint, error, as = "input", children, ...input }) {
  const id = useId();
  const told = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const control = { ...input, id, "aria-describedby": told, "aria-invalid": error ? "true" : undefined };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${h(as, control, children)}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="field-error" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}

export function Check({ label, hint, ...input }) {
  const id = useId();
  return html`<div class="check">
    <input ...${input} type="checkbox" id=${id} aria-describedby=${hint ? `${id}-hint` : undefined} />
    <div><label for=${id}>${label}</label>${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}</div>
  </div>`;
}

/** A form that sends once at a time and shows a refusal in words above its button. */
export function Form({ onSubmit, submit, kind = "primary", danger = false, cancel, children, disabled = false }) {
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const alive = useRef(true);
  useEffect(() => () => void (alive.current = false), []);
  const send = async (event) => {
    event.preventDefault();
    if (busy) return;
    setError(null);
    setBusy(true);
    try {
      await onSubmit(Object.fromEntries(new FormData(event.target)), event.target);
    } catch (failure) {
      if (alive.current) setError(failure);
    } finally {
      if (alive.current) setBusy(false);
    }
  };
  return html`<form class="form" onSubmit=${send} novalidate=${false}>
    ${children} ${error && html`<${Problem} error=${error} />`}
    <div class="form-actions">
      ${cancel}
      <button class=${`button ${danger ? "danger" : kind}`} aria-busy=${busy || undefined} disabled=${disabled}>
        <span>${submit}</span>
      </button>
    </div>
  </form>`;
}

export const Problem = ({ error, again }) => html`<div class="problem" role="alert">
  <p>${sentence(error)}</p>
  ${again && html`<${Button} onClick=${again}>${words.tryAgain}</${Button}>`}
</div>`;

/** An error in words: the API's own sentence, or that there was no answer. */
export const sentence = (error) => (error.isOffline ? words.offline : error.message);

/** @param {{onClose?: () => void}} properties without onClose it stays until what it asks for is done */
export function Dialog({ title, onClose, sheet = false, children, className = "" }) {
  const dialog = useRef(null);
  const id = useId();
  useLayoutEffect(() => {
    const opener = document.activeElement;
    const element = dialog.current;
    element.showModal();
    // The heading has the focus, so that the title is read first; where there is something to type, its field.
    element.querySelector("input[autofocus]")?.focus();
    return () => {
      // What is behind a modal dialog can't have the focus before it is closed.
      element.close();
      if (opener?.isConnected) opener.focus?.();
    };
  }, []);
  const cancel = (event) => {
    if (event.target !== dialog.current) return;
    event.preventDefault();
    onClose?.();
  };
  const outside = (event) => event.target === dialog.current && onClose?.();
  return html`<dialog
    ref=${dialog}
    class=${`${sheet ? "sheet" : "dialog"} ${className}`}
    aria-labelledby=${id}
    onCancel=${cancel}
    onMouseDown=${outside}
  >
    <div class="dialog-box">
      <div class="dialog-head">
        <h2 id=${id} tabindex="-1" autofocus>${title}</h2>
        ${onClose && html`<${Button} kind="quiet" icon="close" label=${words.close} onClick=${onClose} />`}
      </div>
      <div class="dialog-body">${children}</div>
    </div>
  </dialog>`;
}

/** Asks before something that can't be taken back, or not for long. */
export function Confirm({ title, children, action, onConfirm, onClose, curl: shown }) {
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <${Form}
      submit=${action}
      danger
      onSubmit=${async () => {
        await onConfirm();
        onClose();
      }}
      cancel=${html`<${Button} onClick=${onClose}>${words.cancel}</${Button}>`}
    >
      <div class="prose">${children}</div>
      ${shown && html`<${Curl} ...${shown} />`}
    </${Form}>
  </${Dialog}>`;
}

/** What does the same on a command line. */
export function Curl({ method = "GET", path, body }) {
  const text = curl(method, path, body);
  return html`<details class="curl">
    <summary>${words.sameWithCurl}</summary>
    <div class="code"><pre tabindex="0"><code>${text}</code></pre><${Copy} text=${text} /></div>
  </details>`;
}

export function Copy({ text, label = words.copy, children }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 2000);
  };
  return html`<${Button} kind="quiet" icon=${done ? "check" : "copy"} label=${done ? words.copied : label} onClick=${copy}>${children}</${Button}>`;
}

/** Shown once and never again: a key, a secret, a link. */
export const Secret = ({ label, value }) => html`<div class="secret">
  <p class="label">${label}</p>
  <div class="code"><pre tabindex="0"><code>${value}</code></pre><${Copy} text=${value} /></div>
</div>`;

export const Badge = ({ kind, children }) => html`<span class=${`badge ${kind}`}>${children}</span>`;

export const Empty = ({ icon, title, children, action }) => html`<div class="empty">
  <div class="empty-icon"><${Icon} name=${icon} /></div>
  <h2>${title}</h2>
  ${children && html`<p>${children}</p>`} ${action}
</div>`;

export const Skeleton = ({ rows = 6 }) => html`<div class="skeleton" role="status" aria-label=${words.loading}>
  ${Array.from({ length: rows }, (_, index) => html`<div key=${index} class="skeleton-row"><i /><i /><i /></div>`)}
</div>`;

export const Head = ({ title, about, children }) => html`<header class="page-head">
  <div><h1 tabindex="-1">${title}</h1>${about && html`<p>${about}</p>`}</div>
  ${children && html`<div class="page-actions">${children}</div>`}
</header>`;

export const Card = ({ title, about, children, action }) => html`<section class="card">
  <header class="card-head"><div><h2>${title}</h2>${about && html`<p>${about}</p>`}</div>${action}</header>
  ${children}
</section>`;

/** What `load` gives, anew when `keys` change: {value, error, loading, reload}. The old value stays while a new one comes. */
export function useLoaded(load, keys = []) {
  const [state, setState] = useState({ value: undefined, error: null, loading: true });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setState((before) => ({ ...before, error: null, loading: true }));
    load(stop.signal).then(
      (value) => stop.signal.aborted || setState({ value, error: null, loading: false }),
      (error) => stop.signal.aborted || setState((before) => ({ ...before, error, loading: false })),
    );
    return () => stop.abort();
  }, [turn, ...keys]);
  return { ...state, reload: useCallback(() => setTurn((before) => before + 1), []) };
}

/** The four states of something loaded: error, not there yet, empty, there. */
export function Loaded({ state, empty, isEmpty = (value) => value.length === 0, rows, children }) {
  if (state.error && state.value === undefined) return html`<${Problem} error=${state.error} again=${state.reload} />`;
  if (state.value === undefined) return html`<${Skeleton} rows=${rows} />`;
  if (isEmpty(state.value)) return empty;
  return children(state.value);
}

let toasts = [];
let showToasts = () => {};
let lastToast = 0;

/**
 * Says something that needs no answer.
 *
 * @param {string} text
 * @param {{error?: boolean, action?: {label: string, run: () => void}, milliseconds?: number}} [options]
 * @returns {() => void} takes it away
 */
export function toast(text, { error = false, action, milliseconds = error ? 10_000 : 5_000 } = {}) {
  const made = { id: (lastToast += 1), text, error, action };
  const close = () => {
    toasts = toasts.filter(({ id }) => id !== made.id);
    showToasts(toasts);
  };
  toasts = [...toasts.slice(-3), { ...made, close }];
  showToasts(toasts);
  setTimeout(close, milliseconds);
  return close;
}

export function Toasts() {
  const [shown, setShown] = useState(toasts);
  useEffect(() => void (showToasts = setShown), []);
  const box = useRef(null);
  useLayoutEffect(() => {
    // In the top layer, and anew each time, so that a dialog that is open does not cover it.
    if (box.current.matches(":popover-open")) box.current.hidePopover();
    if (shown.length) box.current.showPopover();
  }, [shown]);
  return html`<div class="toasts" popover="manual" ref=${box} role="region" aria-label=${words.messages}>
    <div role="status">
      ${shown.map(
        (one) => html`<div key=${one.id} class=${`toast ${one.error ? "is-error" : ""}`}>
          <p>${one.text}</p>
          ${one.action &&
          html`<${Button} kind="quiet" onClick=${() => (one.action.run(), one.close())}>${one.action.label}</${Button}>`}
          <${Button} kind="quiet" icon="close" label=${words.close} onClick=${one.close} />
        </div>`,
      )}
    </div>
  </div>`;
}

/** Runs what a person asked for, and says why it was refused. */
export async function attempt(work, done) {
  try {
    const result = await work();
    if (done) toast(done);
    return result;
  } catch (error) {
    toast(sentence(error), { error: true });
    return undefined;
  }
}

/** The newest calls of this page, as commands. */
export function Calls({ onClose }) {
  const [, redraw] = useState(0);
  useEffect(() => on("calls", () => redraw((turn) => turn + 1)), []);
  return html`<${Dialog} sheet title=${words.calls.title} onClose=${onClose}>
    <div class="prose"><p>${words.calls.about}</p></div>
    <div class="code"><pre tabindex="0"><code>${curl("POST", "/auth/login", { username: words.calls.you, password: "" }).replace("-b jar", "-c jar")}</code></pre></div>
    <ol class="calls">
      ${calls.map((one) => {
        const text = curl(one.method, one.path, one.body);
        return html`<li key=${one.at.getTime() + one.path}>
          <p><${Badge} kind="plain">${one.method}</${Badge}> <span class="quiet">${time(one.at)}</span></p>
          <div class="code"><pre tabindex="0"><code>${text}</code></pre><${Copy} text=${text} /></div>
        </li>`;
      })}
    </ol>
  </${Dialog}>`;
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
/** The powers of 1024 that the limits of the API are told in. */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "";
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const options = { style: "unit", unit: UNITS[power], unitDisplay: power ? "short" : "long", maximumFractionDigits: power ? 1 : 0 };
  return new Intl.NumberFormat(document.documentElement.lang, options).format(bytes / 1024 ** power);
}

export const count = (number) => new Intl.NumberFormat(document.documentElement.lang).format(number);

export function time(moment, style = "medium") {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: style, timeStyle: "short" });
  return moment ? format.format(new Date(moment)) : "";
}

/** A day of UTC, without its year. */
export const date = (day) => new Intl.DateTimeFormat(document.documentElement.lang, { month: "short", day: "numeric", timeZone: "UTC" }).format(new Date(day));

const STEPS = [["year", 31536e6], ["month", 2592e6], ["day", 864e5], ["hour", 36e5], ["minute", 6e4]];
/** Such as "3 minutes ago". */
export function ago(moment) {
  const passed = new Date(moment) - Date.now();
  const [unit, length] = STEPS.find(([, step]) => Math.abs(passed) >= step) ?? ["second", 1e3];
  if (unit === "second" && Math.abs(passed) < 60_000) return passed > 0 ? words.soon : words.justNow;
  const format = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
  return format.format(Math.round(passed / length), unit);
}

export const When = ({ at }) => html`<time datetime=${at} title=${time(at)}>${ago(at)}</time>`;

/** A hue of its own for each organisation, from its id. */
export const hue = (id) => [...id].reduce((total, letter) => (total * 31 + letter.charCodeAt(0)) % 12, 0) * 30;

export const kindOf = (type) => {
  const [family, rest = ""] = (type ?? "").split("/");
  if (PATHS[family] && ["image", "video", "audio"].includes(family)) return family;
  if (/zip|tar|compress|7z|rar/.test(rest)) return "archive";
  if (family === "text" || /pdf|word|document|sheet|presentation|json|xml/.test(rest)) return "document";
  return "unknown";
};
