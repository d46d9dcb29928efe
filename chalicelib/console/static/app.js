// Starts the console: who is signed in, which page the address names, and the frame around it.

import { emit, get, mayBeSignedIn, may, on, post, session, signedIn, signedOut } from "./api.js";
import { Button, Calls, Icon, Problem, Skeleton, Toasts, attempt, html, hue, render, toast, useEffect, useLayoutEffect, useRef, useState } from "./ui.js";
import { Entry, SignInAgain } from "./entry.js";
import { dropped } from "./drop.js";
import { words } from "./words.js";

/** Pages in the order of the navigation: what loads them, and whom they are for. */
const PAGES = {
  files: { load: () => import("./files.js"), shown: () => may("files:read") },
  people: { load: () => import("./people.js"), shown: () => may("users:read") },
  keys: { load: () => import("./keys.js"), shown: () => may("keys:manage") },
  webhooks: { load: () => import("./webhooks.js"), shown: () => may("webhooks:manage") },
  audit: { load: () => import("./audit.js"), shown: () => may("audit:read") },
  organization: { load: () => import("./organization.js"), shown: () => may("organization:read") },
  account: { load: () => import("./account.js"), shown: () => true },
};
const ENTRIES = new Set(["join", "sign-up"]);

/** "#/files/123" as ["files", "123"]. */
const place = () => location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
export const go = (...parts) => (location.hash = `#/${parts.map(encodeURIComponent).join("/")}`);

function usePlace() {
  const [here, setHere] = useState(place);
  useEffect(() => {
    const moved = () => setHere(place());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return here;
}

function useSession() {
  const [, redraw] = useState(0);
  useEffect(() => on("session", () => redraw((turn) => turn + 1)), []);
  return session;
}

function App() {
  const { user, ended } = useSession();
  const [asking, setAsking] = useState(mayBeSignedIn());
  const [error, setError] = useState(null);
  const here = usePlace();
  const ask = async () => {
    setError(null);
    try {
      signedIn((await get("/auth/me", { anonymous: true })).user);
    } catch (failure) {
      if (failure.status === 401) signedOut();
      else setError(failure);
    } finally {
      setAsking(false);
    }
  };
  useEffect(() => void (asking && ask()), []);
  if (asking) return html`<div class="entry"><div class="entry-box"><${Skeleton} rows=${3} /></div></div>`;
  if (error) return html`<main class="entry"><div class="entry-box"><h1>${words.product}</h1><${Problem} error=${error} again=${ask} /></div></main>`;
  if (!user || ENTRIES.has(here[0])) return html`<${Entry} place=${here} /><${Toasts} />`;
  return html`<${Frame} here=${here} user=${user} />${ended && html`<${SignInAgain} user=${user} />`}<${Toasts} />`;
}

function Frame({ here, user }) {
  const shown = Object.keys(PAGES).filter((name) => PAGES[name].shown());
  const name = shown.includes(here[0]) ? here[0] : shown[0];
  const [open, setOpen] = useState(false);
  const [calls, setCalls] = useState(false);
  const organization = useOrganization();
  const online = useOnline();
  useEffect(() => setOpen(false), [here.join("/")]);
  useEffect(() => {
    const close = (event) => event.key === "Escape" && setOpen(false);
    addEventListener("keydown", close);
    return () => removeEventListener("keydown", close);
  }, []);
  useEffect(() => {
    if (may("files:write")) resumeUploads();
  }, []);
  const brand = html`<div class="brand">
    <span class=${`mark h${hue(user.organization_id)}`} aria-hidden="true">${(organization?.name ?? " ").trim().charAt(0).toUpperCase()}</span>
    <span>${organization?.name ?? " "}<small>${words.product}</small></span>
  </div>`;
  return html`<a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), document.querySelector("h1")?.focus())}>${words.skip}</a>
    <div class="frame">
      <header class="top">
        <${Button} kind="quiet" icon="menu" label=${words.menu} aria-expanded=${open} onClick=${() => setOpen(!open)} />
        ${brand}
      </header>
      ${open && html`<button class="veil" tabindex="-1" aria-label=${words.close} onClick=${() => setOpen(false)}></button>`}
      <aside class=${`side ${open ? "open" : ""}`} aria-label=${words.sidebar}>
        ${brand}
        <nav class="nav" aria-label=${words.navigation}>
          ${shown.map(
            (one) => html`<a key=${one} href=${`#/${one}`} aria-current=${one === name ? "page" : undefined}>
              <${Icon} name=${one} />${words.pages[one]}
            </a>`,
          )}
        </nav>
        <div class="side-foot">
          <${Button} kind="quiet" icon="code" onClick=${() => setCalls(true)}>${words.calls.open}</${Button}>
          <${Button} kind="quiet" icon="left" onClick=${logOut}>${words.signOut(user.username)}</${Button}>
        </div>
      </aside>
      <main class="main" id="main">
        ${!online && html`<p class="banner" role="status">${words.offlineBanner}</p>`}
        <${Page} key=${name} name=${name} rest=${here.slice(1)} />
      </main>
    </div>
    ${may("files:write") && html`<${DropAnywhere} />`}
    ${calls && html`<${Calls} onClose=${() => setCalls(false)} />`}`;
}

/** Files and folders that are dropped on whatever page. */
function DropAnywhere() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const brings = (event) => event.dataTransfer?.types.includes("Files");
    const count = (step) => (event) => {
      if (!brings(event)) return;
      depth = Math.max(0, depth + step);
      setOver(depth > 0);
    };
    const enter = count(1);
    const leave = count(-1);
    const allow = (event) => brings(event) && event.preventDefault();
    const end = () => ((depth = 0), setOver(false));
    const drop = async (event) => {
      if (!brings(event)) return;
      event.preventDefault();
      // Entries have to be taken while the event lasts, so before anything is loaded.
      const files = dropped(event.dataTransfer);
      go("files");
      await import("./uploads.js").then(
        async ({ sendFiles }) => sendFiles(await files),
        () => toast(words.uploads.noLoad, { error: true }),
      );
    };
    const all = [["dragenter", enter], ["dragleave", leave], ["dragover", allow], ["drop", drop]];
    for (const [kind, listener] of all) addEventListener(kind, listener);
    addEventListener("drop", end, true);
    return () => all.forEach(([kind, listener]) => removeEventListener(kind, listener));
  }, []);
  return over && html`<div class="dropping">${words.files.drop}</div>`;
}

