// What is known of one file, and what can be done with it.

import { download, get, may, patch, post, session } from "./api.js";
import { Badge, Button, Copy, Curl, Dialog, Field, Form, Problem, Skeleton, When, attempt, html, size, time, toast, useEffect, useLoaded, useState } from "./ui.js";
import { onEvents } from "./live.js";
import { words } from "./words.js";

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
      ${file.uploaded_by && html`<${Fact} name=${words.file.uploadedBy}>${file.uploaded_by.name}</${Fact}>`}
      <${Fact} name=${words.file.created}>${time(file.created_at)}</${Fact}>
      ${file.processed_at && html`<${Fact} name=${words.file.processed}>${time(file.processed_at)}</${Fact}>`}
      <${Fact} name=${words.file.id}><code>${file.id}</code><${Copy} text=${file.id} /></${Fact}>
    </dl>
    ${may("audit:read") && html`<${History} key=${file.status + file.filename} id=${file.id} />`}
    <${Curl} path=${path} />
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

function History({ id }) {
  const { value, error } = useLoaded((signal) => get(`/audit?target=${id}&limit=50`, { signal, quiet: true }), [id]);
  if (error || !value) return null;
  return html`<section>
    <h3>${words.file.history}</h3>
    ${value.events.length
      ? html`<ol class="history">
          ${value.events.map(
            (event) => html`<li key=${event.id}>
              <p>${words.events[event.type] ?? event.type}</p>
              <p class="sub"><${When} at=${event.time} />${event.actor.name && ` ${words.by(event.actor.name)}`}</p>
            </li>`,
          )}
        </ol>`
      : html`<p class="quiet">${words.file.noHistory}</p>`}
  </section>`;
}
