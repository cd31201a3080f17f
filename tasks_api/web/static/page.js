"use strict";
// The page is a client like any other. send(), call(), renew() and refresh() are what every client needs.

const DEMO = { email: "anna@example.com", password: "Tasks-demo-2026" };
const TIME_LIMIT = 10_000; // of a request, in milliseconds
const USER = "tasks-user"; // in localStorage: the id of the user whose refresh token is in the cookie

let tokens = null; // the pair of tokens that the page holds
let fates = []; // what became of each pair of the session, by counter: "unused", "used" or "void"
let spent = []; // pairs whose refresh token was exchanged, the latest first
let lost = null; // the pair of the lost answer, until another answer comes
let loot = null; // the pair that the thief holds
let account = null; // the user's names and email as the service last sent them
let renewing = null; // the refresh under way

const $ = id => document.getElementById(id);

async function send(method, path, body, pair, note = "") {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (pair) headers.Authorization = "Bearer " + pair.accessToken;
  const signal = AbortSignal.timeout(TIME_LIMIT);
  let answer = { status: 503, body: { error: "The service did not answer." } };
  try {
    const response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
    const text = await response.text();
    answer = { status: response.status, body: JSON.parse(text || "{}") };
  } catch {
    // There was no answer in time, or it came from something else than the service.
  }
  if (pair && answer.status !== 401 && answer.status < 500) use(pair); // its access token was let in
  const outcome = element("span", `${answer.status} ${answer.body.errorCode ?? ""}`);
  outcome.className = answer.status < 400 ? "good-text" : "bad-text";
  $("calls").prepend(row(element("code", `${method} /${path}${note}`), outcome));
  $("calls").children[12]?.remove();
  return answer;
}

// Send a request with the access token. Refresh once if it is refused, for whatever reason.
async function call(method, path, body) {
  const used = tokens;
  if (!used) return { status: 401 };
  let answer = await send(method, path, body, used);
  if (answer.status === 401) {
    if (tokens === used) await renew();
    if (!tokens || tokens === used) return answer; // signed out, or the refresh failed
    answer = await send(method, path, body, tokens);
  }
  if (answer.status === 401) leave(answer.body.error);
  else if (answer.status >= 400) say(answer.body.error, false);
  return answer;
}

// Refresh once for all requests that wait for it. The new pair is stored before they go on.
function renew() {
  renewing ??= exchange().finally(() => {
    renewing = null;
  });
  return renewing;
}

async function exchange() {
  const before = tokens;
  const pair = await refresh("You", before);
  if (!pair) return;
  const text = lost ? "You are still signed in. " + compare(lost, pair) : `The counter is ${pair.counter}.`;
  spent.unshift({ ...before, at: new Date() });
  keep(pair);
  say("Refreshed. " + text);
}

// Tabs share the cookie, so they take turns. Plain http has no locks, except at localhost: there they do not wait.
function inTurn(action) {
  return navigator.locks ? navigator.locks.request("tasks-cookie", action) : action();
}

// Exchange a refresh token for the next pair. It is the page's, an older one or the thief's.
async function refresh(who, pair, note) {
  const holder = tokens;
  const body = { userId: pair.userId, refreshToken: pair.refreshToken ?? undefined }; // null: it is in the cookie
  const answer = await inTurn(() => send("POST", "api/users/refresh_token", body, null, note));
  checkUser();
  if (tokens !== holder) return null; // signed out meanwhile
  if (answer.status === 400) return refused(who, pair, answer.body.error);
  if (answer.status !== 200) return say(answer.body.error, false);
  use(pair);
  const next = read(answer.body);
  if (next.claims.sid !== pair.claims?.sid) fates = []; // another tab signed the user in again
  for (let between = pair.counter + 1; between < next.counter; between++) fates[between] = "void";
  fates[next.counter] ??= "unused";
  return next;
}

