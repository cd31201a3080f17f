// Plays commands on examples/client.js, for play.html and for play_in_node.mjs.
import { Tasks } from "../../examples/client.js";

class Player extends Tasks {
  #why = [];
  constructor(url, options) {
    super(url, { seconds: 5, ...options, onSignedOut: error => this.#why.push(error.message) });
  }
  async told() { return this.#why; }
  async wait(milliseconds) {
    const now = Date.now;
    Date.now = () => now() + milliseconds;
  }
  async visit(url) { new Tasks(url); }
}

/** A function that plays a command and returns its outcome: ["ok", value], or an error's name, message and code. */
export function player(url, options) {
  const tasks = new Player(url, options);
  return ([command, ...args]) => tasks[command](...args).then(
    value => ["ok", value ?? null],
    error => [error.constructor.name, error.message, error.code],
  );
}
