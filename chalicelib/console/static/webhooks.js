// Webhooks: programs of the organisation that are told of events, and what was sent to each.

import { get, patch, post, remove, withQuery } from "./api.js";
import { go } from "./app.js";
import { Badge, Button, Check, Confirm, Curl, Dialog, Empty, Field, Form, Head, Loaded, Problem, Secret, Skeleton, When, attempt, html, useEffect, useLoaded, useRef, useState } from "./ui.js";
import { Rotate } from "./keys.js";
import { onEvents, useLive } from "./live.js";
import { words } from "./words.js";

const PAGE = 20;
/** After an event, until its delivery is on the list. */
const DELIVERED_MS = 1500;

export default function Webhooks({ rest: [opened] }) {
  const webhooks = useLoaded((signal) => get("/webhooks", { signal }).then((said) => said.webhooks));
  useLive(["webhook"], webhooks.reload);
  const [making, setMaking] = useState(false);
  const [shown, setShown] = useState(null);
  const make = html`<${Button} kind="primary" icon="plus" onClick=${() => setMaking(true)}>${words.webhooks.make}</${Button}>`;
  const webhook = webhooks.value?.find(({ id }) => id === opened);
  return html`
    <${Head} title=${words.pages.webhooks} about=${words.webhooks.about}>${webhooks.value?.length !== 0 && make}</${Head}>
    <${Loaded} state=${webhooks} empty=${html`<${Empty} icon="webhooks" title=${words.webhooks.empty} action=${make}>${words.webhooks.emptyAbout}</${Empty}>`}>
      ${(list) => html`<ul class="list" aria-label=${words.pages.webhooks}>
        ${list.map(
          (one) => html`<li key=${one.id}>
            <div class="grow">
              <p class="line"><span class="name">${one.url}</span><${State} webhook=${one} /></p>
              <p class="sub">${one.description && `${one.description} · `}${one.types ? one.types.join(", ") : words.webhooks.allTypes}</p>
            </div>
            <${Button} kind="small" label=${words.webhooks.openOf(one.url)} onClick=${() => go("webhooks", one.id)}>${words.webhooks.open}</${Button}>
          </li>`,
        )}
      </ul>`}
    </${Loaded}>
    ${making && html`<${Dialog} title=${words.webhooks.makeTitle} onClose=${() => setMaking(false)}>
      <${Edit} submit=${words.webhooks.make} method="POST" path="/webhooks" onClose=${() => setMaking(false)}
        onDone=${(made) => (setMaking(false), setShown(made), webhooks.reload())} />
    </${Dialog}>`}
    ${shown && html`<${Dialog} title=${words.webhooks.secretTitle} onClose=${() => setShown(null)}>
      <p class="note">${words.webhooks.once}</p>
      <${Secret} label=${words.webhooks.secret} value=${shown.secret} />
      <div class="form-actions"><${Button} kind="primary" onClick=${() => setShown(null)}>${words.done}</${Button}></div>
    </${Dialog}>`}
    ${webhook && html`<${Sheet} key=${webhook.id} webhook=${webhook} reload=${webhooks.reload} show=${setShown} onClose=${() => go("webhooks")} />`}
  `;
}

const State = ({ webhook: { enabled, failing_since } }) =>
  !enabled
    ? html`<${Badge} kind="bad">${words.webhooks.disabled}</${Badge}>`
    : failing_since
      ? html`<${Badge} kind="wait">${words.webhooks.failing} <${When} at=${failing_since} /></${Badge}>`
      : html`<${Badge} kind="good">${words.webhooks.enabled}</${Badge}>`;