// Tell why a token was refused. Whether that ended the session, the access token shows.
async function refused(who, pair, error) {
  const isOld = pair.counter < fates.length - 1;
  if (!isOld) return leave(error);
  const check = await send("GET", "api/users/info", null, tokens);
  const sent = `${who} sent counter ${pair.counter}`;
  if (check.status === 200) {
    say(sent + ". The service refused it as a late request and ended nothing. "
      + "After the retry window it would end the session.", false);
  } else if (check.body.errorCode === "A04") {
    const what = fates[pair.counter] === "void" ? "the answer that was presumed lost" : "which was exchanged before";
    leave(`${sent}, ${what}. So two parties hold tokens of this session. `
      + "The service cannot tell the thief from the owner and ended the session for both.");
  } else if (pair === tokens) leave(error);
  else say(error, false);
}

// Another tab may have put another user's token into the cookie, or signed out.
function checkUser() {
  const user = localStorage.getItem(USER);
  if (!tokens || tokens.refreshToken || user === String(tokens.userId)) return;
  leave(user ? "Another user signed in in another tab." : "Another tab signed out.");
}
addEventListener("storage", checkUser);

function bytes(base64url) {
  const base64 = base64url.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), character => character.charCodeAt(0));
}

function decoded(accessToken) {
  return accessToken.split(".", 2).map(part => JSON.parse(new TextDecoder().decode(bytes(part))));
}

function read(pair) {
  const [header, claims] = decoded(pair.accessToken);
  return { ...pair, header, claims, counter: claims.ctr };
}

function parts(refreshToken) {
  const raw = bytes(refreshToken);
  const hex = Array.from(raw, byte => byte.toString(16).padStart(2, "0")).join("");
  const id = hex.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  return { SessionId: id, Counter: new DataView(raw.buffer).getUint32(16), MAC: hex.slice(40) };
}

function use(pair) {
  if (fates[pair.counter] === "unused") fates[pair.counter] = "used";
  draw();
}

function compare(before, pair) {
  if (before.counter === pair.counter) return `The same answer came again: counter ${pair.counter}.`;
  return `A new answer came: counter ${pair.counter}. The lost one, counter ${before.counter}, is void.`;
}

function keep(pair) {
  tokens = pair;
  lost = null;
  const { header, claims, counter, refreshToken } = pair;
  const time = seconds => `${seconds} (${new Date(seconds * 1000).toLocaleTimeString()})`;
  define($("claims"), { ...header, ...claims, iat: time(claims.iat), nbf: time(claims.nbf), exp: time(claims.exp) });
  define($("parts"), refreshToken ? parts(refreshToken) : { SessionId: claims.sid, Counter: counter });
  $("counter").textContent = counter;
  $("hidden-one").hidden = Boolean(refreshToken);
  $("lose").hidden = !refreshToken; // the browser would keep the cookie
  $("spent").hidden = !refreshToken || !spent.length;
  $("spent").tBodies[0].replaceChildren(...spent.slice(0, 5).map(old => {
    const label = `Send the refresh token with counter ${old.counter} again`;
    return row(old.counter, old.at.toLocaleTimeString(), button("Send again", label, () => replay(old)));
  }));
  draw();
  tick();
}

async function replay(old) {
  const pair = await refresh("You", old, " (again)");
  if (!pair) return;
  const text = compare(tokens, pair);
  keep(pair);
  say(text);
}

function setLoot(name, pair) {
  loot = { ...pair, name };
  draw();
}

async function begin(pair, text) {
  fates = [];
  fates[pair.counter] = "unused";
  spent = [];
  if (!pair.refreshToken) localStorage.setItem(USER, pair.userId);
  keep(pair);
  show(true);
  say(text);
  $("access-h").focus();
  await listTasks();
  await listDevices();
  await showAccount();
}

function leave(why, good = false) {
  const isInCookie = tokens && !tokens.refreshToken;
  if (isInCookie && localStorage.getItem(USER) === String(tokens.userId)) localStorage.removeItem(USER);
  tokens = lost = loot = null;
  for (const id of ["claims", "parts", "tasks", "devices"]) $(id).replaceChildren();
  fill({ firstName: "", lastName: "", email: "" });
  show(false);
  say("Signed out. " + why, good);
  $("email").focus();
}

// After a reload, and in a new tab.
async function resume() {
  tokens = { userId: Number(localStorage.getItem(USER)), refreshToken: null };
  const pair = await refresh("You", tokens);
  if (pair) await begin(pair, `Welcome back, ${pair.firstName}. The cookie was enough.`);
  else tokens = null;
}

