// The panel of uploads: Uppy's Dashboard, with the queue of upload_queue.js behind it. Loaded with the first file.

import { get, on, session } from "./api.js";
import { Button, html, render, size, toast, useEffect, useState } from "./ui.js";
import { Dashboard, GoldenRetriever, Uppy } from "./vendor/uppy.min.mjs";
import { UploadQueue } from "./upload_queue.js";
import { words } from "./words.js";

/** Names whose uploads are to be offered again after a reload. */
const REMEMBERED = "strongroom.uploads";
const MEBIBYTE = 1024 * 1024;
/** What the browser copies so that it is there after a reload; a larger file is chosen once more. */
const KEPT = { maxFileSize: 20 * MEBIBYTE, maxTotalSize: 300 * MEBIBYTE };
const PANEL_HEIGHT = innerWidth < 480 ? 220 : 300;
const DONE_STAYS_MS = 4_000;

let uppy = null;
let renamed = [];

/** Makes the panel, with what a reload has interrupted. */
export async function openUploads() {
  if (uppy) return uppy;
  await style(new URL("vendor/uppy.min.css", import.meta.url));
  const made = new Uppy({
    // Another person at the same browser does not see what this one was sending.
    id: `uploads-${session.user.id}`,
    autoProceed: true,
    allowMultipleUploadBatches: true,
    onBeforeFileAdded: (file, files) =>
      files[file.id]?.progress.uploadComplete ? { ...file, id: `${file.id}-${Date.now()}` } : true,
  });
  uppy = made;
  made.use(UploadQueue, {});
  const place = document.createElement("div");
  document.body.append(place);
  render(html`<${Tray} uppy=${made} />`, place);
  made.use(Dashboard, {
    inline: true,
    target: ".tray-body",
    width: "100%",
    height: PANEL_HEIGHT,
    theme: "auto",
    fileManagerSelectionType: "both",
    proudlyDisplayPoweredByUppy: false,
    disableInformer: true,
    singleFileFullScreen: false,
    doneButtonHandler: () => made.clear(),
    locale: { strings: words.uploads.strings },
  });
  made.use(GoldenRetriever, { indexedDB: KEPT });
  made.on("upload-success", (file, { body }) => {
    if (body.filename !== file.name) renamed = [...renamed, { from: file.name, to: body.filename }];
  });
  // What a reload has left: at once, or as soon as the files that were too large to keep were chosen again.
  const resume = () => {
    const { recoveredState, files } = made.getState();
    if (recoveredState && !Object.values(files).some(({ isGhost }) => isGhost)) made.emit("restore-confirmed");
  };
  made.on("restored", resume);
  made.on("files-added", resume);
  mendRoles(document.querySelector(".tray-body"));
  made.on("restriction-failed", (file, error) => toast(error.message, { error: true }));
  addEventListener("beforeunload", (event) => isBusy() && event.preventDefault());
  return made;
}

/** Roles that the Dashboard leaves out: a list that scrolls is reached by the keyboard, and items have a list. */
function mendRoles(body) {
  new MutationObserver(() => {
    body.querySelector(".uppy-Dashboard-files")?.setAttribute("tabindex", "0");
    for (const item of body.querySelectorAll("[role=listitem]"))
      if (!item.parentElement.closest("[role=list]")) item.parentElement.setAttribute("role", "list");
  }).observe(body, { childList: true, subtree: true });
}

const isBusy = () => uppy.getFiles().some(({ progress }) => progress.uploadStarted && !progress.uploadComplete);

/**
 * Sends files, after a look at what the organisation takes.
 *
 * @param {{file: File, path: string}[]} chosen path: below the folder that was chosen, or the name alone
 */
export async function sendFiles(chosen) {
  try {
    await openUploads();
  } catch {
    return toast(words.uploads.noLoad, { error: true });
  }
  const policy = await get("/organization", { quiet: true }).then(({ policy }) => policy, () => null);
  add(chosen.filter(({ file }) => fits(file, policy, () => add([{ file, path: file.name }]))));
}

