// Sends a file straight to storage: by one form, or in parts, some at a time, each tried again when it fails.
// An upload in parts that was cut off, by a reload or a lost connection, goes on where it was when the same file is
// chosen again. Nothing here belongs to this page: take it to your own.

const PARTS_AT_ONCE = 3;
const TRIES = 4;
const FIRST_PAUSE_MS = 500;

/**
 * @param {File} file
 * @param {{api?: string, onProgress?: (bytes: number) => void, signal?: AbortSignal}} [options]
 * @returns {Promise<string>} the file's id; ask GET /files/{id} until it is completed or failed
 */
export async function upload(file, { api = "", onProgress = () => {}, signal } = {}) {
  const resumed = await findInterrupted(api, file);
  const started = resumed ?? (await start(api, file));
  const progress = new Progress(onProgress);
  remember(file, started);
  if (started.upload.method === "POST") {
    const form = new FormData();
    for (const [name, value] of Object.entries(started.upload.fields)) form.append(name, value);
    form.append("file", file); // Last: storage ignores what comes after it.
    await send("POST", started.upload.url, form, (sent) => progress.set(1, Math.min(sent, file.size)), signal);
  } else {
    await sendParts(api, file, started, progress, signal);
    await call(api, "POST", started.upload.complete);
  }
  forget(file);
  return started.id;
}

/** Gives up an upload that was stopped: its record, its bytes and its room in the quota. */
export async function abandon(file, { api = "" } = {}) {
  const kept = recall(file);
  forget(file);
  if (kept) await call(api, "DELETE", `/files/${kept.id}`);
}

/** Calls the API; throws an Error with the sentence of a refusal. */
export async function call(api, method, path, body) {
  const answer = await fetch(api + path, {
    method,
    credentials: "include",
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const said = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.error), { status: answer.status });
  return said;
}

function start(api, file) {
  return call(api, "POST", "/files", { filename: file.name, size: file.size, content_type: file.type || null });
}

async function sendParts(api, file, { upload }, progress, signal) {
  const size = (number) => Math.min(upload.part_size, file.size - (number - 1) * upload.part_size);
  const missing = new Set(Array.from({ length: upload.part_count }, (_, index) => index + 1));
  for (const { part_number } of (await call(api, "GET", upload.parts)).parts) {
    missing.delete(part_number);
    progress.set(part_number, size(part_number));
  }
  const queue = [...missing];
  const lane = async () => {
    for (let number = queue.shift(); number !== undefined; number = queue.shift()) {
      const offset = (number - 1) * upload.part_size;
      const bytes = file.slice(offset, offset + size(number));
      await tryAgain(async () => {
        // Signed anew each time: the URL may be what has expired.
        const signed = await call(api, "POST", upload.parts, { part_numbers: [number] });
        await send("PUT", signed.parts[0].url, bytes, (sent) => progress.set(number, sent), signal);
      }, signal);
    }
  };
  await Promise.all(Array.from({ length: PARTS_AT_ONCE }, lane));
}

async function tryAgain(work, signal) {
  for (let left = TRIES - 1, pause = FIRST_PAUSE_MS; ; left -= 1, pause *= 2) {
    try {
      return await work();
    } catch (error) {
      const refused = error.status >= 400 && error.status < 500 && error.status !== 429 && !error.fromStorage;
      if (left === 0 || refused || signal?.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** An XMLHttpRequest, because fetch does not tell how much has been sent. */
function send(method, url, body, onSent, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const fail = (why) => reject(Object.assign(new Error(why), { status: request.status, fromStorage: true }));
    request.open(method, url);
    request.upload.onprogress = ({ loaded }) => onSent(loaded);
    request.onload = () => (request.status < 300 ? resolve() : fail(`Storage refused the bytes (${request.status}).`));
    request.onerror = () => fail("The connection to storage was lost.");
    request.onabort = () => reject(signal.reason);
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    if (signal?.aborted) reject(signal.reason);
    else request.send(body);
  });
}

class Progress {
  #sent = new Map();
  #tell;

  constructor(tell) {
    this.#tell = tell;
  }

  set(part, bytes) {
    this.#sent.set(part, bytes);
    this.#tell([...this.#sent.values()].reduce((sum, one) => sum + one, 0));
  }
}

// ---- What was started, kept across a reload. Names and ids only: no secret is in it. ----

const keyOf = (file) => `upload:${file.name}:${file.size}:${file.lastModified}`;
const remember = (file, { id, upload }) => {
  const { fields, ...kept } = upload; // A form's fields carry its signature.
  localStorage.setItem(keyOf(file), JSON.stringify({ id, upload: kept }));
};
const forget = (file) => localStorage.removeItem(keyOf(file));
const recall = (file) => JSON.parse(localStorage.getItem(keyOf(file)) ?? "null");

async function findInterrupted(api, file) {
  const kept = recall(file);
  // What went as one form starts anew; without its bytes the old record ends by itself.
  if (kept === null || kept.upload.method === "POST") return null;
  try {
    await call(api, "GET", kept.upload.parts);
    return kept;
  } catch (error) {
    // Unknown, expired or completed, or another user's: start anew.
    if (error.status !== 404 && error.status !== 409) throw error;
    forget(file);
    return null;
  }
}
