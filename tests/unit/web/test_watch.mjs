/** Following a session: reconnects, order of states, deletion, the clock over PING. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { SyncKairosClient } from '../../../web/synckairos.js';
import { A, B, S, Server, World, sockets } from './virtual.mjs';

let world, server, all, client;
const EVENTS = [
  'connected',
  'disconnected',
  'reconnecting',
  'state',
  'deleted',
  'expired',
  'store',
  'error',
];

function setUp(options) {
  world = new World();
  server = new Server(world, options);
  server.create({
    session_id: S,
    participants: [A, B].map((participant_id, participant_index) => ({
      participant_id,
      participant_index,
      total_time_ms: 60000,
    })),
  });
  all = sockets(world, server, options);
  client = new SyncKairosClient({
    baseUrl: 'http://x',
    fetch: server.fetch,
    WebSocket: all.Class,
    now: world.now,
  });
}
beforeEach(() => setUp());
afterEach(() => {
  client.close();
  world.close();
});

/** A watch and everything it says. */
function follow() {
  const watch = client.watch(S);
  const log = [];
  for (const event of EVENTS) watch.on(event, (...args) => log.push([event, ...args]));
  return {
    watch,
    log,
    names: () => log.map(([event]) => event),
    of: (name) => log.filter(([e]) => e === name),
  };
}

test('connects, gets the state by itself, measures the clock', async () => {
  const { watch, names } = follow();
  await world.run(2000);
  assert.equal(all[0].url, `ws://x/ws?sessionId=${S}`);
  assert.deepEqual(names(), ['connected', 'state']);
  assert.equal(watch.state.version, 1);
  assert.equal(watch.connected, true);
  const pings = all[0].sent.filter((m) => m.type === 'PING');
  assert.equal(pings.length, 8, 'a burst');
  await world.run(60000);
  const minute = all[0].sent.length;
  assert.ok(minute >= 18 && minute <= 40, `${minute} messages, far from the limit of 100`);
  assert.ok(Math.abs(client.serverNow() - world.serverNow()) <= client.clockError());
  assert.ok(client.clockError() < 10);
});

test('with 30 ms one way and 150 ms the other each second stays within the bound', async () => {
  client.close();
  world.close();
  setUp({ upMs: 30, downMs: 150 });
  const { watch } = follow();
  server.apply('start');
  for (let s = 0; s < 20; s++) {
    await world.run(1000);
    const off = Math.abs(client.serverNow() - world.serverNow());
    assert.ok(off <= client.clockError(), `${off} > ${client.clockError()}`);
    assert.ok(off > 40, 'the test has an asymmetry');
    const truth = 60000 - (world.serverNow() - Date.parse(server.state.cycle_started_at));
    assert.ok(Math.abs(watch.remaining(A) - truth) <= client.clockError());
  }
});

test('the counters of a time control run with the clock', async () => {
  const { watch } = follow();
  await world.run(1000);
  server.apply('start');
  server.state.time_control = { type: 'delay', delay_ms: 5000 };
  server.state.participants[0].delay_left_ms = 5000;
  all[0].sync('STATE_UPDATE');
  await world.run(2000);
  const run = world.serverNow() - Date.parse(server.state.cycle_started_at);
  assert.ok(Math.abs(watch.counters(A).delay_left_ms - (5000 - run)) <= client.clockError() + 1);
  assert.deepEqual(watch.counters(B), {});
});

test('older states are ignored, equal ones too, a new epoch wins', async () => {
  const { watch, of } = follow();
  await world.run(100);
  const old = server.shown();
  server.apply('start');
  all[0].sync('STATE_UPDATE');
  const push = (state) => all[0].push({ type: 'STATE_UPDATE', sessionId: S, state });
  push(old);
  push(server.shown());
  assert.deepEqual(
    of('state').map(([, s]) => s.version),
    [1, 2],
  );
  push({ ...old, epoch: old.epoch.replace('000000001', '000000002') });
  assert.equal(watch.state.version, 1);
  push({ ...server.shown(), version: 99 });
  assert.equal(watch.state.version, 1, 'the old life is over');
});

