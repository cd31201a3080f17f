// node play_in_node.mjs URL STORE: plays the command in each line of the input, and prints a line for each outcome.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { player } from "./play.mjs";

// As in a sandboxed frame, which may not use locks, and in React Native, which has no AbortSignal.timeout.
const request = () => Promise.reject(new DOMException("denied", "SecurityError"));
Object.defineProperty(globalThis, "navigator", { value: { locks: { request } } });
delete AbortSignal.timeout;
const [url, file] = process.argv.slice(2);
const store = {
  load: () => existsSync(file) ? JSON.parse(readFileSync(file)) : null,
  save: tokens => writeFileSync(file, JSON.stringify(tokens), { mode: 0o600 }),
};
const play = player(url, { store });
createInterface({ input: process.stdin }).on("line", async line => {
  console.log(JSON.stringify(await play(JSON.parse(line))));
});