function add(chosen) {
  if (!chosen.length) return;
  localStorage.setItem(REMEMBERED, session.user.id);
  uppy.addFiles(
    chosen.map(({ file, path }) => ({ source: "console", name: file.name, type: file.type, data: file, meta: { relativePath: path } })),
  );
}

/** Whether the policy takes it. The type is what the browser makes of the name, so a person may know better. */
function fits(file, policy, anyway) {
  const most = policy?.max_file_bytes ?? null;
  if (most !== null && file.size > most) {
    toast(words.uploads.tooLarge(file.name, size(most)), { error: true });
    return false;
  }
  const matches = (types) => types.some((one) => one === file.type || one === `${file.type.split("/")[0]}/*`);
  const refused = file.type && policy && (matches(policy.refused_types) || (policy.allowed_types.length > 0 && !matches(policy.allowed_types)));
  if (!refused) return true;
  toast(words.uploads.refusedType(file.name, file.type), { error: true, action: { label: words.uploads.anyway, run: anyway } });
  return false;
}

function Tray({ uppy: made }) {
  const [state, setState] = useState(made.getState());
  const [small, setSmall] = useState(false);
  const [seconds, setSeconds] = useState(0);
  const [ended, setEnded] = useState(session.ended);
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const change = () => setOnline(navigator.onLine);
    const update = () => setState(made.getState());
    made.on("state-update", update);
    addEventListener("online", change);
    addEventListener("offline", change);
    const stops = [on("waiting", setSeconds), on("session", () => setEnded(session.ended))];
    return () => stops.forEach((stop) => stop());
  }, []);
  const files = Object.values(state.files);
  const sent = files.filter(({ progress }) => progress.uploadComplete).length;
  const failed = files.filter(({ error }) => error);
  const open = files.filter(({ progress, error }) => !progress.uploadComplete && !error).length;
  useEffect(() => {
    if (!open && !failed.length) localStorage.removeItem(REMEMBERED);
    if (!files.length) renamed = [];
  }, [open, failed.length, files.length]);
  useEffect(() => {
    if (open) return setSmall(false);
    const timer = setTimeout(() => setSmall(failed.length === 0), DONE_STAYS_MS);
    return () => clearTimeout(timer);
  }, [open > 0, failed.length]);
  const title = open ? words.uploads.left(sent, files.length) : failed.length ? words.uploads.failed(failed.length) : words.uploads.done(sent);
  const note = !open || state.recoveredState
    ? null
    : ended ? words.uploads.signedOut : !online ? words.uploads.offline : seconds > 0 ? words.uploads.waits(seconds) : null;
  return html`<section class=${`tray ${small ? "small" : ""}`} aria-label=${words.uploads.title} hidden=${!files.length}>
    <header class="tray-head">
      <h2>${title}</h2>
      <${Button} kind="quiet" icon=${small ? "up" : "down"} label=${small ? words.uploads.maximise : words.uploads.minimise} onClick=${() => setSmall(!small)} />
      ${!open && html`<${Button} kind="quiet" icon="close" label=${words.close} onClick=${() => made.clear()} />`}
    </header>
    <div role="status">${note && html`<p class="tray-note">${note}</p>`}</div>
    ${renamed.length > 0 && html`<p class="tray-note renamed">
      ${renamed.length === 1 ? words.uploads.saved(renamed[0].from, renamed[0].to) : words.uploads.savedMany(renamed.length)}
    </p>`}
    ${failed.length > 0 && !small && html`<ul class="tray-errors">
      ${failed.map(
        (file) => html`<li key=${file.id}>
          <div class="grow"><p class="name">${file.name}</p><p class="sub">${file.error}</p></div>
          <${Button} kind="small" label=${words.uploads.retry(file.name)} onClick=${() => void made.retryUpload(file.id)}>${words.tryAgain}</${Button}>
          <${Button} kind="quiet" icon="close" label=${words.uploads.drop(file.name)} onClick=${() => made.removeFile(file.id)} />
        </li>`,
      )}
    </ul>`}
    <div class="tray-body"></div>
  </section>`;
}

function style(address) {
  return new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: address.href });
    link.onload = resolve;
    link.onerror = reject;
    document.head.prepend(link);
  });
}