function element(name, ...content) {
  const made = document.createElement(name);
  made.append(...content);
  return made;
}

function row(...cells) {
  return element("tr", ...cells.map(cell => element("td", cell)));
}

function button(text, ariaLabel, onclick) {
  return Object.assign(element("button", text), { ariaLabel, onclick });
}

function define(list, facts) {
  list.replaceChildren(...Object.entries(facts).flatMap(([name, fact]) => [element("dt", name), element("dd", fact)]));
}

function say(text, good = true) {
  $("said").textContent = text;
  $("said").className = good ? "good" : "bad";
}

function show(isSignedIn) {
  for (const section of document.querySelectorAll(".in")) section.hidden = !isSignedIn;
  for (const section of document.querySelectorAll(".out")) section.hidden = isSignedIn;
}

function draw() {
  if (!tokens) return;
  $("fate").textContent = fates[tokens.counter];
  $("lost").hidden = !lost;
  $("lost-counter").textContent = lost?.counter;
  $("loot").textContent = loot ? `${loot.name}: counter ${loot.counter}, ${fates[loot.counter]}` : "nothing";
  $("thief-use").hidden = !loot;
  $("thief-refresh").hidden = !loot?.refreshToken;
}

function tick() {
  if (!tokens?.claims) return;
  const left = Math.max(0, Math.ceil(tokens.claims.exp - Date.now() / 1000));
  $("left").textContent = left;
  $("left").classList.toggle("bad-text", left === 0);
  if (lost) $("lost-for").textContent = Math.floor((Date.now() - lost.at) / 1000);
}
setInterval(tick, 1000);

async function listTasks() {
  const answer = await call("GET", "api/tasks");
  if (answer.status !== 200) return false;
  $("tasks").replaceChildren(...answer.body.map(task => {
    const path = "api/tasks/" + task.id;
    const box = Object.assign(element("input"), { type: "checkbox", checked: task.isCompleted, id: "task-" + task.id });
    box.onchange = async () => {
      await call("PATCH", path, { isCompleted: box.checked });
      await listTasks();
      $(box.id)?.focus();
    };
    const label = element("label", box, " " + task.name);
    label.classList.toggle("done", task.isCompleted);
    return element("li", label, button("Delete", "Delete " + task.name, async () => {
      await call("DELETE", path);
      await listTasks();
    }));
  }));
  return true;
}

async function listDevices() {
  const answer = await call("GET", "api/users/sessions");
  if (answer.status !== 200) return false;
  $("devices").replaceChildren(...answer.body.map(device => {
    const id = device.sessionId.slice(0, 8);
    const browser = /(Firefox|Chrome|Safari)\/\d+/.exec(device.userAgent);
    const agent = browser?.[0].replace("/", " ") ?? (device.userAgent || "unknown");
    const time = new Date(device.lastUsedAt).toLocaleTimeString();
    const name = element("code", device.current ? id + " (this one)" : id);
    return row(name, time, agent, button("Sign out", "Sign out session " + id, async () => {
      const done = await call("DELETE", "api/users/sessions/" + device.sessionId);
      if (done.status !== 204) return;
      if (device.current) return leave("This session has ended.", true);
      say("That device is signed out: its tokens stopped working.");
      await listDevices();
    }));
  }));
  return true;
}

async function showAccount() {
  const answer = await call("GET", "api/users/info");
  if (answer.status === 200) fill(answer.body);
}

function fill(user) {
  account = user;
  $("my-first").value = user.firstName;
  $("my-last").value = user.lastName;
  $("my-email").value = user.email;
  $("my-password").value = "";
  $("again").defaultValue = user.email === DEMO.email ? DEMO.password : "";
  $("another").reset();
}

async function enter(credentials) {
  const body = { ...credentials, cookie: $("stay").checked };
  const answer = await inTurn(() => send("POST", "api/users/login", body));
  if (answer.status === 401 && credentials === DEMO) {
    return say("This service has no demo user. Sign up instead.", false);
  }
  if (answer.status !== 200) return say(answer.body.error, false);
  $("password").value = "";
  await begin(read(answer.body), `Hello ${answer.body.firstName}. You have a new session and its two tokens.`);
}

