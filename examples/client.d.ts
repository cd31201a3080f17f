/** What a store keeps: the answer to a login or a refresh, and when its access token expires (as `Date.now()` counts). */
export interface Tokens {
  accessToken: string;
  refreshToken: string | null;
  userId: number;
  firstName: string;
  tokenType: "Bearer";
  expiresIn: number;
  expiresAt: number;
}

/** Where tokens are kept outside browsers. `load` returns what `save` was given last; null is no session. */
export interface Store {
  load(): Tokens | null | Promise<Tokens | null>;
  save(tokens: Tokens | null): void | Promise<void>;
}

export interface Options {
  /** Instead of the cookie. */
  store?: Store;
  /** Called when there is no session any more. The error's message says why. */
  onSignedOut?: (why: SignedOut) => void;
  /** The time limit of each request; 10 by default. */
  seconds?: number;
  /** Clients that share a store share this name; by default the clients of one url do. */
  lock?: string;
}

/** There is no session. The user has to log in. */
export class SignedOut extends Error {}

/** The service refused: `code` is its errorCode, the message is for people. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
}

export class Tasks {
  constructor(url: string, options?: Options);

  /** Open a session. */
  logIn(email: string, password: string): Promise<void>;

  /** End the session, in all tabs. Throws SignedOut if there is none. */
  logOut(): Promise<void>;

  /** Return the service's answer. Throws ApiError if it refuses, SignedOut if there is no session. */
  call<T = unknown>(method: string, path: string, body?: object): Promise<T>;

  /** Return an access token for a second service. Name the one that the second service refused to get another. */
  accessToken(refused?: string): Promise<string>;
}