/** Uploads that a reload has interrupted are offered again; Uppy is loaded only if there are some. */
async function resumeUploads() {
  if (localStorage.getItem("strongroom.uploads") !== session.user.id) return;
  const { openUploads } = await import("./uploads.js");
  await openUploads();
}

async function logOut() {
  await attempt(async () => {
    await post("/auth/logout", undefined, { anonymous: true }).catch((error) => {
      if (error.status !== 401) throw error;
    });
    signedOut();
    location.hash = "";
    location.reload();
  });
}

/** Whether this is not the first page that is shown. */
let moved = false;

function Page({ name, rest }) {
  const [loaded, setLoaded] = useState(null);
  const [error, setError] = useState(null);
  const load = () => {
    setError(null);
    // A file that is not there any more: a new version was deployed while this page was open.
    return PAGES[name].load().then(setLoaded, () => setError({ message: words.newVersion }));
  };
  useEffect(() => void load(), []);
  useLayoutEffect(() => {
    document.title = `${words.pages[name]} · ${words.product}`;
  }, []);
  useEffect(() => {
    // Whoever has followed a link of the navigation is at the page's beginning, with a screen reader too.
    if (loaded && moved) document.querySelector("h1")?.focus();
    moved = true;
  }, [loaded !== null]);
  if (error) return html`<div class="page"><${Problem} error=${error} again=${() => location.reload()} /></div>`;
  if (!loaded) return html`<div class="page"><div class="page-head"><h1>${words.pages[name]}</h1></div><${Skeleton} /></div>`;
  return html`<div class="page"><${loaded.default} rest=${rest} /></div>`;
}

function useOrganization() {
  const [organization, setOrganization] = useState(null);
  useEffect(() => {
    if (may("organization:read")) get("/organization", { quiet: true }).then(setOrganization, () => {});
    return on("organization", setOrganization);
  }, []);
  return organization;
}

function useOnline() {
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const change = () => setOnline(navigator.onLine);
    addEventListener("online", change);
    addEventListener("offline", change);
    return () => (removeEventListener("online", change), removeEventListener("offline", change));
  }, []);
  return online;
}

addEventListener("unhandledrejection", (event) => emit("problem", event.reason));
render(html`<${App} />`, document.getElementById("app"));
