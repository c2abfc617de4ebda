/** Several sessions on one socket, what has changed instead of whole states, and tokens. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { SyncKairosClient } from '../../../web/synckairos.js';
import { A, B, S, Server, World, sockets } from './virtual.mjs';

const T = '6f1d2c3b-4a5e-4f60-8a7b-9c0d1e2f3a4c';
let world, server, all, client;

function setUp(options = {}) {
  client?.close();
  world?.close();
  world = new World();
  server = new Server(world);
  server.create({
    session_id: S,
    participants: [A, B].map((participant_id, participant_index) => ({
      participant_id,
      participant_index,
      total_time_ms: 60000,
    })),
  });
  all = sockets(world, server);
  client = new SyncKairosClient({
    baseUrl: 'http://x',
    fetch: server.fetch,
    WebSocket: all.Class,
    now: world.now,
    ...options,
  });
}
beforeEach(() => setUp());
afterEach(() => {
  client.close();
  world.close();
  [world, client] = [];
});

const sent = (type, socket = all.at(-1)) => socket.sent.filter((m) => m.type === type);
const other = (more = {}) => ({ ...server.shown(), session_id: T, ...more });
const id = (n) => `6f1d2c3b-4a5e-4f60-8a7b-${String(n).padStart(12, '0')}`;

function say(state, type = 'STATE_SYNC') {
  const { session_id: sessionId, epoch, version } = state;
  all.at(-1).push({ type, sessionId, epoch, version, state });
}

function hear(watch) {
  const log = [];
  for (const event of ['connected', 'disconnected', 'state', 'deleted', 'expired', 'error', 'store'])
    watch.on(event, (info) => log.push([event, info]));
  return log;
}

test('a second session joins the socket of the first one', async () => {
  const one = client.watch(S);
  const two = client.watch(T);
  const heard = hear(two);
  await world.run(100);
  assert.equal(all.length, 1);
  assert.deepEqual(sent('SUBSCRIBE'), [{ type: 'SUBSCRIBE', sessionId: T }]);
  say(other({ version: 7 }));
  assert.deepEqual([one.state.version, two.state.version], [1, 7]);
  const three = client.watch(id(3));
  const late = hear(three);
  await world.run(100);
  assert.equal(sent('SUBSCRIBE').at(-1).sessionId, id(3));
  assert.deepEqual(late[0], ['connected', { attempt: 0 }]);
  assert.equal(all.length, 1);
  all[0].push({ type: 'TIME_EXPIRED', sessionId: T, version: 8, epoch: server.state.epoch });
  assert.deepEqual(
    heard.map(([event]) => event),
    ['connected', 'state', 'expired'],
  );
});

test('one that is left is unsubscribed; the last one closes the socket', async () => {
  const one = client.watch(S);
  const two = client.watch(T);
  const again = client.watch(T);
  await world.run(100);
  two.close();
  assert.deepEqual(sent('UNSUBSCRIBE'), [], 'somebody still watches it');
  again.close();
  assert.deepEqual(sent('UNSUBSCRIBE'), [{ type: 'UNSUBSCRIBE', sessionId: T }]);
  assert.equal(again.connected, false);
  assert.equal(all[0].readyState, 1);
  one.close();
  assert.equal(all[0].readyState, 3);
  await world.run(60000);
  assert.equal(all.length, 1);
});

test('a socket that breaks comes back with all of its sessions', async () => {
  client.watch(S);
  const two = client.watch(T);
  await world.run(100);
  say(other());
  all[0].drop(1006, '');
  await world.run(1000);
  assert.equal(all.length, 2);
  assert.equal(all[1].url, `ws://x/ws?sessionId=${S}`);
  assert.deepEqual(sent('SUBSCRIBE'), [{ type: 'SUBSCRIBE', sessionId: T }]);
  assert.equal(two.connected, true);
});

test('a session that is deleted ends alone', async () => {
  const one = client.watch(S);
  const two = client.watch(T);
  const heard = hear(one);
  await world.run(100);
  all[0].push({ type: 'SESSION_DELETED', sessionId: S, version: 2 });
  assert.equal(heard.at(-1)[0], 'deleted');
  assert.deepEqual(sent('UNSUBSCRIBE'), [], 'the server has forgotten it');
  await world.run(5000);
  assert.deepEqual([all.length, two.connected, one.connected], [1, true, false]);
});

test('made again before its deletion is heard: subscribed anew', async () => {
  client.watch(S);
  const two = client.watch(T);
  await world.run(100);
  say(other({ epoch: '0gk3m9x9zzz-aaaa.000000001' }));
  all[0].push({ type: 'SESSION_DELETED', sessionId: T, epoch: server.state.epoch, version: 2 });
  assert.equal(sent('SUBSCRIBE').length, 2);
  assert.equal(two.state.epoch, '0gk3m9x9zzz-aaaa.000000001');
});

test('fifty sessions fill a socket, and no limit of messages is met', async () => {
  const watches = Array.from({ length: 51 }, (_, n) => client.watch(id(n)));
  await world.run(60000);
  assert.equal(all.length, 2);
  for (const socket of all) assert.ok(socket.sent.length < 100, `${socket.sent.length} messages`);
  watches[0].close();
  client.watch(id(99));
  await world.run(100);
  assert.equal(all.length, 2, 'the place that became free');
});

test('while no socket comes up, the states are read together', async () => {
  all.refuse = true;
  const one = client.watch(S);
  const two = client.watch(A);
  const heard = hear(two);
  await world.run(6000);
  const [batch] = server.requests.filter((r) => r.path.endsWith('/batch'));
  assert.deepEqual(batch.body, { session_ids: [S, A] });
  assert.equal(one.state.version, 1);
  const [, error] = heard.find(([event]) => event === 'error');
  assert.deepEqual([error.code, error.status], ['SESSION_NOT_FOUND', 404]);
});

test('RECONNECT says what is known; unchanged leaves it', async () => {
  const wake = {};
  globalThis.addEventListener = (event, listener) => (wake[event] = listener);
  globalThis.removeEventListener = (event) => delete wake[event];
  try {
    const one = client.watch(S);
    await world.run(5000);
    wake.online();
    const { version, epoch } = server.state;
    const asked = { type: 'RECONNECT', sessionId: S, last_known_version: version, epoch };
    assert.deepEqual(sent('RECONNECT'), [asked]);
    all[0].push({ type: 'STATE_SYNC', sessionId: S, version, epoch, unchanged: true });
    await world.run(20000);
    assert.equal(sent('RECONNECT').length, 1);
    assert.equal(one.state.version, 1);
    client.watch(T);
    await world.run(5000);
    wake.online();
    assert.deepEqual(sent('RECONNECT').at(-1), { type: 'RECONNECT' }, 'one for all');
  } finally {
    client.close();
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  }
});

/** The newest state as what is different from `before`. */
function delta(before, participants, changed, more = {}) {
  return {
    type: 'STATE_DELTA',
    sessionId: S,
    epoch: server.state.epoch,
    version: before + 1,
    previous_version: before,
    server_time: server.shown().server_time,
    changed,
    participants,
    groups: [],
    ...more,
  };
}

