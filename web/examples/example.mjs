/**
 * example.mjs - what the examples share: a client, names for participants, a deadline, and an
 * exit status that is 0 only when everything that was expected has happened.
 *
 *   node web/examples/chess.mjs [http://localhost:3000]
 *
 * SYNCKAIROS_TOKEN in the environment is the JSON Web Token, where the server wants one.
 *
 * Node from version 18 on; before version 22 with the package ws (Debian: node-ws), as Node has
 * no WebSocket of its own there.
 */

import { createRequire } from 'node:module';
import { webcrypto } from 'node:crypto';
import { SyncKairosClient, uuid } from '../synckairos.js';

globalThis.crypto ??= webcrypto; // a global only since Node 20

const PATIENCE_MS = 30000;

function findWebSocket() {
  if (globalThis.WebSocket) return globalThis.WebSocket;
  const require = createRequire(import.meta.url);
  for (const place of ['ws', '/usr/share/nodejs/ws']) {
    try {
      return require(place);
    } catch {
      // the next one
    }
  }
  throw new Error('This Node has no WebSocket: install the package ws (Debian: node-ws)');
}

/** Something that has to be true. */
export function expect(truth, what) {
  if (!truth) throw new Error(`expected: ${what}`);
}

/** One line of output, with the seconds since the beginning. */
export function say(text) {
  console.log(`${(performance.now() / 1000).toFixed(1).padStart(5)} s  ${text}`);
}

export const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** People for a create body, and their names by id. */
export function people(names, ms, more = () => ({})) {
  const participants = names.map((_, k) => ({
    participant_id: uuid(),
    participant_index: k,
    total_time_ms: ms,
    ...more(k),
  }));
  const byId = new Map(participants.map((p, k) => [p.participant_id, names[k]]));
  return {
    participants,
    id: (name) => participants[names.indexOf(name)].participant_id,
    name: (id) => byId.get(id),
  };
}

/** The first state of a watch, from now on or the present one, of which `what` is true. */
export function until(watch, what) {
  if (watch.state && what(watch.state)) return Promise.resolve(watch.state);
  return new Promise((done) => {
    const stop = watch.on('state', (state) => {
      if (!what(state)) return;
      stop();
      done(state);
    });
  });
}

/** The next event of a watch. Ask for it before what causes it. */
export function next(watch, event) {
  return new Promise((done) => {
    const stop = watch.on(event, (info) => {
      stop();
      done(info);
    });
  });
}

/** Run an example: run(client); options are the client's. */
export async function example(run, options = {}) {
  const timer = setTimeout(() => {
    console.error('it takes too long: given up');
    process.exit(1);
  }, PATIENCE_MS);
  try {
    const baseUrl = process.argv[2] ?? 'http://localhost:3000';
    const token = process.env.SYNCKAIROS_TOKEN;
    const WebSocket = findWebSocket();
    const client = new SyncKairosClient({ baseUrl, WebSocket, token, ...options });
    try {
      await run(client);
    } finally {
      client.close();
    }
  } catch (e) {
    console.error(e.message ?? e);
    process.exitCode = 1;
  } finally {
    clearTimeout(timer);
  }
}
