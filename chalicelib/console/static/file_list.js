// The list of files as the service tells it: by pages, filtered by the service, and kept true by the feed of events.

import { get, may, withQuery } from "./api.js";
import { onEvents } from "./live.js";
import { useCallback, useEffect, useRef, useState } from "./ui.js";

export const PAGE = 100;
/** A search reads 2,000 names with each request: 200,000 are looked through without asking whether to go on. */
const SEARCH_REQUESTS = 100;
const USAGE_PAUSE_MS = 1500;

/** As the service compares names: every word, without case and accents. */
export function matches(filename, sought) {
  const folded = fold(filename);
  return fold(sought).split(/\s+/).every((word) => folded.includes(word));
}

const fold = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase().replaceAll("ß", "ss");

const EMPTY = { files: [], cursor: null, loading: true, error: null, requests: 0, allowed: SEARCH_REQUESTS };

/**
 * The files as far as they were read: {files, cursor, loading, error, usage, searching, mayGoOn, paused,
 * more, goOn}.
 *
 * @param {{status: string, mime_type: string, name: string}} filter empty texts leave out nothing
 */
export function useList(filter) {
  const [state, setState] = useState(EMPTY);
  const [usage, setUsage] = useState(null);
  const turn = useRef(0);
  const latest = useRef(state);
  latest.current = state;

  const read = useCallback(async (cursor) => {
    const mine = turn.current;
    // At once, not with the next rendering: two effects may ask for more before it.
    latest.current = { ...latest.current, loading: true };
    setState((before) => ({ ...before, loading: true, error: null }));
    try {
      const page = await get(withQuery("/files", { limit: PAGE, cursor, ...filter }));
      if (mine !== turn.current) return;
      setState((before) => ({
        ...before,
        files: cursor ? merged(before.files, page.files) : page.files,
        cursor: page.next_cursor,
        loading: false,
        requests: before.requests + 1,
      }));
    } catch (error) {
      if (mine === turn.current) setState((before) => ({ ...before, loading: false, error }));
    }
  }, [filter]);

  /** The newest page anew; what was read below it stays, so that nobody loses their place. */
  const refresh = useCallback(async () => {
    const mine = turn.current;
    const page = await get(withQuery("/files", { limit: PAGE, ...filter }), { quiet: true }).catch(() => null);
    if (!page || mine !== turn.current) return;
    const last = page.files.at(-1)?.id;
    setState((before) => {
      const older = page.next_cursor ? before.files.filter(({ id }) => !last || id < last) : [];
      return { ...before, files: [...page.files, ...older], cursor: older.length ? before.cursor : page.next_cursor };
    });
  }, [filter]);

  const timer = useRef(null);
  const readUsage = useCallback(() => {
    if (!may("organization:read")) return;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => get("/usage", { quiet: true }).then(setUsage, () => {}), usage ? USAGE_PAUSE_MS : 0);
  }, [usage === null]);

  useEffect(() => {
    turn.current += 1;
    // What fits the new filter stays until the answer is there, so that the list does not go and come back.
    setState((before) => ({ ...EMPTY, files: before.files.filter((file) => fits(file, filter)) }));
    read(null);
    readUsage();
    return onEvents((event) => {
      if (event === null) return void refresh();
      if (!event.type.startsWith("file.") || event.type === "file.downloaded") return;
      setState((before) => ({ ...before, files: withEvent(before.files, event, filter) }));
      readUsage();
    });
  }, [filter]);

  const { files, cursor, loading, error, requests, allowed } = state;
  const more = () => latest.current.loading || read(latest.current.cursor);
  const idle = cursor !== null && !loading && !error;
  const spent = Boolean(filter.name) && requests >= allowed;
  // A search goes on by itself while it has found less than a page; after that somebody scrolls.
  useEffect(() => {
    if (filter.name && idle && !spent && files.length < PAGE / 2) more();
  }, [filter, idle, spent, files.length, requests]);
  const goOn = () => (setState((before) => ({ ...before, allowed: before.requests + SEARCH_REQUESTS })), more());
  const searching = Boolean(filter.name) && requests > 1 && (loading || (idle && !spent && files.length < PAGE / 2));
  return { ...state, usage, searching, mayGoOn: idle && !spent, paused: idle && spent, more, goOn };
}

function merged(files, more) {
  const there = new Set(files.map(({ id }) => id));
  return [...files, ...more.filter(({ id }) => !there.has(id))];
}

const fits = ({ status, mime_type, filename }, filter) =>
  (!filter.status || filter.status === status) &&
  (!filter.mime_type || filter.mime_type === mime_type) &&
  (!filter.name || matches(filename, filter.name));

/** The list after a change that somebody, here or elsewhere, has made. */
function withEvent(files, { type, target, data }, filter) {
  const index = files.findIndex(({ id }) => id === target.id);
  const shown = fits(data, filter);
  if (type === "file.deleted" || (index >= 0 && !shown)) return files.filter(({ id }) => id !== target.id);
  if (index >= 0) return files.with(index, { ...files[index], ...data });
  // Ids are in the order of creation, newest first: what is older than all that was read comes when somebody scrolls.
  if (!shown || (files.length > 0 && target.id < files.at(-1).id)) return files;
  const place = files.findIndex(({ id }) => id < target.id);
  return place < 0 ? [...files, data] : files.toSpliced(place, 0, data);
}
