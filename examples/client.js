// A client of the Tasks API that stays signed in, for browsers and Node, without dependencies. Types are in client.d.ts.
//
//     const tasks = new Tasks("http://localhost:5217");
//     await tasks.logIn("anna@example.com", "Tasks-demo-2026");
//     await tasks.call("GET", "/api/tasks");
//
// In a browser the refresh token is in a cookie that scripts cannot read, and all tabs share it. Elsewhere pass a store:
// its load() returns what its save(tokens) was given last. The rules for every client, which docs/tokens.md explains:
//
// - One refresh at a time, in all tabs. Read the store again first, because another process may have refreshed.
// - Every request has a time limit. After a lost answer the old tokens are still stored, and ask again.
// - Store the new tokens before you use them.
// - After any 401 refresh once and repeat the request once.
// - Send the user's id with each refresh. If another user has signed in meanwhile, this client is signed out.

/** There is no session. The user has to log in. */
export class SignedOut extends Error {}

/** The service refused: `code` is its errorCode, the message is for people. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem?.error ?? `status ${status}`);
    this.status = status;
    this.code = problem?.errorCode ?? "";
  }
}

/** AbortSignal.timeout, which React Native and iOS before 16 do not have. */
function timeLimit(milliseconds) {
  if (AbortSignal.timeout) return AbortSignal.timeout(milliseconds);
  const controller = new AbortController();
  setTimeout(() => controller.abort(), milliseconds).unref?.(); // Node need not wait for it
  return controller.signal;
}

export class Tasks {
  #url; #store; #onSignedOut; #limit; #lock; #tabs;
  #tokens = null; #userId; #refreshing = null; #turn = Promise.resolve();

  constructor(url, { store, onSignedOut = () => {}, seconds = 10, lock = `tasks-api ${url}` } = {}) {
    this.#url = url.replace(/\/$/, "");
    this.#store = store;
    this.#onSignedOut = onSignedOut;
    this.#limit = 1000 * seconds;
    this.#lock = lock;
    if (store) return;
    const page = globalThis.location;
    const { protocol, hostname } = new URL(url, page?.href);
    if (!page || (protocol === "http:" && !["localhost", "127.0.0.1", "[::1]"].includes(hostname)))
      throw new Error("The cookie needs a browser, and https unless the service is at localhost. Or pass a store.");
    this.#tabs = new BroadcastChannel(lock);
    this.#tabs.onmessage = ({ data }) => {
      if (!this.#tokens || data === this.#userId) return;
      this.#end(data ? "Another user has signed in." : "Another tab has signed out.");
    };
  }

  async logIn(email, password) {
    const body = { email, password, cookie: !this.#store };
    await this.#alone(async () => this.#keep(await this.#json(await this.#send("POST", "/api/users/login", body))));
    this.#tabs?.postMessage(this.#userId);
  }

  async logOut() {
    await this.#alone(async () => {
      // With an access token that has expired the service would end the cookie's session, whose user may be another.
      const { accessToken } = await this.#exchange(await this.#load());
      await this.#json(await this.#send("POST", "/api/users/logout", undefined, accessToken));
      await this.#store?.save(null);
    });
    this.#tabs?.postMessage(null);
    this.#end("Signed out.");
  }

  async call(method, path, body) {
    const { accessToken } = this.#tokens ?? await this.#refreshed();
    let answer = await this.#send(method, path, body, accessToken);
    if (answer.status === 401)
      answer = await this.#send(method, path, body, (await this.#refreshed(accessToken)).accessToken);
    const found = await this.#json(answer);
    if (found?.accessToken) await this.#alone(() => this.#keep(found)); // a new password opened a new session
    return found;
  }

  async accessToken(refused) {
    const now = this.#tokens;
    if (now && now.accessToken !== refused && Date.now() < now.expiresAt) return now.accessToken;
    await this.#refreshed(now?.accessToken);
    await this.call("GET", "/api/users/info"); // or the service could take these tokens for lost
    return this.#tokens.accessToken;
  }

  /** Tokens in place of `stale`: new ones, or those that another call, tab or process has got. */
  #refreshed(stale) {
    if (this.#tokens && this.#tokens.accessToken !== stale) return this.#tokens;
    return this.#refreshing ??= this.#alone(async () => {
      const kept = await this.#load();
      if (kept.accessToken && kept.accessToken !== stale) return this.#tokens = kept;
      return this.#exchange(kept);
    }).finally(() => { this.#refreshing = null; });
  }

  async #exchange({ refreshToken, userId }) {
    for (let tries = 1; ; tries++) {
      try {
        const answer = await this.#send("POST", "/api/users/refresh_token", { refreshToken, userId });
        return await this.#keep(await this.#json(answer));
      } catch (error) {
        if (["invalid_grant", "R01"].includes(error.code)) { // R01: there is no cookie
          await this.#store?.save(null);
          throw this.#end("The session is over, or another user has signed in.");
        }
        if (error.status < 500 || tries === 3) throw error; // without status: the answer was lost
        await new Promise(resolve => setTimeout(resolve, 200 * tries));
      }
    }
  }

  /** Wait for other tabs. Without locks (plain http, older Node) wait for the other calls of this client only. */
  async #alone(action) {
    const locks = globalThis.navigator?.locks;
    let isMine = false;
    const run = () => { isMine = true; return action(); };
    try {
      // The time limit is for a tab that was frozen while it had the lock.
      if (locks) return await locks.request(this.#lock, { signal: timeLimit(6 * this.#limit) }, run);
    } catch (error) {
      if (isMine || error.name !== "SecurityError") throw error; // a frame in a sandbox may not use locks
    }
    const turn = this.#turn.then(action);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #load() {
    const kept = this.#store ? await this.#store.load() : { userId: this.#userId };
    if (!kept) throw this.#end("The session is over.");
    if (this.#userId && kept.userId !== this.#userId) throw this.#end("Another user has signed in.");
    this.#userId = kept.userId;
    return kept;
  }

  async #keep(tokens) {
    const kept = { ...tokens, expiresAt: Date.now() + 1000 * tokens.expiresIn };
    await this.#store?.save(kept);
    this.#userId = kept.userId;
    return this.#tokens = kept;
  }

  #end(why) {
    this.#tokens = null;
    const error = new SignedOut(why);
    this.#onSignedOut(error);
    return error;
  }

  #send(method, path, body, access) {
    const headers = body ? { "Content-Type": "application/json" } : {};
    if (access) headers.Authorization = `Bearer ${access}`;
    return fetch(this.#url + path, {
      method, headers, body: body && JSON.stringify(body),
      credentials: this.#store ? "omit" : "include", signal: timeLimit(this.#limit),
    });
  }

  async #json(answer) {
    const text = await answer.text();
    const isJson = (answer.headers.get("Content-Type") ?? "").includes("json");
    const found = isJson && text ? JSON.parse(text) : null;
    if (answer.ok && (isJson || !text)) return found;
    throw new ApiError(answer.status, found);
  }
}
