// Before somebody is in: signing in with or without a second factor, a new organisation where operators allow it, and
// accepting an invitation. The token of an invitation is behind the # of its link, which no server gets to see.

import { BASE, post, signedIn, signedOut } from "./api.js";
import { Button, Dialog, Field, Form, html, useState } from "./ui.js";
import { words } from "./words.js";

const SIGN_UP_IS_OPEN = document.documentElement.dataset.signUp === "open";
const IS_LOCAL = ["127.0.0.1", "localhost"].includes(location.hostname);
const version = new URL(".", import.meta.url);

export function Entry({ place: [where, token] }) {
  const content =
    where === "join" && token
      ? html`<${Join} token=${token} />`
      : where === "sign-up" && SIGN_UP_IS_OPEN
        ? html`<${SignUp} />`
        : html`<${SignIn} title=${words.signIn.title} />`;
  return html`<main class="entry">
    <div class="entry-box">
      <div class="entry-brand"><img src=${new URL("icon.svg", version).href} alt="" width="36" height="36" />${words.product}</div>
      <div class="card entry-card">${content}</div>
      ${where !== "join" && SIGN_UP_IS_OPEN && html`<p class="entry-foot">
        ${where === "sign-up"
          ? html`<a href="#/">${words.signIn.instead}</a>`
          : html`<a href="#/sign-up">${words.signUp.instead}</a>`}
      </p>`}
      ${where !== "join" && IS_LOCAL && html`<p class="entry-foot">${words.signIn.local} <code>admin</code> · <code>password</code></p>`}
    </div>
  </main>`;
}

const anonymous = { anonymous: true };

/** @param {{title?: string, username?: string}} properties username: who has to sign in again */
function SignIn({ title, username }) {
  const [challenge, setChallenge] = useState(null);
  if (challenge)
    return html`<${SecondFactor} challenge=${challenge} again=${() => setChallenge(null)} />`;
  const submit = async (typed) => {
    const said = await post("/auth/login", typed, anonymous);
    if (said.second_factor === "required") setChallenge(said.challenge);
    else signedIn(said.user);
  };
  return html`${title && html`<h1>${title}</h1>`}
    <${Form} key="password" onSubmit=${submit} submit=${words.signIn.submit}>
      <${Field} label=${words.username} name="username" autocomplete="username" autocapitalize="none" spellcheck=${false} required
        defaultValue=${username} readonly=${Boolean(username)} />
      <${Field} label=${words.password} name="password" type="password" autocomplete="current-password" required />
    </${Form}>`;
}

function SecondFactor({ challenge, again }) {
  const submit = async ({ code }) => {
    try {
      signedIn((await post("/auth/second-factor", { challenge, code }, anonymous)).user);
    } catch (error) {
      if (error.code === "challenge_ended") again();
      throw error;
    }
  };
  return html`<h1>${words.signIn.secondFactor}</h1>
    <${Form} key="code" onSubmit=${submit} submit=${words.signIn.submit}
      cancel=${html`<${Button} onClick=${again}>${words.back}</${Button}>`}>
      <${Field} label=${words.code} hint=${words.signIn.codeHint} name="code" autocomplete="one-time-code" inputmode="text" autofocus required />
    </${Form}>`;
}

function SignUp() {
  const submit = async (typed) => {
    signedIn((await post("/organizations", typed, anonymous)).user);
    location.hash = "#/files";
  };
  return html`<h1>${words.signUp.title}</h1>
    <${Form} onSubmit=${submit} submit=${words.signUp.submit}>
      <${Field} label=${words.organizationName} name="name" autocomplete="organization" required />
      <${NewUser} />
    </${Form}>`;
}

function Join({ token }) {
  const submit = async (typed) => {
    const { user } = await post("/invitations/accept", { token, ...typed }, anonymous);
    // The token is used up; it need not stay in the history.
    history.replaceState(null, "", `${BASE.pathname}#/files`);
    signedIn(user);
    dispatchEvent(new HashChangeEvent("hashchange"));
  };
  return html`<h1>${words.join.title}</h1>
    <p class="quiet">${words.join.about}</p>
    <${Form} onSubmit=${submit} submit=${words.join.submit}><${NewUser} /></${Form}>`;
}

const NewUser = () => html`<${Field} label=${words.username} hint=${words.usernameHint} name="username" autocomplete="username" autocapitalize="none" spellcheck=${false} required />
  <${Field} label=${words.password} hint=${words.passwordHint} name="password" type="password" autocomplete="new-password" minlength="8" required />`;

/** Over the page of somebody whose session has ended. What was under way goes on afterwards. */
export function SignInAgain({ user }) {
  const leave = () => {
    signedOut();
    location.reload();
  };
  return html`<${Dialog} title=${words.signIn.again}>
    <p class="quiet">${words.signIn.againAbout}</p>
    <${SignIn} username=${user.username} />
    <${Button} kind="quiet" onClick=${leave}>${words.signIn.somebodyElse}</${Button}>
  </${Dialog}>`;
}
