// How files get to storage: an uploader for Uppy by the contract of POST /files. Uppy shows; this sends.
//
// A file is announced, and goes by one form or in parts, some at a time. What the service or the network does not take
// now is not lost: starts wait for as long as Retry-After says, a broken connection and an ended session are waited for,
// and parts that have arrived are not sent again. `file.strongroom` is what the announcement has answered; Uppy keeps it
// over a reload.

import { ApiError, emit, get, post, remove, sleep } from "./api.js";
import { BasePlugin } from "./vendor/uppy.min.mjs";
import { words } from "./words.js";

const FILES_AT_ONCE = 4;
const PARTS_AT_ONCE = 3;
const TRIES = 6;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const SECOND = 1000;

export class UploadQueue extends BasePlugin {
  constructor(uppy, options) {
    super(uppy, options);
    this.id = "Strongroom";
    this.type = "uploader";
    this.slots = new Slots(FILES_AT_ONCE);
    // One start at a time: the one that meets the limit waits for all that come after it.
    this.starts = new Slots(1);
    this.stops = new Map();
  }

  install() {
    const { capabilities } = this.uppy.getState();
    this.uppy.setState({ capabilities: { ...capabilities, resumableUploads: true, individualCancellation: true } });
    this.uppy.addUploader((ids) => this.upload(ids));
    this.uppy.on("upload-pause", (file, isPaused) => isPaused && this.stop(file.id));
    this.uppy.on("pause-all", () => this.stops.forEach((stop) => stop.abort(new Error("paused"))));
    this.uppy.on("file-removed", (file) => this.giveUp(file));
  }

  async upload(ids) {
    const files = this.uppy.getFilesByIds(ids).filter((file) => file && !file.progress.uploadComplete && !file.isGhost);
    this.uppy.emit("upload-start", files);
    await Promise.all(files.map((file) => this.send(file.id)));
  }

  stop(id) {
    this.stops.get(id)?.abort(new Error("paused"));
  }

  /** A file that was taken off the list: its record, its bytes and its room in the quota go too. */
  giveUp(file) {
    this.stop(file.id);
    if (file.strongroom && !file.progress.uploadComplete) remove(`/files/${file.strongroom.id}`).catch(() => {});
  }

  /** Until the file is sent, refused or taken off the list. */
  async send(id) {
    for (;;) {
      await this.untilNotPaused(id);
      const release = await this.slots.take();
      const file = this.uppy.getFile(id);
      const stop = new AbortController();
      try {
        if (!file) return;
        if (file.isPaused) continue;
        this.stops.set(id, stop);
        const record = await this.sendOnce(file, stop.signal);
        this.uppy.emit("upload-success", this.uppy.getFile(id), { status: 200, body: record });
        return;
      } catch (error) {
        if (!this.uppy.getFile(id)) return;
        if (stop.signal.aborted) continue;
        this.uppy.emit("upload-error", this.uppy.getFile(id), error.isOffline ? new Error(words.uploads.lost) : error);
        return;
      } finally {
        this.stops.delete(id);
        release();
      }
    }
  }

  untilNotPaused(id) {
    if (!this.uppy.getFile(id)?.isPaused) return null;
    return new Promise((resolve) => {
      const check = () => {
        if (this.uppy.getFile(id)?.isPaused) return;
        this.uppy.off("state-update", check);
        resolve();
      };
      this.uppy.on("state-update", check);
    });
  }

  async sendOnce(file, signal) {
    for (let fresh = !file.strongroom; ; fresh = true) {
      const started = fresh ? await this.start(file, signal) : file.strongroom;
      const progress = new Progress(this.uppy, file);
      try {
        if (started.upload.method === "POST") return await this.sendForm(file, started, progress, signal);
        return await this.sendParts(file, started, progress, signal);
      } catch (error) {
        // What an earlier page had announced may have expired, or was deleted in the meantime: announce it anew.
        if (fresh || signal.aborted || ![403, 404, 409].includes(error.status)) throw error;
        await remove(`/files/${started.id}`, undefined, { signal }).catch(() => {});
      }
    }
  }

  async start(file, signal) {
    const release = await this.starts.take();
    try {
      const announced = { filename: file.name, size: file.size, content_type: file.type || null };
      const started = await this.persist(() => post("/files", announced, { signal }), signal);
      const kept = { id: started.id, filename: started.filename, upload: started.upload };
      if (this.uppy.getFile(file.id)) this.uppy.setFileState(file.id, { strongroom: kept });
      else await remove(`/files/${started.id}`).catch(() => {});
      return kept;
    } finally {
      release();
    }
  }

