// Who is in the organisation, what each may do, and who is invited.

import { BASE, get, may, patch, post, remove, session, withQuery } from "./api.js";
import { Badge, Button, Card, Confirm, Curl, Dialog, Field, Form, Head, Loaded, Secret, When, attempt, html, useLoaded, useState } from "./ui.js";
import { useLive } from "./live.js";
import { words } from "./words.js";

const PAGE = 100;
/** Each may do what the one before may do; nobody gives a role above their own. */
const ROLES = ["viewer", "member", "admin", "owner"];
const upTo = (role) => ROLES.slice(0, ROLES.indexOf(role) + 1);

export default function People() {
  const manages = may("users:manage");
  const people = useLoaded((signal) => everyone(signal));
  const invitations = useLoaded((signal) => (manages ? get("/invitations", { signal }).then((said) => said.invitations) : Promise.resolve([])));
  useLive(["user"], people.reload);
  useLive(["invitation"], invitations.reload);
  const [inviting, setInviting] = useState(false);
  const [sent, setSent] = useState(null);
  const [opened, setOpened] = useState(null);
  const invited = (invitation) => {
    setInviting(false);
    setSent(invitation);
    invitations.reload();
  };
  const person = people.value?.find(({ id }) => id === opened);
  return html`
    <${Head} title=${words.pages.people} about=${words.people.about}>
      ${manages && html`<${Button} kind="primary" icon="plus" onClick=${() => setInviting(true)}>${words.people.invite}</${Button}>`}
    </${Head}>
    <${Loaded} state=${people}>
      ${(list) => html`<ul class="list" aria-label=${words.pages.people}>
        ${list.map((one) => html`<${Person} key=${one.id} person=${one} open=${manages && (() => setOpened(one.id))} />`)}
      </ul>`}
    </${Loaded}>
    ${manages && html`<${Card} title=${words.people.invitations} about=${words.people.invitationsAbout}>
      <${Loaded} state=${invitations} rows=${2} empty=${html`<p class="quiet">${words.people.noInvitations}</p>`}>
        ${(list) => html`<ul class="list">${list.map((one) => html`<${Invitation} key=${one.id} invitation=${one} reload=${invitations.reload} setSent=${setSent} />`)}</ul>`}
      </${Loaded}>
    </${Card}>`}
    ${inviting && html`<${Invite} onClose=${() => setInviting(false)} onSent=${invited} />`}
    ${sent && html`<${Sent} invitation=${sent} onClose=${() => setSent(null)} />`}
    ${person && html`<${PersonSheet} key=${person.id} person=${person} reload=${people.reload} onClose=${() => setOpened(null)} />`}
  `;
}

async function everyone(signal) {
  const found = [];
  let cursor = null;
  do {
    const page = await get(withQuery("/users", { limit: PAGE, cursor }), { signal });
    found.push(...page.users);
    cursor = page.next_cursor;
  } while (cursor);
  return found.sort((one, other) => one.username.localeCompare(other.username));
}

function Person({ person, open }) {
  const { username, role, disabled, second_factor, created_at, id } = person;
  return html`<li>
    <span class="avatar" aria-hidden="true">${username.charAt(0)}</span>
    <div class="grow">
      <p class="line"><span class="name">${username}</span>${id === session.user.id && html`<span class="quiet">(${words.you})</span>`}</p>
      <p class="sub">${words.people.since} <${When} at=${created_at} /></p>
    </div>
    <div class="line">
      ${disabled && html`<${Badge} kind="bad">${words.people.disabled}</${Badge}>`}
      ${second_factor && html`<${Badge} kind="good">${words.people.secondFactor}</${Badge}>`}
      <${Badge}>${words.roles[role][0]}</${Badge}>
    </div>
    ${open && html`<${Button} kind="small" label=${words.people.manageOf(username)} onClick=${open}>${words.people.manage}</${Button}>`}
  </li>`;
}