test('a lost socket is opened again soon, again and again, less often later', async () => {
  const { watch, log, names } = follow();
  await world.run(100);
  all.refuse = true;
  server.down = true;
  all[0].drop(1006, '');
  assert.equal(watch.connected, false);
  await world.run(10000);
  assert.deepEqual(names().slice(2, 5), ['disconnected', 'reconnecting', 'reconnecting']);
  const early = all.length;
  assert.ok(early >= 8, `${early} in 10 s`);
  const delays = log.filter(([e]) => e === 'reconnecting').map(([, i]) => i.delayMs);
  assert.ok(delays[0] >= 125 && delays[0] <= 250, String(delays));
  assert.ok(delays.every((d) => d <= 1500));
  await world.run(120000);
  const before = all.length;
  await world.run(60000);
  assert.ok(all.length - before <= 26, 'slower after a minute');
  server.apply('start');
  all.refuse = false;
  await world.run(5100);
  assert.equal(watch.connected, true);
  assert.equal(watch.state.version, 2, 'and holds the truth');
});

test('delays are jittered', async () => {
  const first = new Set();
  for (let i = 0; i < 20; i++) {
    const { watch, log } = follow();
    await world.run(100);
    all.at(-1).drop(1006, '');
    first.add(log.at(-1)[1].delayMs);
    watch.close();
  }
  assert.ok(first.size > 10);
});

test('a server that takes sockets but not this one: the state is read instead', async () => {
  all.refuse = true;
  const { watch, of } = follow();
  await world.run(6000);
  assert.equal(watch.connected, false);
  assert.equal(watch.state.version, 1);
  server.apply('start');
  await world.run(6000);
  assert.equal(watch.state.version, 2);
  assert.equal(of('state').at(-1)[2].from, 'REST');
  const reads = server.requests.filter((r) => r.method === 'GET').length;
  assert.ok(reads <= 5, `${reads} reads in 12 s`);
});

test('a link that went silent is noticed', async () => {
  const { of } = follow();
  await world.run(3000);
  all.deaf = true;
  await world.run(20000);
  assert.ok(of('disconnected').length >= 1);
  assert.equal(of('disconnected')[0][1].code, 4000);
  assert.ok(all.length >= 2);
});

test('draining: reconnects when the server asked for it', async () => {
  const { watch } = follow();
  await world.run(100);
  all[0].push({ type: 'SERVER_DRAINING', reconnect_in_ms: 4000 });
  await world.run(1000);
  all[0].drop(1001, 'Server shutting down');
  await world.run(2900);
  assert.equal(all.length, 1, 'not before its time');
  await world.run(200);
  assert.equal(all.length, 2);
  assert.equal(watch.connected, true);
});

test('draining without a close: goes by itself', async () => {
  const { watch } = follow();
  await world.run(100);
  all[0].push({ type: 'SERVER_DRAINING', reconnect_in_ms: 500 });
  await world.run(600);
  assert.equal(all.length, 2);
  assert.equal(all[0].readyState, 3);
  assert.equal(watch.connected, true);
});

test('deleted: said once, and no further socket', async () => {
  const { watch, of } = follow();
  await world.run(100);
  all[0].push({ type: 'SESSION_DELETED', sessionId: S, timestamp: 1 });
  all[0].drop(1000, 'Session deleted');
  await world.run(30000);
  assert.equal(of('deleted').length, 1);
  assert.equal(all.length, 1);
  assert.equal(watch.state, null);
  assert.ok(Number.isNaN(watch.remaining(A)));
  assert.deepEqual(watch.counters(A), {});
});

test('deleted while the message got lost: the close says it', async () => {
  const { of } = follow();
  await world.run(100);
  all[0].drop(1000, 'Session deleted');
  await world.run(5000);
  assert.equal(of('deleted').length, 1);
  assert.equal(all.length, 1);
});

test('deleted and made again before we hear of it: goes on with the new one', async () => {
  const { watch, of } = follow();
  await world.run(100);
  const old = server.state.epoch;
  server.state.epoch = '0gk3m9x9zzz-aaaa.000000001';
  all[0].sync('STATE_UPDATE');
  all[0].push({ type: 'SESSION_DELETED', sessionId: S, epoch: old, version: 2 });
  all[0].drop(1000, 'Session deleted');
  await world.run(2000);
  assert.equal(of('deleted').length, 0);
  assert.equal(watch.connected, true);
  assert.equal(watch.state.epoch, server.state.epoch);
});

