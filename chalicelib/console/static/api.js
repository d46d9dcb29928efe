// Calls of the public API, and the one place that knows whether somebody is signed in.
//
// A call that finds its session ended waits until the same person has signed in again and is then repeated, so that
// nothing under way is lost. A call that meets a rate limit waits for as long as Retry-After says.

/** Where the API is: this file is at <base>/console/<version>/api.js. */
export const BASE = new URL("../../", import.meta.url);

/** Says that there may be a session, whose cookie no script can read: without it there is nothing to ask for. */
const SIGNED_IN = "strongroom.signed-in";
const CALLS_KEPT = 60;
const LONGEST_WAIT_MS = 120_000;

export class ApiError extends Error {
  constructor(status, said, retryAfterSeconds = null) {
    super(said.error);
    this.status = status;
    this.code = said.code;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** No answer came: the network, or the service behind it, is away. */
  get isOffline() {
    return this.status === 0;
  }
}

const listeners = new Map();

/** Events of the page: "session", "calls", "waiting". Returns what ends the subscription. */
export function on(name, listener) {
  if (!listeners.has(name)) listeners.set(name, new Set());
  listeners.get(name).add(listener);
  return () => listeners.get(name).delete(listener);
}

export function emit(name, value) {
  for (const listener of listeners.get(name) ?? []) listener(value);
}

/** The signed-in user, and whether the session has ended under the open page. */
export const session = { user: null, ended: false };
let waitingForLogin = null;

export const may = (scope) => session.user?.scopes.includes(scope) ?? false;
export const mayBeSignedIn = () => localStorage.getItem(SIGNED_IN) !== null;

/** Somebody has signed in. Another person than before starts with a fresh page. */
export function signedIn(user) {
  localStorage.setItem(SIGNED_IN, "yes");
  if (session.user && session.user.id !== user.id) return location.reload();
  session.user = user;
  session.ended = false;
  emit("session");
  waitingForLogin?.resolve();
  waitingForLogin = null;
}

export function signedOut() {
  localStorage.removeItem(SIGNED_IN);
  session.user = null;
  session.ended = false;
  emit("session");
}

function untilSignedInAgain() {
  session.ended = true;
  emit("session");
  waitingForLogin ??= Promise.withResolvers?.() ?? deferred();
  return waitingForLogin.promise;
}

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

/** The newest calls, for whoever wants to do the same with curl. */
export const calls = [];

function note(method, path, body) {
  calls.unshift({ method, path, body, at: new Date() });
  calls.length = Math.min(calls.length, CALLS_KEPT);
  emit("calls");
}

/** Fields that a shown command must not repeat. */
const SECRETS = new Set(["password", "current_password", "new_password", "code", "challenge", "token", "key"]);

export function curl(method, path, body) {
  const words = ["curl -s -b jar"];
  if (method !== "GET") words.push(`-X ${method}`);
  if (body !== undefined) {
    const shown = JSON.stringify(body, (name, value) => (SECRETS.has(name) ? "…" : value));
    words.push(`-H 'Content-Type: application/json' -d ${quoted(shown)}`);
  }
  return `${words.join(" ")} ${quoted(new URL(path.slice(1), BASE).href)}`;
}

const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

export const sleep = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

/**
 * Calls the API.
 *
 * @param {string} path such as "/files?limit=100"
 * @param {{signal?: AbortSignal, quiet?: boolean, anonymous?: boolean}} [options] quiet: not shown among the calls;
 *   anonymous: a 401 is the answer, not the end of a session
 * @throws {ApiError} a refusal, or no answer (status 0)
 */
export async function call(method, path, body, options = {}) {
  const { signal, quiet = false, anonymous = false } = options;
  if (!quiet) note(method, path, body);
  for (;;) {
    const answer = await request(method, path, body, signal);
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    const error = await refusal(answer);
    if (answer.status === 401 && error.code === "not_signed_in" && !anonymous && session.user) {
      await untilSignedInAgain();
    } else if (answer.status === 429 && method === "GET" && error.retryAfterSeconds * 1000 <= LONGEST_WAIT_MS) {
      await sleep(error.retryAfterSeconds * 1000, signal);
    } else {
      throw error;
    }
  }
}

async function request(method, path, body, signal) {
  const json = body !== undefined;
  try {
    return await fetch(new URL(path.slice(1), BASE), {
      method,
      signal,
      headers: json ? { "Content-Type": "application/json" } : {},
      body: json ? JSON.stringify(body) : undefined,
    });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new ApiError(0, { error: error.message, code: "offline" });
  }
}

async function refusal(answer) {
  const wait = Number(answer.headers.get("Retry-After"));
  const said = await answer.json().catch(() => ({ error: `HTTP ${answer.status}`, code: "internal_error" }));
  return new ApiError(answer.status, said, answer.headers.has("Retry-After") ? Math.max(1, wait) : null);
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body, options) => call("POST", path, body, options);
export const patch = (path, body, options) => call("PATCH", path, body, options);
export const remove = (path, body, options) => call("DELETE", path, body, options);

/** `path` with the parameters that have a value. */
export function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value) query.set(name, value);
  return query.size ? `${path}?${query}` : path;
}

/**
 * Saves a file's bytes by the browser's own download. The address is asked for first: an ended session, or a file that
 * is gone, is then an error here and no page of JSON.
 */
export async function download(id) {
  const path = `/files/${id}/content`;
  note("GET", path);
  for (;;) {
    const answer = await fetch(new URL(path.slice(1), BASE), { redirect: "manual" }).catch((error) => {
      throw new ApiError(0, { error: error.message, code: "offline" });
    });
    if (answer.type === "opaqueredirect") break;
    const error = await refusal(answer);
    if (answer.status !== 401) throw error;
    await untilSignedInAgain();
  }
  const link = Object.assign(document.createElement("a"), { href: new URL(path.slice(1), BASE).href, download: "" });
  document.body.append(link);
  link.click();
  link.remove();
}