/** The form of a webhook, new or there. */
function Edit({ webhook, submit, method, path, onClose, onDone }) {
  const [url, setUrl] = useState(webhook?.url ?? "");
  const [description, setDescription] = useState(webhook?.description ?? "");
  const [types, setTypes] = useState(webhook?.types ?? null);
  const body = { url, types, description };
  const toggle = (type) => setTypes(types.includes(type) ? types.filter((one) => one !== type) : [...types, type]);
  const send = async () => onDone(await (method === "POST" ? post(path, body) : patch(path, body)));
  return html`<${Form} submit=${submit} onSubmit=${send} disabled=${types?.length === 0} cancel=${html`<${Button} onClick=${onClose}>${words.cancel}</${Button}>`}>
    <${Field} label=${words.webhooks.url} type="url" placeholder="https://hooks.example.com/strongroom" value=${url} onInput=${({ target }) => setUrl(target.value)} required autofocus />
    <${Field} label=${words.webhooks.description} value=${description} onInput=${({ target }) => setDescription(target.value)} />
    <${Check} label=${words.webhooks.everything} checked=${types === null} onChange=${() => setTypes(types === null ? ["file.completed", "file.failed"] : null)} />
    ${types !== null && html`<fieldset>
      <legend>${words.webhooks.types}</legend>
      <div class="checks">
        ${Object.keys(words.events).filter((type) => !words.auditOnly.includes(type)).map((type) => html`<${Check} key=${type} label=${type} checked=${types.includes(type)} onChange=${() => toggle(type)} />`)}
      </div>
    </fieldset>`}
    <${Curl} method=${method} path=${path} body=${body} />
  </${Form}>`;
}

function Sheet({ webhook, reload, show, onClose }) {
  const path = `/webhooks/${webhook.id}`;
  const [asked, setAsked] = useState(null);
  const [turn, setTurn] = useState(0);
  const close = () => setAsked(null);
  const test = () => attempt(async () => (await post(`${path}/test`), setTurn(turn + 1)), words.webhooks.tested);
  const enable = (enabled) => attempt(async () => (await patch(path, { enabled }), reload()), enabled ? words.webhooks.wasEnabled : words.webhooks.wasDisabled);
  return html`<${Dialog} sheet title=${words.webhooks.one} onClose=${onClose}>
    <div>
      <p class="name">${webhook.url}</p>
      <p class="line"><${State} webhook=${webhook} /><span class="sub">${webhook.disabled_reason ?? ""}</span></p>
    </div>
    <div class="form-actions start">
      <${Button} onClick=${test} disabled=${!webhook.enabled}>${words.webhooks.test}</${Button}>
      <${Button} onClick=${() => setAsked("change")}>${words.webhooks.change}</${Button}>
      <${Button} onClick=${() => enable(!webhook.enabled)}>${webhook.enabled ? words.webhooks.disable : words.webhooks.enable}</${Button}>
      <${Button} onClick=${() => setAsked("replay")} disabled=${!webhook.enabled}>${words.webhooks.replay}</${Button}>
      <${Button} onClick=${() => setAsked("rotate")}>${words.webhooks.rotate}</${Button}>
      <${Button} kind="quiet bad" icon="trash" onClick=${() => setAsked("remove")}>${words.webhooks.remove}</${Button}>
    </div>
    <${Deliveries} key=${turn} path=${path} />
    <${Curl} path=${path} />
    ${asked === "change" && html`<${Dialog} title=${words.webhooks.change} onClose=${close}>
      <${Edit} webhook=${webhook} submit=${words.save} method="PATCH" path=${path} onClose=${close} onDone=${() => (close(), reload())} />
    </${Dialog}>`}
    ${asked === "rotate" && html`<${Rotate} title=${words.webhooks.rotateTitle} path=${`${path}/rotate-secret`} onClose=${close} onDone=${(made) => (close(), show(made), reload())} />`}
    ${asked === "replay" && html`<${Replay} path=${`${path}/replay`} onClose=${close} />`}
    ${asked === "remove" && html`<${Confirm} title=${words.webhooks.removeTitle} action=${words.webhooks.remove} curl=${{ method: "DELETE", path }} onClose=${close}
      onConfirm=${async () => (await remove(path), reload(), onClose())}><p>${words.webhooks.removeAbout(webhook.url)}</p></${Confirm}>`}
  </${Dialog}>`;
}

