// A client of the Tasks API that stays signed in: silent refresh done right, in browsers and Node, without dependencies.
//
//     const tasks = new Tasks("http://localhost:5217");
//     await tasks.logIn("anna@example.com", "Tasks-demo-2026");
//     await tasks.call("GET", "/api/tasks");
//
// In a browser the refresh token is in a cookie that no script can read, and tabs take turns. In Node a store with load()
// and save(value) keeps it, or null. The access token is in memory only; when it has run out there is one refresh for
// all, and the request is repeated once. A lost answer is asked for again.

/** There is no session any more: somebody has to log in. */
export class SignedOut extends Error {}

export class Tasks {
  #url; #store; #onSignedOut; #tabs; #access = null; #refreshing = null;

  /** The API at `url`; `onSignedOut` is called when the session is over, by another tab too. */
  constructor(url, { store = null, onSignedOut = () => {} } = {}) {
    this.#url = url.replace(/\/$/, "");
    this.#store = store;
    this.#onSignedOut = onSignedOut;
    if (store) return;
    this.#tabs = new BroadcastChannel("tasks-api");
    this.#tabs.onmessage = () => this.#forget();
  }

  async logIn(email, password) {
    const answer = await this.#send("POST", "/api/users/login", { email, password, cookie: !this.#store });
    await this.#keep(await this.#json(answer));
  }

  async logOut() {
    await this.#refreshing?.catch(() => {});
    const body = this.#store ? { refreshToken: (await this.#store.load()) ?? "-" } : undefined;
    await this.#json(await this.#send("POST", "/api/users/logout", body, this.#store ? null : this.#access));
    await this.#end();
  }

  /** The answer, after a refresh if need be; throws SignedOut, and what is refused with its errorCode in `code`. */
  async call(method, path, body) {
    const used = this.#access ?? await this.#refreshed(null);
    let answer = await this.#send(method, path, body, used);
    if (answer.status === 401) answer = await this.#send(method, path, body, await this.#refreshed(used));
    return this.#json(answer);
  }

  /** A new access token in the place of `stale`: the one that another call got meanwhile, or that of a refresh. */
  #refreshed(stale) {
    if (this.#access !== stale) return this.#access;
    const turn = () => this.#store ? this.#refresh() : navigator.locks.request("tasks-api", () => this.#refresh());
    return this.#refreshing ??= turn().finally(() => { this.#refreshing = null; });
  }

  async #refresh() {
    for (let tried = 1; ; tried++) {
      const body = this.#store ? { refreshToken: (await this.#store.load()) ?? "-" } : undefined;
      try {
        const answer = await this.#send("POST", "/api/users/refresh_token", body);
        if (answer.status === 400) {
          await this.#end();
          throw new SignedOut("There is no session any more.");
        }
        return await this.#keep(await this.#json(answer)); // before anybody uses it
      } catch (error) { // a line that broke, 429, 503: the old token is still there, and asks again
        if (error instanceof SignedOut || tried === 3) throw error;
        await new Promise(resolve => setTimeout(resolve, 200 * tried));
      }
    }
  }

  async #keep(tokens) {
    await this.#store?.save(tokens.refreshToken);
    return this.#access = tokens.accessToken;
  }

  async #end() {
    await this.#store?.save(null);
    this.#tabs?.postMessage("signed out");
    this.#forget();
  }

  #forget() {
    this.#access = null;
    this.#onSignedOut();
  }

  #send(method, path, body, access) {
    const headers = body ? { "Content-Type": "application/json" } : {};
    if (access) headers.Authorization = `Bearer ${access}`;
    return fetch(this.#url + path, { method, headers, body: body && JSON.stringify(body), credentials: "include" });
  }

  async #json(answer) {
    const text = await answer.text();
    const found = (answer.headers.get("Content-Type") ?? "").includes("json") && text ? JSON.parse(text) : null;
    if (answer.ok) return found;
    throw Object.assign(new Error(found?.error ?? `status ${answer.status}`), { code: found?.errorCode ?? "" });
  }
}
