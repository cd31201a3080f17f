// Run by test_client_js.py: node --test, against the service at TASKS_URL whose access tokens live for a second.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { beforeEach, test } from "node:test";
import { SignedOut, Tasks } from "../../examples/client.js";

const url = process.env.TASKS_URL, password = "correct horse battery";
const real = globalThis.fetch;
const runOut = () => new Promise(resolve => setTimeout(resolve, 2100));
let sent, lose, store, tasks, email;

globalThis.fetch = async (address, options) => {
  sent.push(address.slice(url.length));
  const answer = await real(address, options);
  if (address.endsWith("refresh_token") && lose-- > 0) throw new TypeError("the line broke");
  return answer;
};

class Store {
  async load() { return this.value; }
  async save(value) { this.value = value; }
}

beforeEach(async () => {
  [sent, lose, store, email] = [[], 0, new Store(), `${randomUUID()}@example.com`];
  const names = { email, password, confirmPassword: password, firstName: "A", lastName: "B" };
  await real(`${url}/api/users/signup`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(names),
  });
  tasks = new Tasks(url, { store });
  await tasks.logIn(email, password);
  sent.length = 0;
});

const refreshes = () => sent.filter(path => path.endsWith("refresh_token")).length;

test("an access token that has run out is renewed, and the request repeated once", async () => {
  const first = store.value;
  await runOut();
  assert.deepEqual(await tasks.call("GET", "/api/tasks"), []);
  assert.deepEqual(sent, ["/api/tasks", "/api/users/refresh_token", "/api/tasks"]);
  assert.notEqual(store.value, first);
});

test("calls at once share one refresh", async () => {
  await runOut();
  await Promise.all(Array.from({ length: 8 }, (_, n) => tasks.call("POST", "/api/tasks", { name: `${n}` })));
  assert.equal(refreshes(), 1);
});

test("a lost answer is asked for again, and after a restart too", async () => {
  await runOut();
  lose = 2;
  assert.deepEqual(await tasks.call("GET", "/api/tasks"), []);
  assert.equal(refreshes(), 3);
  await runOut();
  lose = 3;
  await assert.rejects(tasks.call("GET", "/api/tasks"), TypeError);
  assert.deepEqual(await new Tasks(url, { store }).call("GET", "/api/tasks"), []);
});

test("a session that is over is said, and forgotten", async () => {
  let told = 0;
  const other = new Tasks(url, { store: new Store() });
  await other.logIn(email, password);
  await other.call("DELETE", "/api/users/sessions");
  tasks = new Tasks(url, { store, onSignedOut: () => { told++; } });
  await assert.rejects(tasks.call("GET", "/api/tasks"), SignedOut);
  assert.deepEqual([told, store.value], [1, null]);
});

test("a logout ends the session", async () => {
  const copy = Object.assign(new Store(), { value: store.value });
  await tasks.logOut();
  assert.equal(store.value, null);
  await assert.rejects(new Tasks(url, { store: copy }).call("GET", "/api/tasks"), SignedOut);
});

test("a refusal has a code and a sentence", async () => {
  await assert.rejects(tasks.call("GET", "/api/tasks/77"), { code: "T01", message: "You have no task with this id." });
  await assert.rejects(tasks.logIn(email, "wrong password"), { code: "L02" });
});
