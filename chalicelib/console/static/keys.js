// API keys: what programs sign in with. A key is shown once.

import { get, patch, post, remove, session } from "./api.js";
import { Badge, Button, Check, Confirm, Curl, Dialog, Empty, Field, Form, Head, Loaded, Secret, When, html, useLoaded, useState } from "./ui.js";
import { useLive } from "./live.js";
import { words } from "./words.js";

const OVERLAPS = [0, 3600, 86400, 604800];

export default function Keys() {
  const keys = useLoaded((signal) => get("/api-keys", { signal }).then((said) => said.api_keys.reverse()));
  useLive(["api_key"], keys.reload);
  const [making, setMaking] = useState(false);
  const [shown, setShown] = useState(null);
  const make = html`<${Button} kind="primary" icon="plus" onClick=${() => setMaking(true)}>${words.keys.make}</${Button}>`;
  const made = (key) => {
    setMaking(false);
    setShown(key);
    keys.reload();
  };
  return html`
    <${Head} title=${words.pages.keys} about=${words.keys.about}>${keys.value?.length !== 0 && make}</${Head}>
    <${Loaded} state=${keys} empty=${html`<${Empty} icon="keys" title=${words.keys.empty} action=${make}>${words.keys.emptyAbout}</${Empty}>`}>
      ${(list) => html`<ul class="list" aria-label=${words.pages.keys}>${list.map((one) => html`<${Key} key=${one.id} apiKey=${one} reload=${keys.reload} show=${setShown} />`)}</ul>`}
    </${Loaded}>
    ${making && html`<${Make} onClose=${() => setMaking(false)} onMade=${made} />`}
    ${shown && html`<${Dialog} title=${shown.name} onClose=${() => setShown(null)}>
      <p class="note">${words.keys.once}</p>
      <${Secret} label=${words.keys.key} value=${shown.key} />
      <div class="form-actions"><${Button} kind="primary" onClick=${() => setShown(null)}>${words.done}</${Button}></div>
    </${Dialog}>`}
  `;
}

const ended = ({ revoked_at, expires_at }) => revoked_at || (expires_at && new Date(expires_at) < Date.now());

function Key({ apiKey, reload, show }) {
  const { id, name, prefix, scopes, networks, made_by, created_at, expires_at, last_used_at, revoked_at, old_secret_expires_at } = apiKey;
  const path = `/api-keys/${id}`;
  const [asked, setAsked] = useState(null);
  const close = () => setAsked(null);
  return html`<li>
    <div class="grow">
      <p class="line"><span class="name">${name}</span>
        ${ended(apiKey) ? html`<${Badge} kind="bad">${revoked_at ? words.keys.revoked : words.keys.expired}</${Badge}>` : html`<${Badge} kind="good">${words.keys.live}</${Badge}>`}
        <code class="quiet">${prefix}</code>
      </p>
      <p class="line sub">${scopes.map((scope) => html`<${Badge} key=${scope}>${scope}</${Badge}>`)}</p>
      <p class="sub">
        ${words.by(made_by.name)}, <${When} at=${created_at} /> · ${words.keys.used} ${last_used_at ? html`<${When} at=${last_used_at} />` : words.never} ·
        ${" "}${words.keys.ends} ${expires_at ? html`<${When} at=${expires_at} />` : words.never}
        ${networks.length > 0 && ` · ${networks.join(", ")}`}
        ${old_secret_expires_at && html` · ${words.keys.oldEnds} <${When} at=${old_secret_expires_at} />`}
      </p>
    </div>
    <div class="row-actions">
      ${!ended(apiKey) && html`<${Button} kind="small" label=${words.keys.changeOf(name)} onClick=${() => setAsked("change")}>${words.keys.change}</${Button}>
        <${Button} kind="small" label=${words.keys.rotateOf(name)} onClick=${() => setAsked("rotate")}>${words.keys.rotate}</${Button}>`}
      <${Button} kind="quiet" icon="trash" label=${words.keys.removeOf(name)} onClick=${() => setAsked("remove")} />
    </div>
    ${asked === "remove" && html`<${Confirm} title=${words.keys.removeTitle(name)} action=${words.keys.remove} curl=${{ method: "DELETE", path }} onClose=${close}
      onConfirm=${async () => (await remove(path), reload())}><p>${words.keys.removeAbout}</p></${Confirm}>`}
    ${asked === "rotate" && html`<${Rotate} title=${words.keys.rotateTitle(name)} path=${`${path}/rotate`} onClose=${close}
      onDone=${(key) => (close(), show(key), reload())} />`}
    ${asked === "change" && html`<${Change} apiKey=${apiKey} path=${path} onClose=${close} onDone=${() => (close(), reload())} />`}
  </li>`;
}

