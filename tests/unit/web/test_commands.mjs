/** Requests that get lost: nothing happens twice, and the answer says what is true. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { SyncKairosClient, uuid } from '../../../web/synckairos.js';
import { A, B, S, Server, World } from './virtual.mjs';

let world, server, client;
const params = {
  session_id: S,
  sync_mode: 'per_participant',
  total_time_ms: 120000,
  participants: [A, B].map((participant_id, participant_index) => ({
    participant_id,
    participant_index,
    total_time_ms: 60000,
  })),
};

beforeEach(() => {
  world = new World();
  server = new Server(world);
  client = new SyncKairosClient({ baseUrl: 'http://x/', fetch: server.fetch, now: world.now });
});
afterEach(() => world.close());

const done = (promise) => world.done(promise);
const rejected = (promise) => world.rejected(promise);

async function running() {
  await done(client.create(params));
  await done(client.start(S));
  server.applied = [];
  server.requests = [];
}

test('a plain game: guards on every command', async () => {
  await running();
  await done(client.switch(S));
  assert.deepEqual(server.requests.at(-1).body, {
    expected_version: 2,
    current_participant_id: A,
  });
  await done(client.switch(S, { nextParticipantId: A }));
  assert.deepEqual(server.requests.at(-1).body, {
    expected_version: 3,
    current_participant_id: B,
    next_participant_id: A,
  });
  await done(client.pause(S));
  await done(client.resume(S));
  const end = await done(client.complete(S));
  assert.equal(end.status, 'completed');
  assert.equal(end.version, 7);
  assert.equal(server.requests.length, 5, 'nothing was read in between');
  await done(client.delete(S));
  assert.equal((await rejected(client.get(S))).code, 'SESSION_NOT_FOUND');
});

for (const [verb, from] of [
  ['switch', []],
  ['pause', []],
  ['resume', ['pause']],
  ['complete', []],
  ['cancel', []],
]) {
  for (const fault of ['request', 'answer', 503]) {
    test(`${verb}, ${fault} lost: once`, async () => {
      await running();
      for (const before of from) await done(client[before](S));
      server.applied = [];
      server.faults = [fault, fault, fault === 'answer' ? 'request' : fault];
      const state = await done(client[verb](S));
      assert.deepEqual(server.applied, [verb]);
      assert.equal(state.version, server.state.version);
    });
  }
}

test('start, answer lost: once', async () => {
  await done(client.create(params));
  server.faults = ['answer'];
  const state = await done(client.start(S));
  assert.equal(state.status, 'running');
  assert.deepEqual(server.applied, ['create', 'start']);
});

test('create, answer lost: the same session', async () => {
  server.faults = ['answer', 'answer'];
  const { session_id: _, ...anonymous } = params;
  const state = await done(client.create(anonymous));
  assert.deepEqual(server.applied, ['create']);
  assert.equal(state.session_id, server.state.session_id);
});

test('create, answer lost and started since: still ours, the id was random', async () => {
  server.faults = [() => server.apply('start')];
  const lose = server.fetch;
  let first = true;
  client = new SyncKairosClient({
    baseUrl: 'http://x',
    now: world.now,
    fetch: async (...args) => {
      const answer = await lose(...args);
      if (!first) return answer;
      first = false;
      throw new TypeError('fetch failed');
    },
  });
  const { session_id: _, ...anonymous } = params;
  assert.equal((await done(client.create(anonymous))).status, 'running');
  first = true;
  const e = await rejected(client.create(params));
  assert.equal(e.code, 'SESSION_EXISTS', 'an id that others know may be theirs');
});

test('delete, answer lost: repeated', async () => {
  await running();
  server.faults = ['answer'];
  await done(client.delete(S));
  assert.equal(server.state, null);
});

test('switch, answer lost, the other one has moved since: not a second time', async () => {
  await running();
  server.faults = ['answer'];
  const pending = client.switch(S);
  await world.run(20);
  assert.equal(server.apply('switch'), null); // B hands back: A is active again
  const state = await done(pending);
  assert.equal(state.active_participant_id, A);
  assert.deepEqual(server.applied, ['switch', 'switch']);
});

test('switch, request lost, paused and resumed since: the turn is handed over', async () => {
  await running();
  server.faults = ['request'];
  const pending = client.switch(S);
  await world.run(8);
  server.apply('pause');
  server.apply('resume');
  const state = await done(pending);
  assert.deepEqual(server.applied, ['pause', 'resume', 'switch']);
  assert.equal(state.active_participant_id, B);
});

test('switch with a stale version: sent again while the turn is open', async () => {
  await running();
  server.apply('pause');
  server.apply('resume');
  const state = await done(client.switch(S));
  assert.equal(state.active_participant_id, B);
  assert.deepEqual(server.applied, ['pause', 'resume', 'switch']);
});

test('switch of a turn that is over: refused, and not taken from the other one', async () => {
  await running();
  server.apply('switch');
  const e = await rejected(client.switch(S));
  assert.equal(e.code, 'CONFLICT');
  assert.equal(e.status, 409);
  assert.equal(e.requestId, 'r1');
  assert.deepEqual(server.applied, ['switch']);
});

test('switch to somebody, answer lost, more has happened: it says unknown', async () => {
  await running();
  server.faults = ['answer'];
  const pending = client.switch(S, { nextParticipantId: B });
  await world.run(20);
  server.apply('switch');
  server.apply('switch'); // B is active again, but is it the turn that was meant?
  assert.equal((await rejected(pending)).code, 'OUTCOME_UNKNOWN');
  assert.deepEqual(server.applied, ['switch', 'switch', 'switch']);
});

test('pause, answer lost, resumed since: unknown, and not paused again', async () => {
  await running();
  server.faults = ['answer'];
  const pending = client.pause(S);
  await world.run(20);
  server.apply('resume');
  assert.equal((await rejected(pending)).code, 'OUTCOME_UNKNOWN');
  assert.equal(server.state.status, 'running');
});

test('resume, answer lost, paused again since: unknown, and that pause stands', async () => {
  await running();
  await done(client.pause(S));
  server.faults = ['answer'];
  const pending = client.resume(S);
  await world.run(20);
  server.apply('pause');
  assert.equal((await rejected(pending)).code, 'OUTCOME_UNKNOWN');
  assert.equal(server.state.status, 'paused');
});

test("the caller's own version is never exchanged", async () => {
  await running();
  server.apply('pause');
  server.apply('resume');
  const e = await rejected(client.switch(S, { expectedVersion: 2 }));
  assert.equal(e.code, 'CONFLICT');
  assert.deepEqual(server.applied, ['pause', 'resume']);
});

test('the store came back in a new life: the lost switch is still found', async () => {
  await running();
  server.faults = ['answer'];
  const pending = client.switch(S);
  await world.run(20);
  server.state.epoch = server.state.epoch.replace('000000001', '000000002');
  server.apply('pause');
  assert.equal((await done(pending)).active_participant_id, B);
});

test('another session under the same id: nothing is concluded from it', async () => {
  await running();
  server.faults = ['request'];
  const pending = client.switch(S);
  await world.run(8);
  server.apply('switch');
  server.state.epoch = '0gk3m9x1zzz-aaaa.000000001';
  assert.equal((await rejected(pending)).code, 'OUTCOME_UNKNOWN');
});

test('a lost command that was never possible is refused as such', async () => {
  await running();
  server.faults = ['answer'];
  assert.equal((await rejected(client.start(S))).code, 'INVALID_STATE_TRANSITION');
});

test("the caller's own version, request lost, the turn still open: refused", async () => {
  await running();
  server.faults = ['request'];
  const pending = client.switch(S, { expectedVersion: 2 });
  await world.run(8);
  server.apply('pause');
  server.apply('resume');
  assert.equal((await rejected(pending)).code, 'CONFLICT', 'it certainly has not happened');
});

test('a lost command for another version is not taken for what somebody did', async () => {
  await running();
  await done(client.pause(S));
  await done(client.resume(S));
  server.faults = ['request'];
  const pending = client.pause(S, { expectedVersion: 2 });
  await world.run(8);
  server.apply('pause');
  assert.equal((await rejected(pending)).code, 'OUTCOME_UNKNOWN');
});

test('a command that cannot work is refused at once', async () => {
  await running();
  assert.equal((await rejected(client.start(S))).code, 'INVALID_STATE_TRANSITION');
  assert.equal(server.requests.length, 1);
});

test('Retry-After is respected', async () => {
  await running();
  server.faults = [503];
  await done(client.switch(S));
  const [first, second] = server.requests.map((r) => r.at);
  assert.ok(second - first >= 1000, `${second - first} ms`);
});

test('a server that stays away: given up in bounded time, waits grow', async () => {
  await running();
  server.down = true;
  const before = world.now();
  const e = await rejected(client.switch(S));
  assert.equal(e.status, 0);
  assert.equal(e.code, 'NETWORK_ERROR');
  assert.ok(world.now() - before <= 16000);
  const gaps = server.requests.slice(1).map((r, i) => r.at - server.requests[i].at);
  assert.ok(gaps.length >= 5 && gaps.length <= 20, String(gaps));
  assert.ok(gaps[0] < 300 && gaps.at(-1) >= 1000, String(gaps));
});

test('an answer that never comes is lost after the time-out', async () => {
  let calls = 0;
  client = new SyncKairosClient({
    baseUrl: 'http://x',
    now: world.now,
    timeoutMs: 700,
    fetch: (url, options) =>
      ++calls > 1
        ? server.fetch(url, options)
        : new Promise((_, fail) => {
            options.signal.addEventListener('abort', () => fail(options.signal.reason));
          }),
  });
  server.create(params);
  assert.equal((await done(client.get(S))).version, 1);
  assert.equal(calls, 2);
});

test('429 is told, not repeated', async () => {
  const fetch = async () => ({
    ok: false,
    status: 429,
    headers: { get: (name) => (name === 'retry-after' ? '7' : null) },
    text: async () =>
      '{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"Too many","retry_after_seconds":7}}',
  });
  client = new SyncKairosClient({ baseUrl: 'http://x', fetch, now: world.now });
  const e = await rejected(client.get(S));
  assert.deepEqual([e.status, e.code, e.retryAfterMs], [429, 'RATE_LIMIT_EXCEEDED', 7000]);
});

test('an error page of a proxy is still an error with a code', async () => {
  let calls = 0;
  const fetch = async () => {
    calls += 1;
    return { ok: false, status: 403, headers: { get: () => null }, text: async () => '<html>' };
  };
  client = new SyncKairosClient({ baseUrl: 'http://x', fetch, now: world.now });
  assert.equal((await rejected(client.get(S))).code, 'HTTP_403');
  assert.equal(calls, 1);
});

test('a 200 that was cut off is a lost answer', async () => {
  let calls = 0;
  const fetch = async (...args) => {
    const whole = await server.fetch(...args);
    calls += 1;
    if (calls > 1) return whole;
    return { ...whole, text: async () => (await whole.text()).slice(0, 40) };
  };
  client = new SyncKairosClient({ baseUrl: 'http://x', fetch, now: world.now });
  server.create(params);
  assert.equal((await done(client.get(S))).session_id, S);
  assert.equal(calls, 2);
});

test('every answer measures the clock; time() measures it well', async () => {
  server.create(params);
  await done(client.get(S));
  assert.ok(client.clockError() < 10);
  assert.ok(Math.abs(client.serverNow() - world.serverNow()) <= client.clockError());
  await done(client.syncClock(3));
  assert.ok(Math.abs(client.serverNow() - world.serverNow()) <= client.clockError());
});

test('uuid() makes version 4 UUIDs', () => {
  const seen = new Set(Array.from({ length: 1000 }, uuid));
  assert.equal(seen.size, 1000);
  for (const id of seen)
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('who asked for it hears that a request is sent again, and why', async () => {
  const heard = [];
  client = new SyncKairosClient({
    baseUrl: 'http://x/',
    fetch: server.fetch,
    now: world.now,
    onRetry: (info) => heard.push(info),
  });
  server.faults = [503, 'answer'];
  await done(client.create(params));
  assert.deepEqual(
    heard.map(({ error }) => error.code),
    ['STORE_UNAVAILABLE', 'NETWORK_ERROR'],
  );
  assert.ok(heard[0].delayMs >= 1000 && heard[1].delayMs > 0);
  assert.deepEqual(server.applied, ['create']);
});