test('delta: asked for, and put together to the whole state', async () => {
  setUp({ delta: true });
  server.state.last_timeout = { version: 1, at: 'then', action: 'fold' };
  server.state.deadline_at = 'soon';
  const watch = client.watch(S);
  client.watch(T);
  await world.run(100);
  assert.equal(all[0].url, `ws://x/ws?sessionId=${S}&delta=1`);
  assert.deepEqual(sent('SUBSCRIBE'), [{ type: 'SUBSCRIBE', sessionId: T, delta: true }]);
  const a = { ...server.state.participants[0], total_time_ms: 5 };
  const fresh = { participant_id: T, total_time_ms: 7 };
  const changed = {
    status: 'running',
    deadline_at: null,
    active_participant_id: null,
    last_timeout: { version: 2, action: null },
  };
  all[0].push(delta(1, [a, fresh], changed));
  const { state } = watch;
  assert.deepEqual([state.version, state.status, state.active_participant_id], [2, 'running', null]);
  assert.ok(!('deadline_at' in state) && state.session_id === S);
  assert.deepEqual(state.last_timeout, { version: 2, at: 'then' });
  assert.deepEqual(
    state.participants.map((p) => [p.participant_id, p.total_time_ms]),
    [
      [A, 5],
      [B, 60000],
      [T, 7],
    ],
  );
  all[0].push(delta(1, [], { status: 'paused' }));
  assert.equal(watch.state.status, 'running', 'heard twice');
});

test('delta: a gap is asked about, another life too', async () => {
  setUp({ delta: true });
  const watch = client.watch(S);
  await world.run(100);
  all[0].push(delta(2, [], { status: 'paused' }));
  assert.equal(watch.state.version, 1);
  assert.deepEqual(sent('RECONNECT'), [{ type: 'RECONNECT', sessionId: S }]);
  all[0].push(delta(1, [], { status: 'paused' }, { epoch: '0gk3m9x9zzz-aaaa.000000001' }));
  assert.equal(watch.state.status, 'pending');
  assert.equal(sent('RECONNECT').length, 2);
});

test('delta: goes on the whole state, not on the part that a switch has answered', async () => {
  setUp({ delta: true });
  server.apply('start');
  const watch = client.watch(S);
  await world.run(100);
  const shown = server.shown.bind(server);
  server.shown = () => {
    const { sync_mode: _, ...part } = shown();
    return part;
  };
  const reply = client.switch(S);
  await world.run(100);
  await reply;
  assert.equal(watch.state.version, 3);
  const changed = { active_participant_id: B, cycle_number: 2, deadline_at: 'later' };
  all[0].push(delta(2, server.state.participants, changed));
  assert.equal(watch.state.deadline_at, 'later', 'completed by the push');
  assert.deepEqual(sent('RECONNECT'), []);
});