  async sendForm(file, { id, upload, filename }, progress, signal) {
    await this.persist(() => {
      const form = new FormData();
      for (const [name, value] of Object.entries(upload.fields)) form.append(name, value);
      form.append("file", file.data); // Last: storage ignores what comes after it.
      return transfer("POST", upload.url, form, (sent) => progress.set(1, Math.min(sent, file.size)), signal);
    }, signal);
    return { id, filename };
  }

  async sendParts(file, { upload, filename, id }, progress, signal) {
    const size = (number) => Math.min(upload.part_size, file.size - (number - 1) * upload.part_size);
    const missing = new Set(Array.from({ length: upload.part_count }, (_, index) => index + 1));
    for (const { part_number } of (await this.persist(() => get(upload.parts, { signal }), signal)).parts) {
      missing.delete(part_number);
      progress.set(part_number, size(part_number));
    }
    const queue = [...missing];
    const lane = async () => {
      for (let number = queue.shift(); number !== undefined; number = queue.shift()) {
        const from = (number - 1) * upload.part_size;
        const bytes = file.data.slice(from, from + size(number));
        await this.persist(async () => {
          // Signed anew each time: the address may be what has expired.
          const signed = await post(upload.parts, { part_numbers: [number] }, { signal });
          await transfer("PUT", signed.parts[0].url, bytes, (sent) => progress.set(number, sent), signal);
        }, signal);
      }
    };
    await Promise.all(Array.from({ length: PARTS_AT_ONCE }, lane));
    await this.persist(() => post(upload.complete, undefined, { signal }), signal);
    return { id, filename };
  }

  /** Until it works or is refused for good. Being offline, or held by a limit, costs no try. */
  async persist(work, signal) {
    for (let left = TRIES, pause = FIRST_PAUSE_MS; ; ) {
      try {
        return await work();
      } catch (error) {
        if (signal.aborted) throw error;
        if (error.status === 429) {
          await this.waitFor(error.retryAfterSeconds ?? 1, signal);
          continue;
        }
        const passing = error.isOffline || error.status >= 500 || (error.fromStorage && error.status === 403);
        if (!passing || (left -= 1) <= 0) throw error;
        await untilOnline(signal);
        await sleep(pause, signal);
        pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
      }
    }
  }

  async waitFor(seconds, signal) {
    try {
      for (let left = seconds; left > 0; left -= 1) {
        emit("waiting", left);
        await sleep(SECOND, signal);
      }
    } finally {
      emit("waiting", 0);
    }
  }
}

/** Resolves at once while there is a network, as far as the browser knows. */
function untilOnline(signal) {
  if (navigator.onLine) return null;
  return new Promise((resolve, reject) => {
    addEventListener("online", resolve, { once: true });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Sends bytes with progress, which fetch cannot tell. An HTTP error of storage is marked as such. */
function transfer(method, url, body, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    const end = (settle, value) => {
      signal.removeEventListener("abort", abort);
      settle(value);
    };
    request.open(method, url);
    request.upload.onprogress = ({ loaded }) => onProgress(loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) return end(resolve);
      const reason = /<Message>([^<]*)/.exec(request.responseText)?.[1] ?? `HTTP ${request.status}`;
      const error = new ApiError(request.status, { error: reason, code: "storage" });
      end(reject, Object.assign(error, { fromStorage: true }));
    };
    request.onerror = () => end(reject, new ApiError(0, { error: words.uploads.lost, code: "offline" }));
    request.onabort = () => end(reject, signal.reason);
    signal.addEventListener("abort", abort);
    if (signal.aborted) return end(reject, signal.reason);
    request.send(body);
  });
}

/** So many at a time, in the order of asking. */
class Slots {
  constructor(number) {
    this.free = number;
    this.waiting = [];
  }

  /** @returns {Promise<() => void>} gives the slot back */
  async take() {
    if (this.free > 0) this.free -= 1;
    else await new Promise((resolve) => this.waiting.push(resolve));
    return () => {
      const next = this.waiting.shift();
      if (next) next();
      else this.free += 1;
    };
  }
}

/** Bytes of each part that are on their way or there, told to Uppy as one sum. */
class Progress {
  constructor(uppy, file) {
    this.uppy = uppy;
    this.file = file;
    this.parts = new Map();
  }

  set(number, bytes) {
    this.parts.set(number, bytes);
    const file = this.uppy.getFile(this.file.id);
    if (!file) return;
    const sent = [...this.parts.values()].reduce((total, part) => total + part, 0);
    this.uppy.emit("upload-progress", file, {
      uploadStarted: file.progress.uploadStarted ?? Date.now(),
      bytesUploaded: Math.min(sent, file.size),
      bytesTotal: file.size,
    });
  }
}
