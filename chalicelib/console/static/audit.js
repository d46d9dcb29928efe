// The audit trail: who did what, from where, when.

import { BASE, get, withQuery } from "./api.js";
import { Badge, Button, Curl, Dialog, Empty, Field, Head, Problem, Skeleton, attempt, html, time, useEffect, useMemo, useRef, useState } from "./ui.js";
import { words } from "./words.js";

const PAGE = 50;
const FAMILIES = ["file.*", "user.*", "session.*", "invitation.*", "api_key.*", "webhook.*", "organization.*", "audit.*"];
const NARROW = matchMedia("(max-width: 860px)");
const NOTHING = { type: "", actor: "", target: "", from: "", to: "" };
const moment = (local) => (local ? new Date(local).toISOString().replace(/\.\d+Z$/, "Z") : "");

export default function Audit() {
  const [filter, setFilter] = useState(NOTHING);
  const query = useMemo(() => ({ ...filter, from: moment(filter.from), to: moment(filter.to) }), [filter]);
  const { events, cursor, error, loading, more } = useTrail(query);
  const [opened, setOpened] = useState(null);
  const set = (name) => ({ value: filter[name], onChange: ({ target }) => setFilter({ ...filter, [name]: target.value.trim() }) });
  const filtered = Object.values(filter).some(Boolean);
  const exportPath = withQuery("/audit/export", query);
  return html`
    <${Head} title=${words.pages.audit} about=${words.audit.about}>
      <${Button} icon="download" onClick=${() => attempt(() => save(exportPath))}>${words.audit.export}</${Button}>
    </${Head}>
    <${Filters} filtered=${filtered}>
      <div class="two">
        <${Field} as="select" label=${words.audit.what} ...${set("type")}>
          <option value="">${words.audit.everything}</option>
          ${FAMILIES.map((family) => html`<optgroup key=${family} label=${words.audit.families[family]}>
            <option value=${family}>${words.audit.families[family]}: ${words.audit.all}</option>
            ${Object.keys(words.events).filter((type) => type.startsWith(family.slice(0, -1))).map((type) => html`<option key=${type} value=${type}>${words.events[type]}</option>`)}
          </optgroup>`)}
        </${Field}>
        <${Field} label=${words.audit.actor} placeholder=${words.audit.id} ...${set("actor")} />
        <${Field} label=${words.audit.target} placeholder=${words.audit.id} ...${set("target")} />
        <${Field} label=${words.audit.from} type="datetime-local" ...${set("from")} />
        <${Field} label=${words.audit.to} type="datetime-local" ...${set("to")} />
      </div>
      <div class="line">
        <div class="grow"><${Curl} path=${withQuery("/audit", query)} /></div>
        ${filtered && html`<${Button} kind="small" onClick=${() => setFilter(NOTHING)}>${words.files.clear}</${Button}>`}
      </div>
    </${Filters}>
    ${error && html`<${Problem} error=${error} again=${more} />`}
    ${!events.length && loading ? html`<${Skeleton} />` : !events.length && !error ? html`<${Empty} icon="audit" title=${words.audit.empty}>${words.audit.emptyAbout}</${Empty}>` : html`
      <ul class="list" aria-label=${words.pages.audit}>${events.map(
        (event) => html`<li key=${event.id}>
          <div class="grow">
            <p class="line"><span class="name">${words.events[event.type] ?? event.type}</span><span>${nameOf(event)}</span></p>
            <p class="sub">${[time(event.time), whoOf(event.actor), event.actor.address].filter(Boolean).join(" · ")}</p>
          </div>
          <${Button} kind="small" label=${words.audit.detailsOf(event.sequence)} onClick=${() => setOpened(event)}>${words.audit.details}</${Button}>
        </li>`,
      )}</ul>`}
    ${cursor && html`<div class="form-actions"><${Button} onClick=${more} aria-busy=${loading}>${words.more}</${Button}></div>`}
    ${opened && html`<${Details} event=${opened} onClose=${() => setOpened(null)} filter=${(part) => (setFilter({ ...NOTHING, ...part }), setOpened(null))} />`}
  `;
}

/** On a phone they are folded, so that the first thing to be seen is what was done. */
function Filters({ filtered, children }) {
  if (!NARROW.matches) return html`<div class="card">${children}</div>`;
  return html`<details class="card" open=${filtered}><summary class="label">${words.audit.filters}</summary><div class="form">${children}</div></details>`;
}

const nameOf = ({ data }) => data.filename ?? data.username ?? data.name ?? data.url ?? "";
const whoOf = ({ type, name }) => name ?? words.audit.actors[type] ?? type;

function useTrail(query) {
  const [state, setState] = useState({ events: [], cursor: null, error: null, loading: true });
  const turn = useRef(0);
  const read = async (cursor) => {
    const mine = turn.current;
    setState((before) => ({ ...before, loading: true, error: null }));
    try {
      const page = await get(withQuery("/audit", { ...query, limit: PAGE, cursor }));
      if (mine === turn.current) setState((before) => ({ events: cursor ? [...before.events, ...page.events] : page.events, cursor: page.next_cursor, error: null, loading: false }));
    } catch (error) {
      if (mine === turn.current) setState((before) => ({ ...before, error, loading: false }));
    }
  };
  useEffect(() => {
    turn.current += 1;
    setState({ events: [], cursor: null, error: null, loading: true });
    read(null);
  }, [query]);
  return { ...state, more: () => read(state.cursor) };
}

function Details({ event, onClose, filter }) {
  const { actor, target } = event;
  return html`<${Dialog} sheet title=${words.events[event.type] ?? event.type} onClose=${onClose}>
    <dl class="facts">
      <div><dt>${words.audit.when}</dt><dd>${time(event.time)}</dd></div>
      <div><dt>${words.audit.actor}</dt><dd>${whoOf(actor)} ${actor.id && html`<${Button} kind="small" onClick=${() => filter({ actor: actor.id })}>${words.audit.allOfActor}</${Button}>`}</dd></div>
      ${actor.address && html`<div><dt>${words.audit.address}</dt><dd><code>${actor.address}</code></dd></div>`}
      ${actor.program && html`<div><dt>${words.audit.program}</dt><dd>${actor.program}</dd></div>`}
      <div><dt>${words.audit.target}</dt><dd><${Badge}>${target.type}</${Badge}> ${nameOf(event)} <${Button} kind="small" onClick=${() => filter({ target: target.id })}>${words.audit.allOfTarget}</${Button}></dd></div>
    </dl>
    <div><p class="label">${words.audit.whole}</p><div class="code"><pre tabindex="0"><code>${JSON.stringify(event, null, 2)}</code></pre></div></div>
  </${Dialog}>`;
}

/** The browser saves it: a long export is in a file of storage, to which the answer leads. */
async function save(path) {
  await get("/auth/me", { quiet: true });
  const link = Object.assign(document.createElement("a"), { href: new URL(path.slice(1), BASE).href, download: "audit.jsonl" });
  link.click();
}