/** As setUp, with 65 participants; a switch that prefers it is answered without them. */
async function setUpLarge(options) {
  setUp(options);
  const more = Array.from({ length: 63 }, (_, k) => ({ ...server.state.participants[0], participant_id: id(k) }));
  server.state.participants.push(...more);
  server.apply('start');
  const shown = server.shown.bind(server);
  server.shown = () => {
    const { participants, sync_mode, ...part } = shown();
    const { method, headers } = server.requests.at(-1) ?? {};
    return method === 'POST' && headers.Prefer ? part : { ...part, participants, sync_mode };
  };
  const watch = client.watch(S);
  await world.run(100);
  return watch;
}

const switched = () => delta(2, [], { active_participant_id: B, cycle_number: 2 });

test('a large session is followed by its changes, without being told to', async () => {
  const watch = await setUpLarge();
  assert.equal(all[0].url, `ws://x/ws?sessionId=${S}`, 'nobody knows how large it is');
  const asked = [{ type: 'SUBSCRIBE', sessionId: S, delta: true }];
  assert.deepEqual(sent('SUBSCRIBE'), asked);
  say(server.shown());
  assert.deepEqual(sent('SUBSCRIBE'), asked, 'once');
  all[0].push(switched());
  assert.deepEqual([watch.state.version, watch.state.participants.length], [3, 65]);
  watch.close();
  client.watch(S);
  await world.run(100);
  assert.equal(all.at(-1).url, `ws://x/ws?sessionId=${S}&delta=1`, 'now it is known');
});

test('a command to a large session is answered without participants, and resolves with them', async () => {
  await setUpLarge();
  const reply = client.switch(S);
  await world.run(50);
  assert.equal(server.requests.at(-1).headers.Prefer, 'return=minimal');
  all[0].push(switched());
  const state = await world.done(reply);
  assert.deepEqual([state.version, state.active_participant_id, state.participants.length], [3, B, 65]);
  assert.deepEqual(server.requests.filter((r) => r.method === 'GET'), []);
});

test('when the push does not come, the large state is read', async () => {
  await setUpLarge();
  const state = await world.done(client.switch(S));
  assert.deepEqual([state.version, state.participants.length], [3, 65]);
  assert.equal(server.requests.filter((r) => r.method === 'GET').length, 1);
});

test('who wants it otherwise says so', async () => {
  await setUpLarge({ delta: false });
  assert.deepEqual(sent('SUBSCRIBE'), []);
  const whole = await world.done(client.switch(S));
  assert.equal(server.requests.at(-1).headers.Prefer, undefined);
  assert.equal(whole.participants.length, 65);
  await setUpLarge();
  await world.done(client.switch(S, { minimal: false }));
  assert.equal(server.requests.at(-1).headers.Prefer, undefined);
});

test('a token goes with the socket as a subprotocol, never in the address', async () => {
  setUp({ token: 'abc' });
  client.watch(S);
  await world.run(100);
  assert.deepEqual(all[0].protocols, ['synckairos.v1', 'bearer.abc']);
  assert.ok(!all[0].url.includes('abc'));
});

test('a token that ends soon is renewed on the open socket', async () => {
  let n = 0;
  setUp({ token: () => `t${++n}` });
  const watch = client.watch(S);
  await world.run(100);
  all[0].push({ type: 'TOKEN_EXPIRING', timestamp: 1 });
  await world.run(10);
  assert.deepEqual(sent('REFRESH'), [{ type: 'REFRESH', token: `t${n}` }]);
  all[0].drop(4401, 'Token expired');
  await world.run(1000);
  assert.equal(all.length, 2);
  assert.deepEqual(all[1].protocols, ['synckairos.v1', `bearer.t${n}`], 'a fresh one');
  assert.equal(watch.connected, true);
});

test('a fixed token that has ended ends its watches', async () => {
  setUp({ token: 'abc' });
  const heard = hear(client.watch(S));
  hear(client.watch(T));
  await world.run(100);
  all[0].drop(4401, 'Token expired');
  await world.run(60000);
  assert.equal(all.length, 1);
  assert.equal(heard.at(-1)[1].code, 'UNAUTHENTICATED');
});

test('tokens that are refused at once are not tried over and over', async () => {
  setUp({ token: () => 'bad' });
  client.watch(S);
  for (let k = 0; k < 40; k++) {
    await world.run(1);
    if (all.at(-1)?.readyState === 0) all.at(-1).drop(4401, 'Invalid token');
    await world.run(1000);
  }
  assert.ok(all.length <= 4, `${all.length} tries in 40 s`);
});
