// The list of files: read in pages by cursor as somebody scrolls, and only the rows that are seen are in the document.

import { download, get, may, withQuery } from "./api.js";
import { go } from "./app.js";
import { Badge, Button, Confirm, Empty, Head, Icon, Problem, Skeleton, ago, attempt, count, html, kindOf, sentence, size, time, toast, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./ui.js";
import { deleteLater, onDeletions } from "./deletions.js";
import { FileSheet } from "./file_sheet.js";
import { onEvents } from "./live.js";
import { words } from "./words.js";

const PAGE = 100;
const OVERSCAN = 8;
const NARROW = matchMedia("(max-width: 860px)");
/** While looking for a name: so many files are read without being asked again. */
const SEARCH_STEP = 1000;
const USAGE_PAUSE_MS = 1500;
const DOWNLOAD_PAUSE_MS = 400;

export default function Files({ rest: [opened] }) {
  const [filter, setFilter] = useState({ status: "", mime_type: "" });
  const [name, setName] = useState("");
  const list = useList(filter);
  const [selected, setSelected] = useState(new Set());
  const [confirming, setConfirming] = useState(null);
  const types = useTypes(list.files);
  const sought = name.trim().toLocaleLowerCase();
  const hidden = useHidden();
  const rows = useMemo(
    () => list.files.filter((file) => !hidden.has(file.id) && (!sought || file.filename.toLocaleLowerCase().includes(sought))),
    [list.files, sought, hidden],
  );
  const search = useSearch(sought, rows, list);
  useEffect(() => setSelected(new Set()), [filter]);
  const chosen = rows.filter(({ id }) => selected.has(id));
  const toggle = (id) => setSelected((before) => toggled(before, id));
  const filtered = filter.status || filter.mime_type || sought;
  const clear = () => (setFilter({ status: "", mime_type: "" }), setName(""));
  const remove = (files) => setConfirming(files);
  return html`
    <${Head} title=${words.pages.files} about=${may("files:write") ? words.files.about : words.files.aboutViewer}>
      ${may("files:write") && html`<${Upload} />`}
    </${Head}>
    <${Tools} filter=${filter} setFilter=${setFilter} name=${name} setName=${setName} types=${types} usage=${list.usage} />
    <div class="sr" role="status">${list.loading ? words.loading : words.files.total(rows.length)}</div>
    ${list.error && html`<${Problem} error=${list.error} again=${list.more} />`}
    ${!rows.length && list.loading
      ? html`<${Skeleton} />`
      : rows.length
        ? html`<${Rows} rows=${rows} list=${list} selected=${selected} toggle=${toggle} setSelected=${setSelected} mayLoad=${!sought || search.goesOn} />`
        : !list.error && (filtered
          ? html`<${Empty} icon="search" title=${words.files.noMatch} action=${html`<${Button} onClick=${clear}>${words.files.clear}</${Button}>`}>${words.files.noMatchAbout}</${Empty}>`
          : html`<${Empty} icon="upload" title=${words.files.empty} action=${may("files:write") && html`<div class="tools"><${Upload} /></div>`}>
              ${may("files:write") ? words.files.emptyAbout : words.files.emptyViewer}
            </${Empty}>`)}
    ${sought && list.cursor && html`<p class="files-more">
      ${words.files.searched(list.files.length, list.total)} ${!search.goesOn && html`<${Button} kind="small" onClick=${search.on}>${words.files.searchOn}</${Button}>`}
    </p>`}
    ${chosen.length > 0 && html`<div class="selection" role="region" aria-label=${words.files.selected(chosen.length)}>
      <strong>${words.files.selected(chosen.length)}</strong>
      <${Button} icon="download" onClick=${() => downloadMany(chosen)}>${words.files.downloadMany}</${Button}>
      ${may("files:delete") && html`<${Button} icon="trash" onClick=${() => remove(chosen)}>${words.files.deleteMany}</${Button}>`}
      <${Button} kind="quiet" icon="close" label=${words.files.clear} onClick=${() => setSelected(new Set())} />
    </div>`}
    ${opened && html`<${FileSheet} key=${opened} id=${opened} onClose=${() => go("files")} onDelete=${(file) => remove([file])} />`}
    ${confirming && html`<${Confirm}
      title=${words.files.deleteTitle(confirming.length)}
      action=${words.files.deleteAction(confirming.length)}
      curl=${{ method: "POST", path: "/files/bulk-delete", body: { ids: confirming.map(({ id }) => id) } }}
      onClose=${() => setConfirming(null)}
      onConfirm=${() => {
        deleteLater(confirming);
        setSelected(new Set());
        if (opened) go("files");
      }}
    >
      ${confirming.slice(0, 5).map(({ id, filename }) => html`<p key=${id}><strong>${filename}</strong></p>`)}
      ${confirming.length > 5 && html`<p>…</p>`}
      <p>${words.files.deleteAbout}</p>
    </${Confirm}>`}
  `;
}

function Upload() {
  const files = useRef(null);
  const folder = useRef(null);
  const choose = ({ target }) => {
    // Copied: emptying the field, so that the same file can be chosen again, empties its list too.
    const chosen = [...target.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
    target.value = "";
    return import("./uploads.js").then(({ sendFiles }) => sendFiles(chosen), () => toast(words.uploads.noLoad, { error: true }));
  };
  return html`
    <input type="file" multiple hidden ref=${files} onChange=${choose} data-chooser="files" />
    <input type="file" webkitdirectory hidden ref=${folder} onChange=${choose} />
    <${Button} onClick=${() => folder.current.click()}>${words.files.uploadFolder}</${Button}>
    <${Button} kind="primary" icon="upload" onClick=${() => files.current.click()}>${words.files.upload}</${Button}>
  `;
}

function Tools({ filter, setFilter, name, setName, types, usage }) {
  const by = usage?.by_status ?? {};
  const total = Object.values(by).reduce((sum, number) => sum + number, 0);
  const number = (status) => (status ? by[status] : total);
  return html`<div class="tools">
    <div class="search">
      <${Icon} name="search" />
      <input type="search" aria-label=${words.files.search} placeholder=${words.files.search} value=${name} onInput=${({ target }) => setName(target.value)} />
    </div>
    <select aria-label=${words.files.type} value=${filter.mime_type} onChange=${({ target }) => setFilter({ ...filter, mime_type: target.value })}>
      <option value="">${words.files.allTypes}</option>
      ${types.map((type) => html`<option key=${type} value=${type}>${type}</option>`)}
    </select>
    <div class="tabs" role="group" aria-label=${words.files.filter}>
      ${["", "completed", "pending", "processing", "failed"].map(
        (status) => html`<button key=${status} type="button" aria-pressed=${filter.status === status} onClick=${() => setFilter({ ...filter, status })}>
          ${words.files.tabs[status]}${usage && html`<span class="n">${count(number(status) ?? 0)}</span>`}
        </button>`,
      )}
    </div>
  </div>`;
}

function Rows({ rows, list, selected, toggle, setSelected, mayLoad }) {
  const body = useRef(null);
  const height = useRowHeight();
  const [from, to] = useWindow(body, rows.length, height);
  useEffect(() => {
    if (mayLoad && list.cursor && !list.loading && !list.error && to + PAGE / 4 >= rows.length) list.more();
  }, [to, rows.length, list.cursor, list.loading, mayLoad]);
  const all = rows.length > 0 && rows.every(({ id }) => selected.has(id));
  return html`<div>
    <div class="files">
      <div class="files-head">
        <label class="pick"><input type="checkbox" aria-label=${words.files.selectAll} checked=${all}
          onChange=${() => setSelected(all ? new Set() : new Set(rows.map(({ id }) => id)))} /></label>
        ${words.files.columns.map((column, index) => html`<span key=${column} class=${index ? "" : "first"}>${column}</span>`)}
      </div>
      <ul ref=${body} class="files-body" style=${{ position: "relative", height: `${rows.length * height}px` }} aria-label=${words.files.list}>
        ${rows.slice(from, to).map(
          (file, index) => html`<${Row} key=${file.id} file=${file} place=${from + index} total=${list.cursor ? -1 : rows.length} height=${height}
            selected=${selected.has(file.id)} toggle=${toggle} />`,
        )}
      </ul>
    </div>
    ${list.loading && html`<p class="files-more">${words.loading} …</p>`}
  </div>`;
}

function Row({ file, place, total, height, selected, toggle }) {
  const { id, filename, status } = file;
  const under = [words.status[status], size(file.file_size), ago(file.created_at)].filter(Boolean).join(" · ");
  return html`<li class=${`file ${selected ? "selected" : ""}`} style=${{ top: `${place * height}px` }} aria-posinset=${place + 1} aria-setsize=${total}>
    <label class="pick"><input type="checkbox" aria-label=${words.files.select(filename)} checked=${selected} onChange=${() => toggle(id)} /></label>
    <button type="button" class="file-open" onClick=${() => go("files", id)}>
      <${Icon} name=${kindOf(file.mime_type ?? file.declared_type)} />
      <span class="grow"><span class="name" title=${filename}>${filename}</span><span class="under">${under}</span></span>
    </button>
    <span class="cell"><${Badge} kind=${status}>${words.status[status]}</${Badge}></span>
    <span class="cell">${size(file.file_size)}</span>
    <span class="cell"><time datetime=${file.created_at} title=${time(file.created_at)}>${ago(file.created_at)}</time></span>
    <span class="row-actions">
      ${status === "completed" && html`<${Button} kind="quiet" icon="download" label=${words.files.download(filename)} onClick=${() => attempt(() => download(id))} />`}
    </span>
  </li>`;
}

/** The files as far as they were read, kept true by the feed of events. */
function useList(filter) {
  const [state, setState] = useState({ files: [], cursor: null, total: 0, loading: true, error: null });
  const [usage, setUsage] = useState(null);
  const turn = useRef(0);
  const latest = useRef(state);
  latest.current = state;

  const read = useCallback(async (cursor) => {
    const mine = turn.current;
    setState((before) => ({ ...before, loading: true, error: null }));
    try {
      const page = await get(withQuery("/files", { limit: PAGE, cursor, ...filter }));
      if (mine !== turn.current) return;
      setState((before) => ({
        files: cursor ? merged(before.files, page.files) : page.files,
        cursor: page.next_cursor,
        total: page.total,
        loading: false,
        error: null,
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
    const last = page.files.at(-1)?.id ?? "";
    setState((before) => {
      const older = page.next_cursor ? before.files.filter(({ id }) => id < last) : [];
      return { ...before, files: [...page.files, ...older], cursor: older.length ? before.cursor : page.next_cursor, total: page.total };
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
    setState({ files: [], cursor: null, total: 0, loading: true, error: null });
    read(null);
    readUsage();
    return onEvents((event) => {
      if (event === null) return void refresh();
      if (!event.type.startsWith("file.") || event.type === "file.downloaded") return;
      setState((before) => ({ ...before, files: withEvent(before.files, event, filter) }));
      readUsage();
    });
  }, [filter]);

  return { ...state, usage, more: () => latest.current.loading || read(latest.current.cursor) };
}

function merged(files, more) {
  const there = new Set(files.map(({ id }) => id));
  return [...files, ...more.filter(({ id }) => !there.has(id))];
}

/** The list after a change that somebody, here or elsewhere, has made. */
function withEvent(files, { type, target, data }, filter) {
  const index = files.findIndex(({ id }) => id === target.id);
  const fits = (!filter.status || filter.status === data.status) && (!filter.mime_type || filter.mime_type === data.mime_type);
  if (type === "file.deleted" || (index >= 0 && !fits)) return files.filter(({ id }) => id !== target.id);
  if (index >= 0) return files.with(index, { ...files[index], ...data });
  // Ids are in the order of creation, newest first: what is older than all that was read comes when somebody scrolls.
  if (!fits || (files.length > 0 && target.id < files.at(-1).id)) return files;
  const place = files.findIndex(({ id }) => id < target.id);
  return place < 0 ? [...files, data] : files.toSpliced(place, 0, data);
}

/** Reads on while a name is looked for and few were found. */
function useSearch(sought, rows, list) {
  const [most, setMost] = useState(SEARCH_STEP);
  useEffect(() => setMost(SEARCH_STEP), [sought]);
  const goesOn = list.files.length < most;
  useEffect(() => {
    if (sought && goesOn && list.cursor && !list.loading && !list.error && rows.length < PAGE / 2) list.more();
  }, [sought, goesOn, list.cursor, list.loading, rows.length]);
  return { goesOn, on: () => setMost(list.files.length + SEARCH_STEP) };
}

/** Types that were seen in this list; the API has no list of them. */
function useTypes(files) {
  const seen = useRef(new Set());
  return useMemo(() => {
    for (const { mime_type } of files) if (mime_type) seen.current.add(mime_type);
    return [...seen.current].sort();
  }, [files]);
}

function useHidden() {
  const [hidden, setHidden] = useState(new Set());
  useEffect(() => onDeletions(setHidden), []);
  return hidden;
}

function useRowHeight() {
  const [narrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const change = () => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", change);
    return () => NARROW.removeEventListener("change", change);
  }, []);
  return narrow ? 72 : 60;
}

/** Which rows are seen, and some around them. */
function useWindow(body, rows, height) {
  const [seen, setSeen] = useState([0, 30]);
  useLayoutEffect(() => {
    let frame = 0;
    const measure = () => {
      frame = 0;
      if (!body.current) return;
      const top = -body.current.getBoundingClientRect().top;
      const from = Math.max(0, Math.floor(top / height) - OVERSCAN);
      const to = Math.min(rows, Math.ceil((top + innerHeight) / height) + OVERSCAN);
      setSeen((before) => (before[0] === from && before[1] === to ? before : [from, to]));
    };
    const later = () => (frame ||= requestAnimationFrame(measure));
    measure();
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", later);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", later);
      removeEventListener("resize", later);
    };
  }, [rows, height]);
  return seen;
}

function toggled(before, id) {
  const after = new Set(before);
  if (!after.delete(id)) after.add(id);
  return after;
}

async function downloadMany(files) {
  const ready = files.filter(({ status }) => status === "completed");
  toast(ready.length ? words.files.manyDownloads(ready.length) : words.files.notReady);
  for (const { id, filename } of ready) {
    try {
      await download(id);
    } catch (error) {
      toast(`${filename}: ${sentence(error)}`, { error: true });
    }
    // Browsers drop downloads that a page begins in one go.
    await new Promise((resolve) => setTimeout(resolve, DOWNLOAD_PAUSE_MS));
  }
}
