// Deletion with an undo. The API has no trash: for some seconds nothing is asked of it, and the files are only not shown.

import { BASE, post } from "./api.js";
import { sentence, toast } from "./ui.js";
import { words } from "./words.js";

const UNDO_MS = 7_000;
/** POST /files/bulk-delete takes so many. */
const AT_ONCE = 100;
const waiting = new Map();
const listeners = new Set();

const tell = () => {
  const hidden = new Set(waiting.keys());
  listeners.forEach((listener) => listener(hidden));
};

/** Calls the listener with the ids that are not to be shown, now and at each change. */
export function onDeletions(listener) {
  listeners.add(listener);
  listener(new Set(waiting.keys()));
  return () => listeners.delete(listener);
}

export function deleteLater(files) {
  const ids = files.map(({ id }) => id);
  const timer = setTimeout(() => carryOut(ids), UNDO_MS);
  ids.forEach((id) => waiting.set(id, timer));
  tell();
  const undo = () => {
    clearTimeout(timer);
    ids.forEach((id) => waiting.delete(id));
    tell();
  };
  toast(words.files.deleting(files.length, files[0].filename), { milliseconds: UNDO_MS, action: { label: words.undo, run: undo } });
}

async function carryOut(ids) {
  let kept = 0;
  try {
    for (let from = 0; from < ids.length; from += AT_ONCE) {
      const { results } = await post("/files/bulk-delete", { ids: ids.slice(from, from + AT_ONCE) });
      kept += results.filter(({ result }) => result === "conflict" || result === "not_yours").length;
    }
    if (kept) toast(words.files.notDeleted(kept), { error: true });
  } catch (error) {
    toast(sentence(error), { error: true });
  } finally {
    // The event of each deletion takes its row off the list; until it has come the row stays hidden.
    setTimeout(() => (ids.forEach((id) => waiting.delete(id)), tell()), kept ? 0 : UNDO_MS);
  }
}

/** Who leaves the page has not undone it. */
addEventListener("pagehide", () => {
  const ids = [...waiting].filter(([, timer]) => timer).map(([id]) => id);
  for (let from = 0; from < ids.length; from += AT_ONCE)
    fetch(new URL("files/bulk-delete", BASE), {
      method: "POST",
      keepalive: true,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ids: ids.slice(from, from + AT_ONCE) }),
    });
});
