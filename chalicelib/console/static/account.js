// One's own account: sessions, second factor, password.

import { get, post, remove, session, signedIn } from "./api.js";
import { Badge, Button, Card, Confirm, Copy, Curl, Dialog, Field, Form, Head, Loaded, Secret, When, attempt, html, toast, useEffect, useLoaded, useMemo, useState } from "./ui.js";
import { words } from "./words.js";

export default function Account() {
  const { user } = session;
  const [asked, setAsked] = useState(null);
  const close = () => setAsked(null);
  // What the answer of a change does not say: whether there is a second factor now.
  const refresh = async () => signedIn((await get("/auth/me", { quiet: true })).user);
  return html`
    <${Head} title=${words.pages.account} about=${words.account.about(user.username, words.roles[user.role]?.[0] ?? user.role)} />
    ${user.must_set_up_second_factor && html`<p class="note wait">${words.account.mustSetUp}</p>`}
    <${Card} title=${words.account.secondFactor} about=${words.account.secondFactorAbout}
      action=${html`<${Badge} kind=${user.second_factor ? "good" : ""}>${user.second_factor ? words.account.on : words.account.off}</${Badge}>`}>
      <div class="form-actions">
        ${user.second_factor && html`
          <${Button} onClick=${() => setAsked("codes")}>${words.account.newCodes}</${Button}>
          <${Button} onClick=${() => setAsked("off")}>${words.account.turnOff}</${Button}>`}
        <${Button} kind=${user.second_factor ? "" : "primary"} onClick=${() => setAsked("setup")}>${user.second_factor ? words.account.replace : words.account.setUp}</${Button}>
      </div>
    </${Card}>
    ${!user.must_set_up_second_factor && html`<${Sessions} /><${Password} />`}
    ${asked === "setup" && html`<${SetUp} hasOne=${user.second_factor} onClose=${close} onDone=${refresh} />`}
    ${asked === "codes" && html`<${NewCodes} onClose=${close} />`}
    ${asked === "off" && html`<${Dialog} title=${words.account.turnOff} onClose=${close}>
      <${Form} danger submit=${words.account.turnOff} cancel=${html`<${Button} onClick=${close}>${words.cancel}</${Button}>`}
        onSubmit=${async (typed) => (await remove("/auth/second-factor", typed), close(), await refresh())}>
        <${PasswordField} /><${CodeField} />
        <${Curl} method="DELETE" path="/auth/second-factor" body=${{ password: "", code: "" }} />
      </${Form}>
    </${Dialog}>`}
  `;
}

const PasswordField = (rest) => html`<${Field} label=${words.currentPassword} name="password" type="password" autocomplete="current-password" required ...${rest} />`;
const CodeField = ({ label = words.code, ...rest }) => html`<${Field} label=${label} name="code" autocomplete="one-time-code" autocapitalize="none" required ...${rest} />`;

function SetUp({ hasOne, onClose, onDone }) {
  const [begun, setBegun] = useState(null);
  const [codes, setCodes] = useState(null);
  const path = "/auth/second-factor";
  if (codes) return html`<${RecoveryCodes} codes=${codes} onClose=${() => (onClose(), onDone())} />`;
  return html`<${Dialog} title=${words.account.setUp} onClose=${onClose}>
    ${begun
      ? html`<${Form} key="confirm" submit=${words.account.confirm} onSubmit=${async (typed) => setCodes((await post(`${path}/confirm`, typed)).recovery_codes)}>
          <div class="prose"><p>${words.account.scan}</p></div>
          <${QrCode} svg=${begun.qr_svg} />
          <${Secret} label=${words.account.byHand} value=${begun.secret} />
          <${CodeField} inputmode="numeric" autofocus />
        </${Form}>`
      : html`<${Form} key="begin" submit=${words.account.next} onSubmit=${async (typed) => setBegun(await post(`${path}/setup`, typed))}
          cancel=${html`<${Button} onClick=${onClose}>${words.cancel}</${Button}>`}>
          <div class="prose"><p>${words.account.setUpAbout}</p></div>
          <${PasswordField} autofocus />
          ${hasOne && html`<${CodeField} label=${words.account.oldCode} />`}
          <${Curl} method="POST" path=${`${path}/setup`} body=${{ password: "" }} />
        </${Form}>`}
  </${Dialog}>`;
}