function PersonSheet({ person, reload, onClose }) {
  const { id, username, role, disabled } = person;
  const path = `/users/${id}`;
  const self = id === session.user.id;
  const above = !upTo(session.user.role).includes(role);
  const [asked, setAsked] = useState(null);
  const change = (body, done) => attempt(async () => (await patch(path, body), reload()), done);
  const questions = {
    disable: [words.people.disableTitle(username), words.people.disableAbout, words.people.disable, () => patch(path, { disabled: true }), { method: "PATCH", path, body: { disabled: true } }],
    reset: [words.people.resetTitle(username), words.people.resetAbout, words.people.reset, () => post(`${path}/second-factor/reset`), { method: "POST", path: `${path}/second-factor/reset` }],
    signOut: [words.people.signOutTitle(username), words.people.signOutAbout, words.people.signOut, () => post(`${path}/sign-out`), { method: "POST", path: `${path}/sign-out` }],
    remove: [words.people.removeTitle(username), words.people.removeAbout, words.people.remove, () => remove(path), { method: "DELETE", path }],
  };
  const question = asked && questions[asked];
  return html`<${Dialog} sheet title=${username} onClose=${onClose}>
    ${above && html`<p class="note">${words.people.above}</p>`}
    <fieldset disabled=${above}>
      <legend>${words.people.role}</legend>
      ${ROLES.map(
        (one) => html`<div class="check" key=${one}>
          <input type="radio" name="role" id=${`role-${one}`} checked=${one === role} disabled=${!upTo(session.user.role).includes(one)}
            onChange=${() => change({ role: one }, words.people.roleChanged(username, words.roles[one][0]))} />
          <label for=${`role-${one}`}>${words.roles[one][0]} <span class="quiet">– ${words.roles[one][1]}</span></label>
        </div>`,
      )}
    </fieldset>
    <${Curl} method="PATCH" path=${path} body=${{ role }} />
    ${!above && html`<div class="form-actions start">
      <${Button} onClick=${() => setAsked("signOut")}>${words.people.signOut}</${Button}>
      ${person.second_factor && !self && html`<${Button} onClick=${() => setAsked("reset")}>${words.people.reset}</${Button}>`}
      ${disabled
        ? html`<${Button} onClick=${() => change({ disabled: false }, words.people.enabled(username))}>${words.people.enable}</${Button}>`
        : html`<${Button} onClick=${() => setAsked("disable")}>${words.people.disable}</${Button}>`}
      <${Button} kind="quiet bad" icon="trash" onClick=${() => setAsked("remove")}>${words.people.remove}</${Button}>
    </div>`}
    ${question && html`<${Confirm} title=${question[0]} action=${question[2]} curl=${question[4]} onClose=${() => setAsked(null)}
      onConfirm=${async () => {
        await question[3]();
        reload();
        if (asked === "remove") onClose();
      }}><p>${question[1]}</p></${Confirm}>`}
  </${Dialog}>`;
}

function Invite({ onClose, onSent }) {
  const [draft, setDraft] = useState({ role: "member", name: "", email: "" });
  const body = Object.fromEntries(Object.entries(draft).filter(([, value]) => value.trim()));
  const field = (name) => ({ name, value: draft[name], onInput: ({ target }) => setDraft({ ...draft, [name]: target.value }) });
  return html`<${Dialog} title=${words.people.inviteTitle} onClose=${onClose}>
    <${Form} onSubmit=${async () => onSent(await post("/invitations", body))} submit=${words.people.inviteSubmit}
      cancel=${html`<${Button} onClick=${onClose}>${words.cancel}</${Button}>`}>
      <div class="two">
        <${Field} label=${words.people.name} autocomplete="off" maxlength="100" autofocus ...${field("name")} />
        <${Field} label=${words.people.email} type="email" autocomplete="off" ...${field("email")} />
      </div>
      <${Field} as="select" label=${words.people.role} hint=${words.roles[draft.role][1]} value=${draft.role}
        onChange=${({ target }) => setDraft({ ...draft, role: target.value })}>
        ${upTo(session.user.role).map((role) => html`<option key=${role} value=${role}>${words.roles[role][0]}</option>`)}
      </${Field}>
      <${Curl} method="POST" path="/invitations" body=${body} />
    </${Form}>
  </${Dialog}>`;
}

/** The address of this page that accepts the invitation; operators may have another. */
const linkOf = ({ url, token }) => url ?? `${BASE.href}#/join/${token}`;

function Sent({ invitation, onClose }) {
  return html`<${Dialog} title=${words.people.sentTitle} onClose=${onClose}>
    <div class="prose"><p>${invitation.mailed ? words.people.mailed(invitation.email) : words.people.handOn}</p></div>
    <${Secret} label=${words.people.link} value=${linkOf(invitation)} />
    <p class="hint">${words.people.validUntil} <${When} at=${invitation.expires_at} /></p>
    <div class="form-actions"><${Button} kind="primary" onClick=${onClose}>${words.done}</${Button}></div>
  </${Dialog}>`;
}

function Invitation({ invitation, reload, setSent }) {
  const { id, name, email, role, expires_at, invited_by } = invitation;
  const path = `/invitations/${id}`;
  const [asking, setAsking] = useState(false);
  const label = name ?? email ?? words.people.unnamed;
  const resend = () =>
    attempt(async () => {
      setSent(await post(`${path}/resend`));
      reload();
    });
  return html`<li>
    <div class="grow">
      <p class="name">${label}</p>
      <p class="sub">${[name && email, words.roles[role][0], words.by(invited_by.name)].filter(Boolean).join(" · ")} · ${words.people.validUntil} <${When} at=${expires_at} /></p>
    </div>
    <div class="row-actions">
      <${Button} kind="small" label=${words.people.resendOf(label)} onClick=${resend}>${words.people.resend}</${Button}>
      <${Button} kind="quiet" icon="trash" label=${words.people.withdrawOf(label)} onClick=${() => setAsking(true)} />
    </div>
    ${asking && html`<${Confirm} title=${words.people.withdrawTitle} action=${words.people.withdraw} curl=${{ method: "DELETE", path }} onClose=${() => setAsking(false)}
      onConfirm=${async () => (await remove(path), reload())}><p>${words.people.withdrawAbout(label)}</p></${Confirm}>`}
  </li>`;
}
