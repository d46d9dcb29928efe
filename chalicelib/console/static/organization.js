// The organisation: its name, which files it takes, whether it requires a second factor, and what it uses.

import { emit, get, may, patch, withQuery } from "./api.js";
import { Badge, Button, Card, Check, Confirm, Curl, Field, Form, Head, Loaded, attempt, count, date, html, size, toast, useLoaded, useState } from "./ui.js";
import { useLive } from "./live.js";
import { words } from "./words.js";

const MEBIBYTE = 1024 * 1024;
const DAY_MS = 864e5;
const DAYS = 30;
const MOST_EVENTS = 1000;

export default function Organization() {
  const state = useLoaded((signal) => get("/organization", { signal }));
  useLive(["organization"], state.reload);
  return html`
    <${Head} title=${words.pages.organization} about=${words.organization.about} />
    <${Usage} />
    <${Loaded} state=${state} isEmpty=${() => false}>
      ${(organization) => html`
        ${may("organization:manage") && html`<${Name} key=${`name-${organization.name}`} organization=${organization} reload=${state.reload} />`}
        <${Policy} key=${JSON.stringify(organization.policy)} organization=${organization} reload=${state.reload} />
        ${may("security:manage") && html`<${Security} organization=${organization} reload=${state.reload} />`}
      `}
    </${Loaded}>
  `;
}

const Meter = ({ used, quota, label }) => html`<div class="meter" role="meter" aria-label=${label} aria-valuemin="0" aria-valuemax=${quota} aria-valuenow=${used}>
  <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width=${quota ? Math.min(100, (100 * used) / quota) : 0} height="8" /></svg>
</div>`;

function Usage() {
  const state = useLoaded((signal) => get("/usage", { signal, quiet: true }));
  useLive(["file", "organization"], state.reload);
  return html`<${Card} title=${words.organization.usage}>
    <${Loaded} state=${state} rows=${2} isEmpty=${() => false}>
      ${({ bytes, files, by_status }) => html`
        <div class="two">
          <div><p class="figure">${size(bytes.used)}</p><p class="sub">${words.organization.of(size(bytes.quota))}</p><${Meter} ...${bytes} label=${words.organization.bytes} /></div>
          <div><p class="figure">${words.files.total(files.used)}</p><p class="sub">${words.organization.of(count(files.quota))}</p><${Meter} ...${files} label=${words.organization.files} /></div>
        </div>
        <p class="line">${Object.entries(by_status).map(([status, number]) => html`<${Badge} key=${status} kind=${number ? status : ""}>${words.status[status]} ${count(number)}</${Badge}>`)}</p>
      `}
    </${Loaded}>
    ${may("audit:read") && html`<${Plot} />`}
    <${Curl} path="/usage" />
  </${Card}>`;
}

/** Bytes that were added on each of the last days, from the audit trail. Its export would be an event itself. */
function Plot() {
  const state = useLoaded((signal) => addedByDay(signal));
  const days = state.value;
  if (state.error || !days) return null;
  if (days.tooMany) return html`<p class="quiet">${words.organization.tooMany}</p>`;
  const most = Math.max(...days.map(({ bytes }) => bytes), 1);
  return html`<figure>
    <figcaption class="label">${words.organization.added(DAYS)}</figcaption>
    <svg class="plot" viewBox="0 0 ${DAYS * 10} 100" preserveAspectRatio="none" role="img" aria-label=${words.organization.plotLabel(size(days.reduce((sum, { bytes }) => sum + bytes, 0)), DAYS)}>
      <line x1="0" x2=${DAYS * 10} y1="99.5" y2="99.5" vector-effect="non-scaling-stroke" />
      ${days.map(({ bytes, day }, index) => html`<rect key=${day} x=${index * 10 + 1.5} width="7" y=${100 - Math.max(bytes ? 2 : 0, (98 * bytes) / most)} height=${Math.max(bytes ? 2 : 0, (98 * bytes) / most)}><title>${day}: ${size(bytes)}</title></rect>`)}
    </svg>
    <p class="plot-feet sub"><span>${date(days[0].day)}</span><span>${words.organization.most} ${size(most)}</span><span>${date(days.at(-1).day)}</span></p>
  </figure>`;
}

