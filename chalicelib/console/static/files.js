// The list of files: read in pages by cursor as somebody scrolls, and only the rows that are seen are in the document.

import { download, may } from "./api.js";
import { go } from "./app.js";
import { Badge, Button, Confirm, Empty, Head, Icon, Problem, Skeleton, ago, attempt, count, html, kindOf, sentence, size, time, toast, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./ui.js";
import { deleteLater, onDeletions } from "./deletions.js";
import { FileSheet } from "./file_sheet.js";
import { PAGE, matches, useList } from "./file_list.js";
import { words } from "./words.js";

const OVERSCAN = 8;
const NARROW = matchMedia("(max-width: 860px)");
/** Nothing can be dropped there. */
const TOUCH = matchMedia("(pointer: coarse)").matches;
/** While somebody types, the service is asked no more often. */
const TYPING_MS = 250;
const DOWNLOAD_PAUSE_MS = 400;

const NO_FILTER = { status: "", mime_type: "", name: "" };

export default function Files({ rest: [opened] }) {
  const [filter, setFilter] = useState(NO_FILTER);
  const [name, setName] = useState("");
  const list = useList(filter);
  const [selected, setSelected] = useState(new Set());
  const [confirming, setConfirming] = useState(null);
  const sought = name.trim();
  useEffect(() => {
    const timer = setTimeout(() => setFilter((before) => (before.name === sought ? before : { ...before, name: sought })), TYPING_MS);
    return () => clearTimeout(timer);
  }, [sought]);
  const hidden = useHidden();
  const rows = useMemo(
    // What was found for the name before is narrowed at once; the service's answer follows.
    () => list.files.filter((file) => !hidden.has(file.id) && (sought === filter.name || matches(file.filename, sought))),
    [list.files, sought, filter.name, hidden],
  );
  useEffect(() => setSelected(new Set()), [filter]);
  const chosen = rows.filter(({ id }) => selected.has(id));
  const toggle = (id) => setSelected((before) => toggled(before, id));
  const filtered = filter.status || filter.mime_type || sought;
  const clear = () => (setFilter(NO_FILTER), setName(""));
  const remove = (files) => setConfirming(files);
  return html`
    <${Head} title=${words.pages.files} about=${!may("files:write") ? words.files.aboutViewer : TOUCH ? words.files.aboutTouch : words.files.about}>
      ${may("files:write") && html`<${Upload} />`}
    </${Head}>
    <${Tools} filter=${filter} setFilter=${setFilter} name=${name} setName=${setName} usage=${list.usage} />
    <div class="sr" role="status">${list.loading ? words.loading : words.files.total(rows.length)}</div>
    ${list.error && html`<${Problem} error=${list.error} again=${list.more} />`}
    ${!rows.length && (list.loading || list.mayGoOn || sought !== filter.name)
      ? html`<${Skeleton} />`
      : rows.length
        ? html`<${Rows} rows=${rows} list=${list} selected=${selected} toggle=${toggle} setSelected=${setSelected} />`
        : !list.error && !list.paused && (filtered
          ? html`<${Empty} icon="search" title=${words.files.noMatch} action=${html`<${Button} onClick=${clear}>${words.files.clear}</${Button}>`}>${words.files.noMatchAbout}</${Empty}>`
          : html`<${Empty} icon="upload" title=${words.files.empty} action=${may("files:write") && html`<div class="tools"><${Upload} /></div>`}>
              ${!may("files:write") ? words.files.emptyViewer : TOUCH ? words.files.emptyTouch : words.files.emptyAbout}
            </${Empty}>`)}
    ${list.searching && html`<p class="files-more">${words.files.searching}</p>`}
    ${list.paused && html`<p class="files-more">
      ${words.files.searched(rows.length)} <${Button} kind="small" onClick=${list.goOn}>${words.files.searchOn}</${Button}>
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

function Tools({ filter, setFilter, name, setName, usage }) {
  const by = usage?.by_status ?? {};
  // The chosen one stays a choice, also when its last file has gone.
  const types = { ...(filter.mime_type && { [filter.mime_type]: 0 }), ...usage?.by_type };
  const total = Object.values(by).reduce((sum, number) => sum + number, 0);
  const number = (status) => (status ? by[status] : total);
  return html`<div class="tools">
    <div class="search">
      <${Icon} name="search" />
      <input type="search" maxlength="255" aria-label=${words.files.search} placeholder=${words.files.search} value=${name} onInput=${({ target }) => setName(target.value)} />
    </div>
    <select aria-label=${words.files.type} value=${filter.mime_type} onChange=${({ target }) => setFilter({ ...filter, mime_type: target.value })}>
      <option value="">${words.files.allTypes}</option>
      ${Object.entries(types).map(([type, number]) => html`<option key=${type} value=${type}>${type} (${count(number)})</option>`)}
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

function Rows({ rows, list, selected, toggle, setSelected }) {
  const body = useRef(null);
  const height = useRowHeight();
  const [from, to] = useWindow(body, rows.length, height);
  useEffect(() => {
    if (list.mayGoOn && to + PAGE / 4 >= rows.length) list.more();
  }, [to, rows.length, list.cursor, list.mayGoOn]);
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
    ${list.loading && !list.searching && html`<p class="files-more">${words.loading} …</p>`}
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
