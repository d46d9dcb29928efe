import { abandon, call, upload } from "/page/upload.js";

const POLL_MS = 1000;
const find = (id) => document.getElementById(id);
const unsettled = (file) => file.status === "pending" || file.status === "processing";
/** A page of files as long as what the person has asked to see. */
let wanted = 20;
let poll;

/** Says that there may be a session, whose cookie no script can read: without one there is nothing to ask for. */
const SIGNED_IN = "strongroom.signed-in";

async function show() {
  toggle(false);
  if (localStorage.getItem(SIGNED_IN) === null) return;
  try {
    const { user } = await call("", "GET", "/auth/me");
    find("name").textContent = user.username;
    toggle(true);
    await refresh();
  } catch (error) {
    if (error.status === 401) return forget();
    tell(error);
  }
}

function forget() {
  localStorage.removeItem(SIGNED_IN);
  toggle(false);
}

function toggle(signedIn) {
  find("login").hidden = signedIn;
  find("files").hidden = find("who").hidden = !signedIn;
}

function tell(error) {
  if (error?.status === 401) forget();
  find("problem").hidden = !error;
  find("problem").textContent = error?.message ?? "";
}

/** Runs what a person asked for, and shows why it was refused. */
async function attempt(work) {
  tell(null);
  try {
    return await work();
  } catch (error) {
    tell(error);
  }
}

async function refresh() {
  clearTimeout(poll);
  const [listed, usage] = await Promise.all([list(wanted), call("", "GET", "/usage")]);
  find("rows").replaceChildren(...listed.files.map(row));
  find("more").hidden = listed.next_cursor === null;
  find("usage").textContent =
    `${listed.total} files. Your organisation uses ${size(usage.bytes.used)} of ${size(usage.bytes.quota)}.`;
  if (listed.files.some(unsettled)) poll = setTimeout(() => refresh().catch(tell), POLL_MS);
}

async function list(count) {
  const page = await call("", "GET", `/files?limit=${Math.min(count, 100)}`);
  while (page.files.length < count && page.next_cursor !== null) {
    const next = await call("", "GET", `/files?limit=100&cursor=${encodeURIComponent(page.next_cursor)}`);
    page.files.push(...next.files);
    page.next_cursor = next.next_cursor;
  }
  return page;
}

function row(file) {
  const line = document.createElement("tr");
  const status = cell(file.error_message ? `${file.status}: ${file.error_message}` : file.status, file.status);
  const hash = cell("");
  if (file.sha256_hash) {
    hash.append(Object.assign(document.createElement("code"), { textContent: `${file.sha256_hash.slice(0, 16)}…` }));
    hash.title = file.sha256_hash;
  }
  const bytes = file.file_size === null ? "" : size(file.file_size);
  line.append(cell(file.filename), status, cell(bytes, "number"), cell(file.mime_type ?? ""), hash, actions(file));
  return line;
}

function actions(file) {
  const path = `/files/${file.id}`;
  const made = cell("", "actions");
  if (file.status === "completed") made.append(button("Download", () => location.assign(`${path}/content`)), " ");
  if (file.status === "failed") made.append(button("Retry", () => call("", "POST", `${path}/retry`).then(refresh)), " ");
  made.append(
    button("Rename", async () => {
      const filename = prompt("New name", file.filename);
      if (filename) await call("", "PATCH", path, { filename }).then(refresh);
    }),
    " ",
    button("Delete", () => call("", "DELETE", path).then(refresh)),
  );
  return made;
}

function cell(text, name = "") {
  return Object.assign(document.createElement("td"), { textContent: text, className: name });
}

function button(text, work) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.addEventListener("click", () => attempt(work));
  return made;
}

function size(bytes) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  return `${power ? (bytes / 1024 ** power).toFixed(1) : bytes} ${units[power]}`;
}

async function send(file) {
  const line = document.createElement("li");
  const bar = Object.assign(document.createElement("progress"), { max: file.size || 1, value: 0 });
  const share = document.createElement("span");
  const stop = new AbortController();
  line.append(Object.assign(document.createElement("span"), { textContent: file.name }), bar, share);
  line.append(
    button("Stop", async () => {
      stop.abort(new Error(`${file.name} was stopped.`));
      await abandon(file);
      await refresh();
    }),
  );
  find("uploads").append(line);
  const onProgress = (bytes) => {
    bar.value = bytes;
    share.textContent = `${Math.floor((100 * bytes) / (file.size || 1))} %`;
  };
  try {
    await upload(file, { onProgress, signal: stop.signal });
  } catch (error) {
    if (!stop.signal.aborted) tell(new Error(`${file.name}: ${error.message} Choose it again to go on.`));
  } finally {
    line.remove();
    await refresh().catch(tell);
  }
}

function sendAll(files) {
  tell(null);
  for (const file of files) send(file);
}

find("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  attempt(async () => {
    const said = await call("", "POST", "/auth/login", Object.fromEntries(new FormData(form)));
    if (said.second_factor === "required") {
      const code = prompt("The code of your authenticator, or a recovery code");
      if (!code) return;
      await call("", "POST", "/auth/second-factor", { challenge: said.challenge, code });
    }
    localStorage.setItem(SIGNED_IN, "yes");
    form.reset();
    await show();
  });
});
find("logout").addEventListener("click", () => attempt(() => call("", "POST", "/auth/logout").then(forget)));
find("more").addEventListener("click", () => attempt(() => ((wanted += 100), refresh())));
find("chosen").addEventListener("change", ({ target }) => {
  sendAll(target.files);
  target.value = "";
});
for (const kind of ["dragover", "dragleave", "drop"])
  find("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    find("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") sendAll(event.dataTransfer.files);
  });

show();