/** A new secret, and how long the present one lives on. Webhooks have the same. */
export function Rotate({ title, path, onClose, onDone }) {
  const [seconds, setSeconds] = useState(OVERLAPS[1]);
  const body = { old_secret_seconds: seconds };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <${Form} submit=${words.keys.rotate} onSubmit=${async () => onDone(await post(path, body))} cancel=${html`<${Button} onClick=${onClose}>${words.cancel}</${Button}>`}>
      <${Field} as="select" label=${words.keys.overlap} hint=${words.keys.overlapHint} value=${seconds} onChange=${({ target }) => setSeconds(Number(target.value))}>
        ${OVERLAPS.map((one) => html`<option key=${one} value=${one}>${words.keys.overlaps[one]}</option>`)}
      </${Field}>
      <${Curl} method="POST" path=${path} body=${body} />
    </${Form}>
  </${Dialog}>`;
}

function Scopes({ from, chosen, setChosen }) {
  const toggle = (scope) => setChosen(chosen.includes(scope) ? chosen.filter((one) => one !== scope) : [...chosen, scope]);
  return html`<fieldset>
    <legend>${words.keys.scopes}</legend>
    <div class="checks">${from.map((scope) => html`<${Check} key=${scope} label=${scope} hint=${words.scopes[scope]} checked=${chosen.includes(scope)} onChange=${() => toggle(scope)} />`)}</div>
  </fieldset>`;
}

function Make({ onClose, onMade }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState(["files:write"]);
  const [days, setDays] = useState("90");
  const [networks, setNetworks] = useState("");
  const list = networks.split(/[\s,]+/).filter(Boolean);
  const body = { name, scopes, expires_in_days: days === "never" ? days : Number(days), ...(list.length && { networks: list }) };
  const choices = ["7", "30", "90", "365", ...(session.user.scopes.includes("security:manage") ? ["never"] : [])];
  return html`<${Dialog} title=${words.keys.makeTitle} onClose=${onClose}>
    <${Form} submit=${words.keys.make} disabled=${!scopes.length} onSubmit=${async () => onMade(await post("/api-keys", body))}
      cancel=${html`<${Button} onClick=${onClose}>${words.cancel}</${Button}>`}>
      <${Field} label=${words.keys.name} hint=${words.keys.nameHint} value=${name} onInput=${({ target }) => setName(target.value)} maxlength="100" required autofocus />
      <${Scopes} from=${session.user.scopes} chosen=${scopes} setChosen=${setScopes} />
      <${Field} as="select" label=${words.keys.lifetime} value=${days} onChange=${({ target }) => setDays(target.value)}>
        ${choices.map((one) => html`<option key=${one} value=${one}>${words.keys.days(one)}</option>`)}
      </${Field}>
      <${Field} label=${words.keys.networks} hint=${words.keys.networksHint} value=${networks} onInput=${({ target }) => setNetworks(target.value)} placeholder="203.0.113.0/24" />
      <${Curl} method="POST" path="/api-keys" body=${body} />
    </${Form}>
  </${Dialog}>`;
}

function Change({ apiKey, path, onClose, onDone }) {
  const [name, setName] = useState(apiKey.name);
  const [scopes, setScopes] = useState(apiKey.scopes);
  const body = { name, scopes };
  return html`<${Dialog} title=${words.keys.changeTitle} onClose=${onClose}>
    <${Form} submit=${words.save} disabled=${!scopes.length} onSubmit=${async () => onDone(await patch(path, body))}
      cancel=${html`<${Button} onClick=${onClose}>${words.cancel}</${Button}>`}>
      <${Field} label=${words.keys.name} value=${name} onInput=${({ target }) => setName(target.value)} maxlength="100" required autofocus />
      <${Scopes} from=${apiKey.scopes} chosen=${scopes} setChosen=${setScopes} />
      <p class="hint">${words.keys.fewer}</p>
      <${Curl} method="PATCH" path=${path} body=${body} />
    </${Form}>
  </${Dialog}>`;
}
