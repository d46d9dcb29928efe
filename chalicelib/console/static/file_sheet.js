// What is known of one file, and what can be done with it.

import { BASE, download, get, may, patch, post, session, withQuery } from "./api.js";
import { Badge, Button, Copy, Curl, Dialog, Field, Form, Problem, Skeleton, When, attempt, html, size, time, toast, useEffect, useLoaded, useRef, useState } from "./ui.js";
import { onEvents } from "./live.js";
import { words } from "./words.js";

/** Pictures that every browser shows and none runs. SVG and HTML can hold scripts, so they are never shown. */
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);
/** The file itself is the preview: what is larger takes too long on a phone. */
const MOST_PREVIEW_BYTES = 5 * 1024 * 1024;
/** Requests that are made for a page of the history while nothing is found; each reads 3,000 events. */
const HISTORY_REQUESTS = 5;

export function FileSheet({ id, onClose, onDelete }) {
  const state = useLoaded((signal) => get(`/files/${id}`, { signal }), [id]);
  const [changed, setChanged] = useState(null);
  useEffect(
    () =>
      onEvents((event) => {
        if (event === null) return state.reload();
        if (event.target.id !== id || event.type === "file.downloaded") return;
        if (event.type === "file.deleted") onClose();
        else setChanged(event.data);
      }),
    [id],
  );
  const file = state.value && { ...state.value, ...changed };
  return html`<${Dialog} sheet title=${words.file.title} onClose=${onClose}>
    ${state.error
      ? html`<${Problem} error=${state.error.status === 404 ? { message: words.file.gone } : state.error} again=${state.error.status === 404 ? undefined : state.reload} />`
      : file
        ? html`<${Details} file=${file} setChanged=${setChanged} onDelete=${onDelete} />`
        : html`<${Skeleton} rows=${5} />`}
  </${Dialog}>`;
}

/** Members change what they have uploaded themselves; `files:manage` is for the files of others. */
const mayChange = (file, scope) => may(scope) && (may("files:manage") || file.uploaded_by?.id === session.user.id);

function Details({ file, setChanged, onDelete }) {
  const path = `/files/${file.id}`;
  const retry = () => attempt(async () => setChanged(await post(`${path}/retry`)), words.file.retried);
  return html`
    <${Name} file=${file} setChanged=${setChanged} />
    ${file.status === "completed" && PICTURES.has(file.mime_type) && file.file_size <= MOST_PREVIEW_BYTES && html`<${Preview} file=${file} />`}
    <div class="tools">
      ${file.status === "completed" && html`<${Button} kind="primary" icon="download" onClick=${() => attempt(() => download(file.id))}>${words.file.download}</${Button}>`}
      ${file.status === "failed" && mayChange(file, "files:write") && html`<${Button} kind="primary" onClick=${retry}>${words.file.retry}</${Button}>`}
      ${mayChange(file, "files:delete") && html`<${Button} icon="trash" onClick=${() => onDelete(file)}>${words.file.delete}</${Button}>`}
    </div>
    <dl class="facts">
      <${Fact} name=${words.file.status}><${Badge} kind=${file.status}>${words.status[file.status]}</${Badge}></${Fact}>
      ${file.error_message && html`<${Fact} name=${words.file.why}>${file.error_message}</${Fact}>`}
      ${file.file_size !== null && html`<${Fact} name=${words.file.size}>${size(file.file_size)}</${Fact}>`}
      <${Fact} name=${words.file.type}>
        <span>${file.mime_type ?? "–"} ${file.declared_type && file.declared_type !== file.mime_type && html`<span class="quiet">(${words.file.declared(file.declared_type)})</span>`}</span>
      </${Fact}>
      ${file.sha256_hash && html`<${Fact} name=${words.file.hash}><code>${file.sha256_hash}</code><${Copy} text=${file.sha256_hash} /></${Fact}>`}
      ${file.sha256 && html`<${Fact} name=${words.file.hash}><span class="quiet">${words.file.noHash(file.sha256, file.file_size)}</span></${Fact}>`}
      ${file.uploaded_by && html`<${Fact} name=${words.file.uploadedBy}>${file.uploaded_by.name}</${Fact}>`}
      <${Fact} name=${words.file.created}>${time(file.created_at)}</${Fact}>
      ${file.processed_at && html`<${Fact} name=${words.file.processed}>${time(file.processed_at)}</${Fact}>`}
      <${Fact} name=${words.file.id}><code>${file.id}</code><${Copy} text=${file.id} /></${Fact}>
    </dl>
    <${Curl} path=${path} />
    <${History} id=${file.id} />
  `;
}

