/** What is sent beside the commands themselves: keys, tokens, participants, several sessions. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { SyncKairosClient } from '../../../web/synckairos.js';
import { A, B, S, Server, World } from './virtual.mjs';

const C = '33333333-3333-4333-8333-333333333333';
let world, server, client;

function connect(options = {}) {
  client = new SyncKairosClient({
    baseUrl: 'http://x',
    fetch: server.fetch,
    now: world.now,
    ...options,
  });
}

beforeEach(() => {
  world = new World();
  server = new Server(world);
  server.idempotent = true;
  server.create({
    session_id: S,
    participants: [A, B].map((participant_id, participant_index) => ({
      participant_id,
      participant_index,
      total_time_ms: 60000,
    })),
  });
  connect();
});
afterEach(() => world.close());

const done = (promise) => world.done(promise);
const rejected = (promise) => world.rejected(promise);

const keys = () => server.requests.map((r) => r.headers['Idempotency-Key']).filter(Boolean);

test('a repeated command carries the key of its first try, and gets its first answer', async () => {
  await done(client.start(S));
  server.requests = [];
  server.faults = ['answer', 503];
  const pending = client.switch(S);
  await world.run(20);
  server.apply('switch'); // B hands back meanwhile
  const mine = await done(pending);
  assert.equal(mine.active_participant_id, B, 'the answer that was lost');
  assert.equal(new Set(keys()).size, 1);
  assert.equal(keys().length, 3);
  assert.equal(server.requests.length, 3, 'nothing had to be read');
  assert.deepEqual(server.applied, ['start', 'switch', 'switch']);
});

test('each command has a key of its own, and so has one that is aimed again', async () => {
  await done(client.start(S));
  server.apply('switch');
  server.apply('switch');
  server.requests = [];
  await done(client.pause(S)); // known here: version 2
  await done(client.resume(S));
  const posts = server.requests.filter((r) => r.method === 'POST');
  assert.deepEqual(
    posts.map((r) => r.body.expected_version),
    [2, 4, 5],
  );
  assert.equal(new Set(keys()).size, 3);
  for (const one of keys()) assert.match(one, /^[\x21-\x7e]{1,255}$/);
});

test("the caller's own key is used, and the command is never exchanged", async () => {
  await done(client.start(S, { idempotencyKey: 'button-7' }));
  assert.deepEqual(keys(), ['button-7']);
  server.apply('switch');
  const e = await rejected(client.pause(S, { idempotencyKey: 'button-8' }));
  assert.equal(e.code, 'CONFLICT');
  assert.deepEqual(server.applied, ['start', 'switch']);
});

test('create is repeated with its key: the session of the first try, started since', async () => {
  server.state = null;
  server.faults = [() => server.apply('start')];
  let first = true;
  connect({
    fetch: async (...args) => {
      const answer = await server.fetch(...args);
      if (!first) return answer;
      first = false;
      throw new TypeError('fetch failed');
    },
  });
  const participants = [{ participant_id: A, participant_index: 0, total_time_ms: 5000 }];
  const made = await done(
    client.create({ session_id: S, sync_mode: 'per_participant', total_time_ms: 5000, participants }),
  );
  assert.equal(made.status, 'pending', 'as it was made');
  assert.equal(new Set(keys()).size, 1);
});

test('return=minimal: asked for, passed on, and the next command knows its version', async () => {
  const whole = server.fetch;
  connect({
    fetch: async (url, options) => {
      const answer = await whole(url, options);
      if (options.headers.Prefer !== 'return=minimal') return answer;
      const { data } = JSON.parse(await answer.text());
      delete data.participants;
      return { ...answer, text: async () => JSON.stringify({ data }) };
    },
  });
  await done(client.get(S));
  const started = await done(client.start(S, { minimal: true }));
  assert.equal(started.participants, undefined);
  assert.equal(started.version, 2);
  await done(client.pause(S, { minimal: true }));
  assert.deepEqual(
    server.requests.filter((r) => r.method === 'POST').map((r) => r.body.expected_version),
    [1, 2],
  );
  assert.equal((await done(client.resume(S))).participants.length, 2);
});

test('a repeated answer without the participants is read whole', async () => {
  await done(client.start(S));
  const whole = server.fetch;
  let posts = 0;
  connect({
    fetch: async (url, options) => {
      const answer = await whole(url, options);
      if (options.method !== 'POST' || ++posts > 1) return answer;
      const { data } = JSON.parse(await answer.text());
      delete data.participants;
      return { ...answer, text: async () => JSON.stringify({ data }) };
    },
  });
  const paused = await done(client.pause(S));
  assert.equal(paused.participants.length, 2);
  assert.equal(paused.status, 'paused');
});

test('participants are added, adjusted and removed, each once though answers get lost', async () => {
  await done(client.start(S));
  server.applied = [];
  server.faults = ['answer', undefined, 'answer', undefined, 'answer'];
  const added = await done(
    client.addParticipant(S, { participant_id: C, total_time_ms: 30000, participant_index: 2 }),
  );
  assert.equal(added.participants[2].participant_id, C);
  const moved = await done(client.adjust(S, C, { add_ms: 5000, reason: 'a late bus' }));
  assert.equal(moved.participants[2].total_time_ms, 35000);
  const left = await done(client.removeParticipant(S, C));
  assert.equal(left.participants[2].out, 'removed');
  assert.deepEqual(server.applied, ['POST', 'PATCH', 'DELETE']);
  const patch = server.requests.find((r) => r.method === 'PATCH');
  assert.equal(patch.path, `/v1/sessions/${S}/participants/${C}`);
  assert.deepEqual(patch.body, { add_ms: 5000, reason: 'a late bus', expected_version: 3 });
});

test('an adjustment meets a change of somebody else: aimed again', async () => {
  await done(client.start(S));
  server.apply('switch');
  const state = await done(client.adjust(S, A, { add_ms: 1000, reason: 'noise' }));
  assert.equal(state.participants[0].total_time_ms, 61000);
});

test('the active one is not removed: told at once, though it is a 409', async () => {
  await done(client.start(S));
  server.requests = [];
  assert.equal((await rejected(client.removeParticipant(S, A))).code, 'CONFLICT');
  assert.equal(server.requests.filter((r) => r.method === 'DELETE').length, 1);
});

test('poll: null while nothing is new', async () => {
  server.current = true;
  await done(client.get(S));
  assert.equal(await done(client.poll(S)), null);
  const { search } = server.requests.at(-1);
  assert.equal(search, `?since_version=1&epoch=${server.state.epoch}`);
  server.current = false;
  server.apply('start');
  assert.equal((await done(client.poll(S))).version, 2);
  connect();
  await done(client.poll(S));
  assert.equal(server.requests.at(-1).search, '?since_version=0');
});

test('batch: the states are known afterwards', async () => {
  const { sessions, missing } = await done(client.batch([S, A]));
  assert.deepEqual([sessions[0].session_id, missing], [S, [A]]);
  assert.deepEqual(server.requests.at(-1).body, { session_ids: [S, A] });
  server.requests = [];
  await done(client.start(S));
  assert.equal(server.requests.length, 1, 'nothing had to be read');
});

test('list and events: their questions', async () => {
  const asked = [];
  connect({
    fetch: async (url) => {
      asked.push(url);
      const body = { data: { sessions: [], events: [] } };
      return { ok: true, status: 200, headers: { get: () => null }, text: async () => JSON.stringify(body) };
    },
  });
  assert.deepEqual((await done(client.list())).sessions, []);
  await done(client.list({ status: 'running', limit: 5, cursor: 'a b' }));
  assert.deepEqual((await done(client.events(S, { limit: 200 }))).events, []);
  assert.deepEqual(asked, [
    'http://x/v1/sessions',
    'http://x/v1/sessions?status=running&limit=5&cursor=a+b',
    `http://x/v1/sessions/${S}/events?limit=200`,
  ]);
});

test('a token goes with every request, a fresh one where it is made anew', async () => {
  connect({ token: 'abc' });
  await done(client.get(S));
  assert.equal(server.requests.at(-1).headers.Authorization, 'Bearer abc');
  let n = 0;
  connect({ token: async () => `t${++n}` });
  await done(client.get(S));
  await done(client.get(S));
  assert.deepEqual(
    server.requests.slice(-2).map((r) => r.headers.Authorization),
    ['Bearer t1', 'Bearer t2'],
  );
  connect();
  await done(client.get(S));
  assert.ok(!('Authorization' in server.requests.at(-1).headers));
});

/** A watch on `known`, which hears nothing, and the answer to a switch `ms` after T0. */
async function switched(known, ms, answer = {}) {
  const T0 = Date.UTC(2026, 10, 22, 12);
  const iso = (at) => new Date(T0 + at).toISOString();
  const base = {
    session_id: S,
    status: 'running',
    version: 2,
    epoch: 'e.1',
    cycle_number: 1,
    cycle_started_at: iso(0),
    server_time: iso(0),
    participants: [],
    active_participant_id: null,
    ...known,
  };
  const part = {
    session_id: S,
    epoch: 'e.1',
    status: 'running',
    version: 3,
    cycle_number: 2,
    participants: base.participants,
    active_participant_id: base.active_participant_id,
    cycle_started_at: iso(ms),
    server_time: iso(ms + 10),
    ...answer,
  };
  connect({
    WebSocket: class {
      close() {}
    },
    fetch: async (url, { method }) => ({
      ok: true,
      status: 200,
      headers: { get: () => null },
      text: async () => JSON.stringify({ data: method === 'GET' ? base : part }),
    }),
  });
  await done(client.get(S));
  const watch = client.watch(S);
  const states = [];
  watch.on('state', (state) => states.push(state));
  await done(client.switch(S));
  client.close();
  return states.find((state) => state.version === 3);
}

