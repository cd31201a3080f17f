"use strict";
const $ = id => document.getElementById(id);
let tokens = null;      // the pair that the page holds
let answers = [];       // what became of the session's pairs, by their counters: "unused", "used" or "void"
let spent = [];         // pairs whose refresh token bought the next one, the latest first
let lost = null;        // the pair that was thrown away, until another came
let loot = null;        // the pair that the thief holds
let renewing = null;    // the refresh under way: there is never more than one
let shown = null;       // the account as it was when the form was filled
let credentials = null; // kept for "another device", in memory like the tokens
const STAYS = "tasks-stays-signed-in"; // in localStorage: that there is a cookie, and nothing of it

const element = (name, text, more = {}) => Object.assign(document.createElement(name), { textContent: text }, more);
const bytes = text => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));
const json = text => JSON.parse(new TextDecoder().decode(bytes(text)));
const hex = part => Array.from(part, b => b.toString(16).padStart(2, "0")).join("");
const short = text => text.slice(0, 8) + "…";

function say(text, good = true) {
  $("said").textContent = text;
  $("said").className = good ? "good" : "bad";
}

async function send(method, path, body, pair, note = "") {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (pair) headers.Authorization = "Bearer " + pair.accessToken;
  let answer = { ok: false, status: 0 }, result;
  try {
    answer = await fetch(path.slice(1), { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    result = { status: answer.status, body: text ? JSON.parse(text) : null };
  } catch { // no answer, or not the service's
    result = { status: answer.ok ? 502 : answer.status || 503, body: { error: "The service cannot be reached." } };
  }
  if (pair && result.status !== 401 && result.status < 500) use(pair); // its access token was let in
  const row = element("tr", "");
  const outcome = result.status + (result.body && result.body.errorCode ? " " + result.body.errorCode : "");
  row.append(element("td", ""), element("td", outcome, { className: answer.ok ? "good-text" : "bad-text" }));
  row.firstChild.append(element("code", method + " " + path), note);
  $("calls").prepend(row);
  while ($("calls").children.length > 12) $("calls").lastChild.remove();
  return result;
}

// What every client of the API needs: one refresh at a time, the new pair kept before it is used, one retry.
async function call(method, path, body) {
  let answer = await send(method, path, body, tokens);
  if (answer.status === 401 && answer.body.errorCode === "A02") {
    const before = tokens;
    await renew();
    if (!tokens || tokens === before) return answer; // signed out, or not renewed this time
    answer = await send(method, path, body, tokens);
  }
  if (answer.status === 401 && tokens && answer.body.errorCode) end("You", tokens, answer);
  else if (answer.status >= 400) say(answer.body.error, false);
  return answer;
}

function renew(lose = false) {
  renewing ??= (async () => {
    const before = tokens, asked = lost;
    const answer = await buy(before, lose ? " (lost)" : "");
    if (answer.status === 400) return end("You", before, answer);
    if (answer.status !== 200) return say(answer.body.error, false);
    const pair = answer.body;
    if (lose) {
      lost = { ...pair, at: Date.now() };
      hand("the lost answer", pair);
      return say("The answer with counter " + pair.counter + " was lost. You still hold counter " + before.counter + ".", false);
    }
    spent.unshift({ ...before, at: new Date() });
    keep(pair);
    say(asked ? "You are still signed in. " + told(asked, pair) : "Refreshed. The counter is " + pair.counter + ".");
  })().finally(() => { renewing = null; });
  return renewing;
}

// The pairs between the one that was sent and the one that was answered were presumed lost.
async function buy(pair, note) {
  const body = pair.refreshToken ? { refreshToken: pair.refreshToken } : undefined; // or the cookie's
  const answer = await send("POST", "/api/users/refresh_token", body, null, note);
  if (answer.status === 200) {
    use(pair);
    const { counter } = read(answer.body);
    for (let between = pair.counter + 1; between < counter; between++) answers[between] = "void";
    answers[counter] ??= "unused";
  }
  return answer;
}

function read(pair) {
  const claims = json(pair.accessToken.split(".")[1]);
  return Object.assign(pair, { claims, counter: claims.ctr });
}

function use(pair) {
  if (answers[pair.counter] === "unused") answers[pair.counter] = "used";
  draw();
}

function told(before, pair) {
  if (before.counter === pair.counter) return "The same answer came again: counter " + pair.counter + ".";
  return "Another answer came, counter " + pair.counter + "; the one with counter " + before.counter + " is void.";
}

// Why a session ended, where its answers tell.
function end(who, pair, answer) {
  const what = who + " came with counter " + pair.counter;
  const both = " Two parties hold tokens of this session, and nobody can tell thief from owner: both are out.";
  if (answers[pair.counter] === "void") leave(what + ", which is void: it was presumed lost, and was not." + both);
  else if (answer.status === 400 && pair.counter < answers.length - 1)
    leave(what + ", which was spent before, and what it bought was used: a replay." + both);
  else leave(answer.body.error);
}

function parts(token) {
  const raw = bytes(token);
  const id = hex(raw.slice(0, 16)).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  return { SessionId: id, Counter: new DataView(raw.buffer).getUint32(16), MAC: hex(raw.slice(20)) };
}

function define(list, facts) {
  list.replaceChildren(...Object.entries(facts).flatMap(([name, fact]) => [element("dt", name), element("dd", fact)]));
}

function keep(pair) {
  tokens = pair;
  lost = null;
  const header = json(pair.accessToken.split(".")[0]), claims = pair.claims;
  const time = seconds => seconds + "  (" + new Date(seconds * 1000).toLocaleTimeString() + ")";
  define($("claims"), { ...header, ...claims, iat: time(claims.iat), nbf: time(claims.nbf), exp: time(claims.exp) });
  const isInCookie = !pair.refreshToken;
  $("counter").textContent = pair.counter;
  define($("parts"), isInCookie ? { SessionId: claims.sid, Counter: pair.counter } : parts(pair.refreshToken));
  $("hidden-one").hidden = !isInCookie;
  $("lose").hidden = isInCookie; // the browser would keep the cookie all the same
  $("another").hidden = !credentials;
  $("spent").hidden = isInCookie || !spent.length;
  $("spent").tBodies[0].replaceChildren(...spent.slice(0, 5).map(each => {
    const row = element("tr", "");
    const again = element("button", "Send again", { onclick: () => replay(each) });
    again.setAttribute("aria-label", "Send the refresh token with counter " + each.counter + " again");
    row.append(element("td", each.counter), element("td", each.at.toLocaleTimeString()), element("td", ""));
    row.lastChild.append(again);
    return row;
  }));
  draw();
  tick();
}

function draw() {
  if (!tokens) return;
  $("fate").textContent = answers[tokens.counter];
  $("lost").hidden = !lost;
  $("lost-counter").textContent = lost ? lost.counter : "–";
  $("loot").textContent = loot ? loot.name + ": counter " + loot.counter + ", " + answers[loot.counter] : "nothing";
  $("thief-use").hidden = !loot;
  $("thief-refresh").hidden = !loot || !loot.refreshToken;
}

function hand(name, pair) {
  loot = { ...pair, name };
  draw();
}

async function replay(old) {
  const before = tokens;
  const answer = await buy(old, " (again)");
  if (answer.status === 200) {
    keep(answer.body);
    say(told(before, tokens));
  } else if (answer.status === 400) end("You", old, answer);
  else say(answer.body.error, false);
}

function leave(why, good = false) {
  if (tokens && !tokens.refreshToken) localStorage.removeItem(STAYS); // which other tabs are told
  tokens = credentials = lost = loot = null;
  answers = [];
  spent = [];
  for (const list of [$("claims"), $("parts"), $("tasks"), $("spent").tBodies[0], $("devices").tBodies[0]]) list.replaceChildren();
  fill({ firstName: "", lastName: "", email: "" });
  show(false);
  say("Signed out. " + why, good);
  $("email").focus();
}

function show(inside) {
  $("signed-out").hidden = inside;
  for (const section of document.querySelectorAll(".in")) section.hidden = !inside;
}

function tick() {
  if (!tokens) return;
  const left = Math.max(0, Math.ceil(tokens.claims.exp - Date.now() / 1000));
  $("left").textContent = left;
  $("left").classList.toggle("bad-text", left === 0);
  $("lost-for").textContent = lost ? Math.floor((Date.now() - lost.at) / 1000) : 0;
}
setInterval(tick, 1000);

async function listTasks() {
  const answer = await call("GET", "/api/tasks");
  if (answer.status !== 200) return false;
  $("tasks").replaceChildren(...answer.body.map(task => {
    const item = element("li", ""), label = element("label", " " + task.name, { className: task.isCompleted ? "done" : "" });
    const box = element("input", "", { type: "checkbox", checked: task.isCompleted });
    box.id = "task-" + task.id;
    box.onchange = async () => {
      await call("PATCH", "/api/tasks/" + task.id, { isCompleted: box.checked });
      await listTasks();
      $(box.id)?.focus();
    };
    const gone = element("button", "Delete");
    gone.setAttribute("aria-label", "Delete " + task.name);
    gone.onclick = async () => { await call("DELETE", "/api/tasks/" + task.id); await listTasks(); };
    label.prepend(box);
    item.append(label, gone);
    return item;
  }));
  return true;
}

async function listDevices() {
  const answer = await call("GET", "/api/users/sessions");
  if (answer.status !== 200) return false;
  $("devices").tBodies[0].replaceChildren(...answer.body.map(device => {
    const row = element("tr", "");
    const id = element("td", "");
    id.append(element("code", short(device.sessionId)), device.current ? " (this one)" : "");
    const out = element("button", "Sign out");
    out.setAttribute("aria-label", "Sign out session " + device.sessionId.slice(0, 8));
    out.onclick = async () => {
      const done = await call("DELETE", "/api/users/sessions/" + device.sessionId);
      if (done.status !== 204) return;
      if (device.current) leave("This session was ended.");
      else { say("That device is out: its access token is refused from now on."); await listDevices(); }
    };
    const browser = /(Firefox|Chrome|Safari)\/(\d+)/.exec(device.userAgent || "");
    const agent = browser ? browser[1] + " " + browser[2] : device.userAgent || "unknown";
    row.append(id, element("td", new Date(device.lastUsedAt).toLocaleTimeString()), element("td", agent), element("td", ""));
    row.lastChild.append(out);
    return row;
  }));
  return true;
}

async function showAccount() {
  const answer = await call("GET", "/api/users/info");
  if (answer.status === 200) fill(answer.body);
}

function fill(user) {
  shown = user;
  $("my-first").value = user.firstName;
  $("my-last").value = user.lastName;
  $("my-email").value = user.email;
  $("my-password").value = "";
}

$("account").onsubmit = async submit => {
  submit.preventDefault();
  // What was not touched here another device may have changed.
  const changes = {}, fields = { firstName: "my-first", lastName: "my-last", email: "my-email" };
  for (const [name, id] of Object.entries(fields)) if ($(id).value !== shown[name]) changes[name] = $(id).value;
  if (changes.email && $("my-password").value) changes.currentPassword = $("my-password").value;
  const answer = await call("PATCH", "/api/users/info", changes);
  if (answer.status !== 200) return;
  fill(answer.body);
  if (credentials) credentials.email = answer.body.email;
  say("Saved." + (changes.email ? " A new email ends no session." : ""));
};
$("delete").onclick = async () => {
  if (!$("my-password").value) {
    $("my-password").focus();
    return say("Whoever deletes the account has to know its password.", false);
  }
  if (!confirm("Delete your account, your tasks and all your sessions, for good?")) return;
  const answer = await call("POST", "/api/users/delete", { currentPassword: $("my-password").value });
  if (answer.status === 204) leave("Your account is gone, and with it your tasks and sessions on every device.", true);
};

$("login").onsubmit = async submit => {
  submit.preventDefault();
  await enter({ email: $("email").value, password: $("password").value });
};
$("signup").onsubmit = async submit => {
  submit.preventDefault();
  const email = $("new-email").value, password = $("new-password").value;
  const names = { firstName: $("first").value, lastName: $("last").value };
  const answer = await send("POST", "/api/users/signup", { email, password, confirmPassword: password, ...names });
  if (answer.status !== 201) return say(answer.body.error, false);
  $("signup").reset();
  await enter({ email, password });
};

async function enter(known) {
  const answer = await send("POST", "/api/users/login", { ...known, cookie: $("stay").checked });
  if (answer.status !== 200) return say(answer.body.error, false);
  credentials = known;
  $("password").value = "";
  if ($("stay").checked) localStorage.setItem(STAYS, "yes");
  await begin(answer.body, "Hello " + answer.body.firstName + ". A session was opened: two tokens came back.");
}

async function begin(pair, words) {
  spent = [];
  read(pair);
  answers = [];
  answers[pair.counter] = "unused";
  keep(pair);
  show(true);
  say(words);
  $("access-h").focus();
  await listTasks();
  if (tokens) await listDevices();
  if (tokens) await showAccount();
}

// After a reload, and in another tab: the cookie alone is enough.
async function resume() {
  const answer = await send("POST", "/api/users/refresh_token");
  if (answer.status === 200) return begin(answer.body, "Welcome back, " + answer.body.firstName + ". The cookie was enough.");
  if (answer.status === 400) localStorage.removeItem(STAYS);
  say(answer.body.error, false);
}
addEventListener("storage", event => {
  if (event.key !== STAYS) return;
  if (event.newValue && !tokens) resume();
  else if (!event.newValue && tokens && !tokens.refreshToken) leave("Another tab signed out.");
});
$("demo").onclick = () => { $("email").value = "anna@example.com"; $("password").value = "Tasks-demo-2026"; };
// Nothing is asked with the new pair before somebody wants it: it would count as used.
$("refresh").onclick = () => renew();
$("lose").onclick = () => renew(true);
$("use").onclick = async () => {
  if (await listTasks() && await listDevices()) say("You were let in: counter " + tokens.counter + " is used.");
};
$("steal").onclick = () => {
  hand("a copy of your pair", tokens);
  say("The thief holds a copy of your pair, counter " + tokens.counter + ". Nobody can see that yet.", false);
};
$("thief-refresh").onclick = async () => {
  const pair = loot;
  const answer = await buy(pair, " (thief)");
  if (answer.status === 400) return end("The thief", pair, answer);
  if (answer.status !== 200) return say(answer.body.error, false);
  hand("an answer", answer.body);
  say("The thief was answered: counter " + loot.counter + ". You hold counter " + tokens.counter + ", " +
    answers[tokens.counter] + ".", false);
};
$("thief-use").onclick = async () => {
  const pair = loot;
  const answer = await send("GET", "/api/tasks", null, pair, " (thief)");
  if (answer.body.errorCode === "A04") return end("The thief", pair, answer);
  if (answer.status !== 200) return say("The thief was refused. " + answer.body.error);
  say("The thief was let in and read " + answer.body.length + " tasks: counter " + pair.counter + " is used.", false);
};
$("sign-out").onclick = async () => {
  const answer = await call("POST", "/api/users/logout");
  if (answer.status === 204) leave("Both tokens of the session stopped working.", true);
};
$("another").onclick = async () => {
  const answer = await send("POST", "/api/users/login", credentials);
  if (answer.status !== 200) return say(answer.body.error, false);
  say("Another session was opened, as by a second browser.");
  await listDevices();
};
$("add").onsubmit = async submit => {
  submit.preventDefault();
  const answer = await call("POST", "/api/tasks", { name: $("name").value });
  if (answer.status === 201) { $("name").value = ""; say("Added."); await listTasks(); }
};
if (localStorage.getItem(STAYS)) resume();