const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

function Name({ file, setChanged }) {
  const [editing, setEditing] = useState(false);
  if (!editing)
    return html`<div class="line">
      <h3 class="grow file-name">${file.filename}</h3>
      ${mayChange(file, "files:write") && html`<${Button} kind="small" onClick=${() => setEditing(true)}>${words.file.rename}</${Button}>`}
    </div>`;
  const rename = async ({ filename }) => {
    const renamed = await patch(`/files/${file.id}`, { filename });
    setChanged(renamed);
    setEditing(false);
    if (renamed.filename !== filename) toast(words.file.renamedTo(renamed.filename));
  };
  return html`<${Form} onSubmit=${rename} submit=${words.save} cancel=${html`<${Button} onClick=${() => setEditing(false)}>${words.cancel}</${Button}>`}>
    <${Field} label=${words.file.name} name="filename" defaultValue=${file.filename} maxlength="255" required autofocus />
  </${Form}>`;
}

/** Its bytes, as a download leads to them. The audit trail tells of it as of any other. */
function Preview({ file }) {
  const [broken, setBroken] = useState(false);
  if (broken) return null;
  return html`<img class="preview" alt=${words.file.preview(file.filename)} decoding="async" src=${new URL(`files/${file.id}/content`, BASE).href} onError=${() => setBroken(true)} />`;
}

function History({ id }) {
  const [state, setState] = useState({ events: null, cursor: null, error: null });
  const turn = useRef(0);
  const read = async (from) => {
    const mine = (turn.current += 1);
    const found = [];
    let cursor = from;
    try {
      for (let requests = 0; requests < HISTORY_REQUESTS; requests += 1) {
        const page = await get(withQuery(`/files/${id}/events`, { limit: 50, cursor }), { quiet: true });
        found.push(...page.events);
        cursor = page.next_cursor;
        if (found.length || !cursor) break;
      }
      if (mine === turn.current) setState((before) => ({ events: from ? [...before.events, ...found] : found, cursor, error: null }));
    } catch (error) {
      if (mine === turn.current) setState((before) => ({ ...before, error }));
    }
  };
  useEffect(() => {
    read(null);
    const end = onEvents((event) => (event === null || event.target.id === id) && event?.type !== "file.deleted" && read(null));
    return () => ((turn.current += 1), end());
  }, [id]);
  const { events, cursor, error } = state;
  return html`<section class="form">
    <h3>${words.file.history}</h3>
    ${error && html`<${Problem} error=${error} again=${() => read(null)} />`}
    ${!events ? !error && html`<${Skeleton} rows=${3} />` : events.length === 0 && !cursor ? html`<p class="quiet">${words.file.noHistory}</p>` : html`<ol class="history">
      ${inRows(events).map(
        ({ event, times }) => html`<li key=${event.id}>
          <p>${words.events[event.type] ?? event.type}${times > 1 && html` <span class="quiet">${words.file.times(times)}</span>`}${event.changes?.filename && html` <span class="quiet">${words.file.renamedFrom(event.changes.filename.from)}</span>`}</p>
          <p class="sub"><${When} at=${event.time} />${event.actor.name && ` ${words.by(event.actor.name)}`}</p>
        </li>`,
      )}
    </ol>`}
    ${cursor && html`<${Button} kind="small" onClick=${() => read(cursor)}>${words.file.earlier}</${Button}>`}
    <${Curl} path=${`/files/${id}/events`} />
  </section>`;
}

/** What somebody does again and again, such as looking at a picture, in one line. */
function inRows(events) {
  const rows = [];
  for (const event of events) {
    const last = rows.at(-1);
    if (last && !event.changes && last.event.type === event.type && last.event.actor.id === event.actor.id) last.times += 1;
    else rows.push({ event, times: 1 });
  }
  return rows;
}