test('a session that does not exist may be watched, and appears', async () => {
  const made = server.state;
  server.state = null;
  const { watch, of } = follow();
  await world.run(100);
  assert.equal(of('error')[0][1].code, 'SESSION_NOT_FOUND');
  assert.equal(watch.connected, true);
  server.state = made;
  all[0].sync('STATE_UPDATE');
  assert.equal(watch.state.version, 1);
});

test('deleted while we were away: the old state is not shown any longer', async () => {
  const { watch, of } = follow();
  await world.run(100);
  server.state = null;
  all[0].drop(1006, '');
  await world.run(1000);
  assert.equal(of('error').at(-1)[1].code, 'SESSION_NOT_FOUND');
  assert.equal(watch.state, null);
});

test('an expiry is told once', async () => {
  const { of } = follow();
  await world.run(100);
  const m = {
    type: 'TIME_EXPIRED',
    sessionId: S,
    epoch: server.state.epoch,
    version: 5,
    expired_participant_id: A,
    action_applied: 'notify',
  };
  all[0].push(m);
  all[0].push(m);
  all[0].push({ ...m, version: 9 });
  assert.deepEqual(
    of('expired').map(([, e]) => [e.participantId, e.version]),
    [
      [A, 5],
      [A, 9],
    ],
  );
});

test('warnings and actions are told as they come', async () => {
  const { watch } = follow();
  const log = [];
  watch.on('warning', (info) => log.push(info));
  watch.on('action', (info) => log.push(info));
  await world.run(100);
  const about = { sessionId: S, epoch: server.state.epoch, version: 3, timestamp: 17 };
  all[0].push({
    type: 'TIME_WARNING',
    ...about,
    participant_id: A,
    time_remaining_ms: 9990,
    threshold_ms: 10000,
  });
  all[0].push({ type: 'ACTION', ...about, version: 4, participant_id: B, action: 'fold' });
  const { epoch } = server.state;
  assert.deepEqual(log, [
    {
      version: 3,
      epoch,
      timestamp: 17,
      participantId: A,
      groupId: undefined,
      remainingMs: 9990,
      thresholdMs: 10000,
    },
    { version: 4, epoch, timestamp: 17, participantId: B, action: 'fold' },
  ]);
});

test('a server that does not send the state by itself is asked', async () => {
  client.close();
  world.close();
  setUp({ greet: false });
  const { watch } = follow();
  await world.run(100);
  all[0].push({ type: 'CONNECTED', sessionId: S, timestamp: Math.floor(world.serverNow()) });
  const asked = () => all[0].sent.filter((m) => m.type === 'RECONNECT').length;
  await world.run(1600);
  assert.equal(asked(), 1);
  await world.run(10100);
  assert.equal(asked(), 3, 'and again: its store may be away');
  all[0].sync();
  assert.equal(watch.state.version, 1);
  await world.run(20000);
  assert.equal(asked(), 3);
});

test('no greeting at all: another socket', async () => {
  client.close();
  world.close();
  setUp({ greet: false });
  follow();
  await world.run(5600);
  assert.equal(all.length, 2);
});

test('what can never work ends the watch', async () => {
  const { of } = follow();
  await world.run(100);
  all[0].drop(1008, 'Invalid sessionId format');
  await world.run(10000);
  assert.equal(all.length, 1);
  assert.equal(of('error').at(-1)[1].code, 'VALIDATION_ERROR');
  assert.throws(() => client.watch('no-uuid'), { code: 'VALIDATION_ERROR' });
});

test('too many messages is no such thing', async () => {
  follow();
  await world.run(100);
  all[0].drop(1008, 'Too many messages');
  await world.run(2000);
  assert.equal(all.length, 2);
});

test('the answer of a switch is shown at once, and completed by the push', async () => {
  server.apply('start');
  const { watch, of } = follow();
  await world.run(100);
  const shown = server.shown.bind(server);
  server.shown = () => {
    const { paused_total_ms: _, sync_mode: __, ...part } = shown();
    return part;
  };
  const reply = client.switch(S);
  await world.run(100);
  assert.equal((await reply).version, 3);
  assert.equal(watch.state.active_participant_id, B);
  assert.equal(watch.state.sync_mode, 'per_participant', 'the rest stays');
  server.shown = shown;
  server.state.deadline_at = '2026-11-22T12:00:00.000Z';
  all[0].sync('STATE_UPDATE');
  assert.equal(watch.state.deadline_at, server.state.deadline_at);
  assert.deepEqual(
    of('state').map(([, s]) => s.version),
    [2, 3, 3],
  );
});