/** An image, which runs nothing, whatever is in it. */
function QrCode({ svg }) {
  const address = useMemo(() => URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" })), [svg]);
  useEffect(() => () => URL.revokeObjectURL(address), [address]);
  return html`<img class="qr" src=${address} alt=${words.account.qr} width="196" height="196" />`;
}

function NewCodes({ onClose }) {
  const [codes, setCodes] = useState(null);
  const path = "/auth/second-factor/recovery-codes";
  if (codes) return html`<${RecoveryCodes} codes=${codes} onClose=${onClose} />`;
  return html`<${Dialog} title=${words.account.newCodes} onClose=${onClose}>
    <${Form} submit=${words.account.newCodes} cancel=${html`<${Button} onClick=${onClose}>${words.cancel}</${Button}>`}
      onSubmit=${async (typed) => setCodes((await post(path, typed)).recovery_codes)}>
      <div class="prose"><p>${words.account.newCodesAbout}</p></div>
      <${PasswordField} /><${CodeField} />
      <${Curl} method="POST" path=${path} body=${{ password: "", code: "" }} />
    </${Form}>
  </${Dialog}>`;
}

const RecoveryCodes = ({ codes, onClose }) => html`<${Dialog} title=${words.account.recoveryCodes} onClose=${onClose}>
  <p class="note">${words.account.recoveryAbout}</p>
  <ul class="codes">${codes.map((code) => html`<li key=${code}><code>${code}</code></li>`)}</ul>
  <div class="form-actions"><${Copy} text=${codes.join("\n")}>${words.copy}</${Copy}><${Button} kind="primary" onClick=${onClose}>${words.account.kept}</${Button}></div>
</${Dialog}>`;

function Sessions() {
  const state = useLoaded((signal) => get("/auth/sessions", { signal }).then((said) => said.sessions));
  const [asking, setAsking] = useState(false);
  return html`<${Card} title=${words.account.sessions} about=${words.account.sessionsAbout}
    action=${state.value?.length > 1 && html`<${Button} kind="small" onClick=${() => setAsking(true)}>${words.account.endOthers}</${Button}>`}>
    <${Loaded} state=${state} rows=${2}>
      ${(list) => html`<ul class="list">
        ${list.map(
          (one) => html`<li key=${one.id}>
            <div class="grow">
              <p class="line"><span class="name">${programName(one.program)}</span>${one.current && html`<${Badge} kind="good">${words.account.current}</${Badge}>`}</p>
              <p class="sub">${one.address ?? ""} · ${words.account.started} <${When} at=${one.created_at} /> · ${words.account.used} <${When} at=${one.last_used_at} /></p>
            </div>
            ${!one.current && html`<${Button} kind="small" label=${words.account.endOf(programName(one.program))} onClick=${() => attempt(async () => (await remove(`/auth/sessions/${one.id}`), state.reload()), words.account.ended)}>${words.account.end}</${Button}>`}
          </li>`,
        )}
      </ul>`}
    </${Loaded}>
    <${Curl} path="/auth/sessions" />
    ${asking && html`<${Confirm} title=${words.account.endOthers} action=${words.account.endOthers} curl=${{ method: "DELETE", path: "/auth/sessions" }} onClose=${() => setAsking(false)}
      onConfirm=${async () => (await remove("/auth/sessions"), state.reload())}><p>${words.account.endOthersAbout}</p></${Confirm}>`}
  </${Card}>`;
}

const BROWSERS = [["Firefox/", "Firefox"], ["Edg/", "Edge"], ["OPR/", "Opera"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]];
const SYSTEMS = [["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Windows", "Windows"], ["Mac OS", "macOS"], ["Linux", "Linux"]];
/** Such as "Firefox, Linux"; what is not known is told as it names itself. */
function programName(program) {
  const named = (list) => list.find(([mark]) => program?.includes(mark))?.[1];
  const browser = named(BROWSERS);
  return browser ? [browser, named(SYSTEMS)].filter(Boolean).join(", ") : (program ?? words.account.unknown);
}

function Password() {
  const save = async (typed, form) => {
    await post("/auth/password", typed);
    form.reset();
    toast(words.account.passwordChanged);
  };
  return html`<${Card} title=${words.password} about=${words.account.passwordAbout}>
    <${Form} onSubmit=${save} submit=${words.account.changePassword}>
      <input type="text" autocomplete="username" value=${session.user.username} readonly hidden />
      <div class="two">
        <${PasswordField} name="current_password" />
        <${Field} label=${words.newPassword} hint=${words.passwordHint} name="new_password" type="password" autocomplete="new-password" minlength="8" required />
      </div>
      <${Curl} method="POST" path="/auth/password" body=${{ current_password: "", new_password: "" }} />
    </${Form}>
  </${Card}>`;
}