$("demo").onclick = () => enter(DEMO);
$("login").onsubmit = async submit => {
  submit.preventDefault();
  await enter({ email: $("email").value, password: $("password").value });
};
$("signup").onsubmit = async submit => {
  submit.preventDefault();
  const email = $("new-email").value;
  const password = $("new-password").value;
  const names = { firstName: $("first").value, lastName: $("last").value };
  const answer = await send("POST", "api/users/signup", { email, password, confirmPassword: password, ...names });
  if (answer.status !== 201) return say(answer.body.error, false);
  $("signup").reset();
  await enter({ email, password });
};

// These do not use the new pair by themselves, for its answer would no longer count as lost.
$("refresh").onclick = () => renew();
$("lose").onclick = async () => {
  const pair = await refresh("You", tokens, " (lost)");
  if (!pair) return;
  lost = { ...pair, at: Date.now() };
  setLoot("the lost answer", pair);
  tick();
  say(`The answer with counter ${pair.counter} was lost. You still hold counter ${tokens.counter}.`, false);
};
$("use").onclick = async () => {
  if (await listTasks() && await listDevices()) say(`The service let you in: counter ${tokens.counter} is used.`);
};
$("steal").onclick = () => {
  setLoot("a copy of your tokens", tokens);
  say(`The thief holds a copy of your tokens, counter ${tokens.counter}. The service cannot know that yet.`, false);
};
$("thief-refresh").onclick = async () => {
  const pair = await refresh("The thief", loot, " (thief)");
  if (!pair) return;
  setLoot("an answer", pair);
  const own = `You hold counter ${tokens.counter}, ${fates[tokens.counter]}.`;
  say(`The thief got the answer with counter ${pair.counter}. ${own}`, false);
};
$("thief-use").onclick = async () => {
  const answer = await send("GET", "api/tasks", null, loot, " (thief)");
  if (answer.body.errorCode === "A04") return refused("The thief", loot, answer.body.error);
  if (answer.status !== 200) return say("The thief was refused. " + answer.body.error);
  say(`The service let the thief in, who read ${answer.body.length} tasks: counter ${loot.counter} is used.`, false);
};
$("sign-out").onclick = async () => {
  const answer = await call("POST", "api/users/logout");
  if (answer.status === 204) leave("Both tokens of the session stopped working.", true);
};
$("add").onsubmit = async submit => {
  submit.preventDefault();
  const answer = await call("POST", "api/tasks", { name: $("name").value });
  if (answer.status !== 201) return;
  $("add").reset();
  say("Added.");
  await listTasks();
};
$("another").onsubmit = async submit => {
  submit.preventDefault();
  const body = { email: account.email, password: $("again").value };
  const answer = await send("POST", "api/users/login", body, null, " (another device)");
  if (answer.status !== 200) return say(answer.body.error, false);
  $("another").reset();
  say("Another session began, as if in a second browser.");
  await listDevices();
};
$("account").onsubmit = async submit => {
  submit.preventDefault();
  // Send what was changed here: another device may have changed the rest.
  const changes = {};
  const fields = { firstName: "my-first", lastName: "my-last", email: "my-email" };
  for (const [name, id] of Object.entries(fields)) if ($(id).value !== account[name]) changes[name] = $(id).value;
  if (changes.email && $("my-password").value) changes.currentPassword = $("my-password").value;
  const answer = await call("PATCH", "api/users/info", changes);
  if (answer.status !== 200) return;
  fill(answer.body);
  say("Saved." + (changes.email ? " A new email ends no session." : ""));
};
$("delete").onclick = async () => {
  const currentPassword = $("my-password").value;
  if (!currentPassword) {
    $("my-password").focus();
    return say("Enter the current password to delete the account.", false);
  }
  if (!confirm("Delete your account, your tasks and all your sessions? This cannot be undone.")) return;
  const answer = await call("POST", "api/users/delete", { currentPassword });
  if (answer.status === 204) leave("Your account, your tasks and all your sessions are deleted.", true);
};

if (localStorage.getItem(USER)) resume();