async function addedByDay(signal) {
  const first = new Date(Date.now() - (DAYS - 1) * DAY_MS).toISOString().slice(0, 10);
  const found = [];
  let cursor = null;
  do {
    const query = { type: "file.completed", from: `${first}T00:00:00Z`, limit: 100, cursor };
    const page = await get(withQuery("/audit", query), { signal, quiet: true });
    found.push(...page.events);
    cursor = page.next_cursor;
  } while (cursor && found.length < MOST_EVENTS);
  if (cursor) return { tooMany: true };
  const sums = new Map(Array.from({ length: DAYS }, (_, index) => [new Date(Date.parse(first) + index * DAY_MS).toISOString().slice(0, 10), 0]));
  for (const { time, data } of found) {
    const day = time.slice(0, 10);
    if (sums.has(day)) sums.set(day, sums.get(day) + (data.file_size ?? 0));
  }
  return [...sums].map(([day, bytes]) => ({ day, bytes }));
}

function Name({ organization, reload }) {
  const [name, setName] = useState(organization.name);
  const save = async () => {
    emit("organization", await patch("/organization", { name }));
    toast(words.saved);
    reload();
  };
  return html`<${Card} title=${words.organization.name}>
    <${Form} onSubmit=${save} submit=${words.save} disabled=${name === organization.name}>
      <${Field} label=${words.organizationName} value=${name} onInput=${({ target }) => setName(target.value)} required />
      <${Curl} method="PATCH" path="/organization" body=${{ name }} />
    </${Form}>
  </${Card}>`;
}

const lines = (types) => types.join("\n");
const list = (text) => text.split(/[\s,]+/).filter(Boolean);

function Policy({ organization: { policy }, reload }) {
  const manages = may("organization:manage");
  const [allowed, setAllowed] = useState(lines(policy.allowed_types));
  const [refused, setRefused] = useState(lines(policy.refused_types));
  const [most, setMost] = useState(policy.max_file_bytes === null ? "" : String(policy.max_file_bytes / MEBIBYTE));
  const [match, setMatch] = useState(policy.match_extension);
  const body = {
    policy: {
      allowed_types: list(allowed),
      refused_types: list(refused),
      max_file_bytes: most === "" ? null : Math.max(1, Math.round(Number(most) * MEBIBYTE)),
      match_extension: match,
    },
  };
  const save = async () => {
    await patch("/organization", body);
    toast(words.saved);
    reload();
  };
  return html`<${Card} title=${words.organization.policy} about=${words.organization.policyAbout}>
    <${Form} onSubmit=${save} submit=${words.save} disabled=${!manages}>
      <div class="two">
        <${Field} as="textarea" label=${words.organization.allowed} hint=${words.organization.allowedHint} value=${allowed} readonly=${!manages} onInput=${({ target }) => setAllowed(target.value)} placeholder="image/*" spellcheck=${false} />
        <${Field} as="textarea" label=${words.organization.refused} hint=${words.organization.refusedHint} value=${refused} readonly=${!manages} onInput=${({ target }) => setRefused(target.value)} placeholder="text/html" spellcheck=${false} />
      </div>
      <${Field} label=${words.organization.most_size} hint=${words.organization.mostHint} type="number" min="0" step="any" value=${most} readonly=${!manages} onInput=${({ target }) => setMost(target.value)} />
      <${Check} label=${words.organization.match} hint=${words.organization.matchHint} checked=${match} disabled=${!manages} onChange=${() => setMatch(!match)} />
      <${Curl} method="PATCH" path="/organization" body=${body} />
    </${Form}>
  </${Card}>`;
}

function Security({ organization: { require_second_factor: required }, reload }) {
  const [asking, setAsking] = useState(false);
  const body = { require_second_factor: !required };
  const change = async () => {
    await patch("/organization", body);
    reload();
  };
  return html`<${Card} title=${words.organization.security} about=${words.organization.securityAbout}
    action=${html`<${Badge} kind=${required ? "good" : ""}>${required ? words.organization.required : words.organization.notRequired}</${Badge}>`}>
    <div class="form-actions">
      <${Button} onClick=${() => (required ? attempt(change, words.saved) : setAsking(true))}>${required ? words.organization.requireNot : words.organization.require}</${Button}>
    </div>
    <${Curl} method="PATCH" path="/organization" body=${body} />
    ${asking && html`<${Confirm} title=${words.organization.requireTitle} action=${words.organization.require} onClose=${() => setAsking(false)} onConfirm=${change}>
      <p>${words.organization.requireAbout}</p>
    </${Confirm}>`}
  </${Card}>`;
}
