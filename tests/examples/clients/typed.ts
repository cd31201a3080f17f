// What TypeScript knows of examples/client.js.
import { ApiError, SignedOut, Tasks, type Store, type Tokens } from "./client.js";

const [url, email, password] = process.argv.slice(2) as [string, string, string];
let kept: Tokens | null = null;
const store: Store = { load: () => kept, save: tokens => { kept = tokens; } };
const onSignedOut = (why: SignedOut) => console.log(why.message);
const tasks = new Tasks(url, { store, onSignedOut, seconds: 3, lock: "typed" });
await tasks.logIn(email, password);
const added = await tasks.call<{ name: string }>("POST", "/api/tasks", { name: "typed" });
const token: string = await tasks.accessToken();
const refused = await tasks.call("GET", "/api/tasks/0").catch((error: ApiError) => [error.status, error.code]);
console.log(JSON.stringify([added.name, await tasks.accessToken(token) !== token, refused]));
await tasks.logOut();