test('malformed and unknown messages do no harm', async () => {
  const { watch } = follow();
  await world.run(100);
  all[0].onmessage({ data: '{' });
  all[0].push(null);
  all[0].push({ type: 'SOMETHING_NEW' });
  all[0].push({ type: 'PONG', client_timestamp: 987654 });
  assert.equal(watch.connected, true);
  assert.equal(watch.state.version, 1);
});

test("a listener's own error does not stop the others", async () => {
  const { watch, of } = follow();
  const heard = [];
  watch.on('state', () => {
    throw new Error('the page is broken');
  });
  watch.on('state', (s) => heard.push(s.version));
  const off = watch.on('state', () => heard.push('off'));
  off();
  await assert.rejects(
    world.run(100),
    /the page is broken/,
    'it comes out as an uncaught error',
  );
  assert.deepEqual(heard, [1]);
  assert.equal(of('state').length, 1);
  await world.run(2000);
  assert.ok(client.clockError() < 10, 'the link works on');
});

test('what an old socket still says is not heard', async () => {
  const { watch, of } = follow();
  await world.run(100);
  all[0].push({ type: 'SERVER_DRAINING', reconnect_in_ms: 100 });
  await world.run(500);
  assert.equal(all.length, 2);
  all[0].drop(1001, 'Server shutting down');
  all[0].push({ type: 'SESSION_DELETED', sessionId: S });
  await world.run(3000);
  assert.equal(watch.connected, true);
  assert.equal(all.length, 2);
  assert.equal(of('deleted').length, 0);
});

test('online again: no waiting for the next try, and one socket', async () => {
  const wake = {};
  globalThis.addEventListener = (event, listener) => (wake[event] = listener);
  globalThis.removeEventListener = (event) => delete wake[event];
  try {
    const { watch } = follow();
    await world.run(100);
    all.refuse = true;
    all[0].drop(1006, '');
    await world.run(70000);
    all.refuse = false;
    while (all.at(-1).readyState !== 3) await world.run(1);
    const before = all.length;
    wake.online();
    await world.run(50);
    assert.equal(watch.connected, true);
    await world.run(8000);
    assert.equal(all.length, before + 1);
    const sent = all.at(-1).sent.length;
    for (let i = 0; i < 50; i++) wake.online();
    await world.run(1000);
    assert.ok(all.at(-1).sent.length - sent < 12, 'a flapping network is no flood of messages');
    watch.close();
    assert.deepEqual(wake, {}, 'close() takes its listeners along');
  } finally {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  }
});

test('a server without its store is known within 3 s, and its return within 2 s', async () => {
  const { watch, of } = follow();
  await world.run(7777);
  assert.equal(watch.storeAvailable, true);
  server.away = true;
  await world.run(3000);
  assert.deepEqual(of('store'), [['store', { available: false }]]);
  assert.equal(watch.storeAvailable, false);
  assert.equal(watch.connected, true);
  const sent = all[0].sent.length;
  await world.run(60000);
  assert.ok(all[0].sent.length - sent < 90, 'far from the limit of 100 a minute');
  server.away = false;
  await world.run(2000);
  assert.deepEqual(of('store').slice(1), [['store', { available: true }]]);
  assert.equal(all[0].sent.filter((m) => m.type === 'RECONNECT').length, 1, 'it asks anew');
  assert.equal(watch.storeAvailable, true);
});

test('a refused sign-in is told with its reason, and not tried over and over', async () => {
  all.refuse = true;
  server.locked = true;
  const { watch, of } = follow();
  await world.run(1000);
  const [[, error], ...more] = of('error');
  assert.deepEqual(more, []);
  assert.equal(error.status, 401);
  assert.equal(error.message, 'Authentication required');
  const early = all.length;
  await world.run(60000);
  assert.ok(all.length - early <= 4, `${all.length - early} more tries in a minute`);
  assert.ok(all.length > early, 'it does not give up');
  all.refuse = false;
  server.locked = false;
  await world.run(31000);
  assert.equal(watch.connected, true);
});

test('close() ends it', async () => {
  const { watch, log } = follow();
  await world.run(100);
  const count = log.length;
  watch.close();
  await world.run(60000);
  assert.equal(all.length, 1);
  assert.equal(all[0].readyState, 3);
  assert.equal(log.length, count);
});
