// The feed of events, held open: GET /events answers when something happens, or after twenty seconds. Only while the page
// is seen and was used of late, so that an unattended tab does not keep its session alive.

import { get, session, sleep } from "./api.js";
import { useEffect } from "./ui.js";

const IDLE_MS = 30 * 60_000;
const PAUSE_AFTER_ERROR_MS = 5_000;
/** What is done at once is many events, and one reason to read a list anew. */
const SETTLED_MS = 300;
const listeners = new Set();
let running = false;
let lastUse = Date.now();
let wake = () => {};

for (const kind of ["pointerdown", "keydown", "scroll"])
  addEventListener(kind, () => ((lastUse = Date.now()), wake()), { passive: true, capture: true });
document.addEventListener("visibilitychange", () => wake());

const attended = () => document.visibilityState === "visible" && Date.now() - lastUse < IDLE_MS;
const whenAttended = () => (attended() ? null : new Promise((resolve) => (wake = () => attended() && resolve())));

/**
 * Calls the listener with each new event, until the returned function is called. `null` says that events may have been
 * missed, so that what is shown has to be read anew.
 */
export function onEvents(listener) {
  listeners.add(listener);
  if (!running) follow();
  return () => listeners.delete(listener);
}

/**
 * Calls `reload` after events of these things, such as "user", and when some may have been missed.
 *
 * @param {string[]} things what the types of their events begin with
 * @param {() => void} reload the same function at each rendering
 */
export function useLive(things, reload) {
  useEffect(() => {
    let timer = null;
    const end = onEvents((event) => {
      if (event !== null && !things.includes(event.type.split(".")[0])) return;
      clearTimeout(timer);
      timer = setTimeout(reload, SETTLED_MS);
    });
    return () => (clearTimeout(timer), end());
  }, [reload]);
}

const tell = (event) => listeners.forEach((listener) => listener(event));

async function follow() {
  running = true;
  let after = null;
  let missed = false;
  while (listeners.size && session.user) {
    try {
      await whenAttended();
      if (after === null) {
        after = (await get("/events?last=1", { quiet: true })).next_after;
        if (missed) tell(null);
        missed = false;
      }
      const page = await get(`/events?after=${after}&wait=20&limit=1000`, { quiet: true });
      after = page.next_after;
      page.events.forEach(tell);
    } catch (error) {
      await sleep((error.retryAfterSeconds ?? 0) * 1000 || PAUSE_AFTER_ERROR_MS);
      // Without an answer the place in the feed is still good; after a refusal nobody knows.
      if (error.status >= 400) {
        after = null;
        missed = true;
      }
    }
  }
  running = false;
}