function Replay({ path, onClose }) {
  const [since, setSince] = useState(new Date(Date.now() - 864e5).toISOString().slice(0, 16));
  const body = { since: `${since}:00Z` };
  return html`<${Dialog} title=${words.webhooks.replayTitle} onClose=${onClose}>
    <${Form} submit=${words.webhooks.replay} cancel=${html`<${Button} onClick=${onClose}>${words.cancel}</${Button}>`}
      onSubmit=${async () => (await post(path, body), onClose())}>
      <${Field} label=${words.webhooks.since} hint=${words.webhooks.sinceHint} type="datetime-local" value=${since} onInput=${({ target }) => setSince(target.value)} required />
      <${Curl} method="POST" path=${path} body=${body} />
    </${Form}>
  </${Dialog}>`;
}

function Deliveries({ path }) {
  const [state, setState] = useState({ list: null, cursor: null, error: null });
  const shown = useRef(0);
  shown.current = state.list?.length ?? 0;
  const load = async (cursor) => {
    try {
      const page = await get(withQuery(`${path}/deliveries`, { limit: PAGE, cursor }));
      setState((before) => ({ list: cursor ? [...before.list, ...page.deliveries] : page.deliveries, cursor: page.next_cursor, error: null }));
    } catch (error) {
      setState((before) => ({ ...before, error }));
    }
  };
  useEffect(() => {
    load(null);
    let timer = null;
    // Each event may be one that this webhook is told of; who has gone on to older deliveries stays there.
    const end = onEvents(() => {
      clearTimeout(timer);
      timer = setTimeout(() => shown.current <= PAGE && load(null), DELIVERED_MS);
    });
    return () => (clearTimeout(timer), end());
  }, []);
  const again = (id) =>
    attempt(async () => {
      const changed = await post(`${path}/deliveries/${id}/redeliver`);
      setState((before) => ({ ...before, list: before.list.map((one) => (one.id === id ? changed : one)) }));
    }, words.webhooks.redelivered);
  return html`<section class="form">
    <div class="line"><h3 class="grow">${words.webhooks.deliveries}</h3><${Button} kind="small" onClick=${() => load(null)}>${words.webhooks.refresh}</${Button}></div>
    ${state.error && html`<${Problem} error=${state.error} again=${() => load(null)} />`}
    ${!state.list ? !state.error && html`<${Skeleton} rows=${3} />` : state.list.length === 0 ? html`<p class="quiet">${words.webhooks.noDeliveries}</p>` : html`<ul class="list">
      ${state.list.map(
        (one) => html`<li key=${one.id}>
          <div class="grow">
            <p class="line"><span class="name">${words.events[one.event_type] ?? one.event_type}</span><${Badge} kind=${one.status}>${words.webhooks.status[one.status] ?? one.status}</${Badge}></p>
            <p class="sub">#${one.sequence} · <${When} at=${one.created_at} />${one.next_try_at && html` · ${words.webhooks.nextTry} <${When} at=${one.next_try_at} />`}</p>
            ${one.tries.length > 0 && html`<details class="curl"><summary>${words.webhooks.tries(one.tries.length)}</summary>
              <ul class="form">${one.tries.map((attempted) => html`<li key=${attempted.time} class="sub">
                <${When} at=${attempted.time} /> · ${attempted.status ?? attempted.reason} · ${attempted.milliseconds} ms
                ${attempted.answer && html`<div class="code"><pre tabindex="0"><code>${attempted.answer}</code></pre></div>`}
              </li>`)}</ul>
            </details>`}
          </div>
          <${Button} kind="small" label=${words.webhooks.redeliverOf(one.sequence)} onClick=${() => again(one.id)}>${words.webhooks.redeliver}</${Button}>
        </li>`,
      )}
    </ul>`}
    ${state.cursor && html`<${Button} onClick=${() => load(state.cursor)}>${words.more}</${Button}>`}
  </section>`;
}