test('the answer of a switch leaves the clock of the whole session true', async () => {
  const exam = await switched({ sync_mode: 'global', time_remaining_ms: 60000 }, 5000);
  assert.equal(exam.time_remaining_ms, 54990);
  assert.equal(exam.updated_at, exam.server_time);
  const run = await switched(
    { sync_mode: 'count_up', time_elapsed_ms: 1000, time_remaining_ms: 9000 },
    5000,
  );
  assert.deepEqual([run.time_elapsed_ms, run.time_remaining_ms], [6010, 3990]);
  const quiz = await switched(
    { sync_mode: 'per_cycle', time_per_cycle_ms: 20000, time_remaining_ms: 20000 },
    5000,
  );
  assert.equal(quiz.time_remaining_ms, 19990, 'a new turn');
});

test('the answer of a switch leaves the clocks of the groups true', async () => {
  const [red, blue] = ['e1', 'e2'].map((x) => `${x}${A.slice(2)}`);
  const group = (group_id, member) => ({
    group_id,
    members: [member],
    total_time_ms: 60000,
    time_remaining_ms: 60000,
  });
  const player = (participant_id, group_id, time_remaining_ms) => ({
    participant_id,
    group_id,
    time_remaining_ms,
    total_time_ms: 60000,
  });
  const state = await switched(
    {
      sync_mode: 'per_group',
      groups: [group(red, A), group(blue, B)],
      active_group_id: red,
      active_participant_id: A,
      participants: [player(A, red, 60000), player(B, blue, 60000)],
    },
    5000,
    {
      active_participant_id: B,
      participants: [player(A, red, 55000), player(B, blue, 59990)],
    },
  );
  assert.equal(state.active_group_id, blue);
  assert.deepEqual(
    state.groups.map((g) => [g.time_remaining_ms, g.total_time_ms]),
    [
      [55000, 55000],
      [59990, 60000],
    ],
  );
});
