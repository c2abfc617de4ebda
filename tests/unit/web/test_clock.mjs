/** The server's clock as the client sees it: honest bounds, and never backwards. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServerClock, clockAt, elapsedAt, remainingAt } from '../../../web/synckairos.js';
import { A, B } from './virtual.mjs';

function clock() {
  const c = { local: 0 };
  c.clock = new ServerClock(() => c.local);
  /** One exchange: the server's offset, and how long each way takes. */
  c.exchange = (offset, up, down) => {
    const sent = c.local;
    const at = sent + up + offset;
    c.local = sent + up + down;
    c.clock.add(sent, at, at, c.local);
  };
  c.off = (offset) => c.clock.now() - (c.local + offset);
  return c;
}

test('knows nothing before the first sample', () => {
  const c = clock();
  assert.ok(Number.isNaN(c.clock.now()));
  assert.equal(c.clock.error(), Infinity);
});

test('stays within its bound with unequal directions', () => {
  const c = clock();
  c.exchange(5000, 30, 150);
  assert.ok(Math.abs(c.off(5000)) > 50, 'the asymmetry is not visible to anybody');
  assert.ok(Math.abs(c.off(5000)) <= c.clock.error());
  assert.ok(c.clock.error() < 95, 'half the round trip and a little');
});

test('the sample with the smallest round trip counts', () => {
  const c = clock();
  for (const [up, down] of [
    [90, 10],
    [3, 2],
    [10, 400],
    [60, 60],
  ]) {
    c.exchange(5000, up, down);
    c.local += 10;
  }
  assert.ok(c.clock.error() < 6, String(c.clock.error()));
  assert.ok(Math.abs(c.off(5000)) <= c.clock.error());
});

test('the bound holds for every mixture of delays', () => {
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let round = 0; round < 300; round++) {
    const c = clock();
    const offset = Math.floor(random() * 1e6);
    for (let i = 0; i < 20; i++) {
      c.exchange(offset, random() * 200, random() * 200);
      assert.ok(Math.abs(c.off(offset)) <= c.clock.error() + 1e-6);
      c.local += random() * 3000;
      assert.ok(Math.abs(c.off(offset)) <= c.clock.error() + 1e-6);
    }
  }
});

test('the bound grows with age and covers a drifting clock', () => {
  const c = clock();
  c.exchange(0, 1, 1);
  const fresh = c.clock.error();
  c.local += 60000;
  assert.ok(c.clock.error() > fresh + 10);
  assert.ok(Math.abs(c.off(60000 * 150e-6)) <= c.clock.error(), '150 ppm in a minute');
});

test('an old good sample gives way to a newer one', () => {
  const c = clock();
  c.exchange(0, 1, 1);
  c.local += 100000; // its bound is 23 ms by now
  c.exchange(12, 5, 5);
  assert.ok(Math.abs(c.off(12)) <= 7);
});

test('one stamp floored to a millisecond keeps the bound', () => {
  for (let fraction = 0; fraction < 1; fraction += 0.05) {
    for (const [up, down] of [
      [0, 0],
      [0.2, 40],
      [40, 0.2],
    ]) {
      const c = clock();
      const offset = 5000 + fraction;
      c.local = up + down;
      c.clock.addStamp(0, Math.floor(up + offset), c.local);
      assert.ok(Math.abs(c.off(offset)) <= c.clock.error() - 2 + 1e-9);
    }
  }
});

test('never runs backwards, and says so while it is ahead', () => {
  const c = clock();
  c.exchange(100, 80, 0); // believes the server to be 40 ms later than it is
  let last = c.clock.now();
  for (let i = 0; i < 200; i++) {
    if (i === 10) c.exchange(100, 0.5, 0.5);
    c.local += 1;
    const now = c.clock.now();
    assert.ok(now > last, `${now} after ${last}`);
    assert.ok(Math.abs(c.off(100)) <= c.clock.error() + 1e-6);
    last = now;
  }
  assert.ok(Math.abs(c.off(100)) < 1, 'and arrives');
});

test('a jump of a clock throws the past away', () => {
  const c = clock();
  for (let i = 0; i < 10; i++) c.exchange(0, 1, 1);
  c.exchange(3_600_000, 40, 40); // the device slept for an hour
  assert.ok(Math.abs(c.off(3_600_000)) <= c.clock.error());
  assert.ok(c.clock.error() < 50);
});

test('nonsense is not a sample', () => {
  const c = clock();
  c.clock.add(0, NaN, NaN, 10);
  c.clock.add(10, 5, 5, 0);
  c.clock.addStamp(0, undefined, 10);
  assert.equal(c.clock.error(), Infinity);
});

const state = (over = {}) => ({
  status: 'running',
  active_participant_id: A,
  cycle_started_at: '2026-11-22T12:00:00.000Z',
  participants: [
    { participant_id: A, total_time_ms: 60000, time_remaining_ms: 59000, has_expired: false },
    { participant_id: B, total_time_ms: 30000, time_remaining_ms: 30000, has_expired: false },
  ],
  ...over,
});
const T0 = Date.UTC(2026, 10, 22, 12);

test('remaining: the active bank burns, the others stand', () => {
  assert.equal(remainingAt(state(), A, T0 + 1500.5), 58499.5);
  assert.equal(remainingAt(state(), B, T0 + 1500), 30000);
  assert.equal(remainingAt(state(), A.toUpperCase(), T0), 60000);
  assert.equal(
    remainingAt(state({ status: 'paused', cycle_started_at: null }), A, T0 + 9e9),
    60000,
  );
});

test('remaining: between zero and the bank', () => {
  assert.equal(remainingAt(state(), A, T0 + 60001), 0);
  assert.equal(remainingAt(state(), A, T0 - 50), 60000, 'our clock may be behind');
});

test('remaining: an expired one has nothing, a stranger NaN', () => {
  const s = state();
  s.participants[0].has_expired = true;
  assert.equal(remainingAt(s, A, T0), 0);
  assert.ok(Number.isNaN(remainingAt(s, '33333333-3333-4333-8333-333333333333', T0)));
});

test('remaining: without a clock what the server said', () => {
  assert.equal(remainingAt(state(), A, NaN), 59000);
});

const shown = (over) => state({ server_time: '2026-11-22T12:00:01.000Z', ...over });

test('global: everybody has what the session has', () => {
  const s = shown({ sync_mode: 'global', time_remaining_ms: 5000 });
  assert.equal(remainingAt(s, A, T0 + 3000), 3000);
  assert.equal(remainingAt(s, B, T0 + 3000), 3000);
  assert.equal(clockAt(s, T0 + 3000), 3000);
  assert.equal(clockAt(s, T0 + 9000), 0);
  assert.equal(clockAt(s, NaN), 5000);
  assert.equal(clockAt({ ...s, status: 'paused' }, T0 + 3000), 5000);
});

test('per_cycle: the turn has a clock, the banks stand', () => {
  const s = shown({ sync_mode: 'per_cycle', time_remaining_ms: 5000 });
  s.participants[0].has_expired = true;
  assert.equal(remainingAt(s, A, T0 + 3000), 60000);
  assert.equal(clockAt(s, T0 + 3000), 3000);
});

test('count_up: time grows, what is left is left up to the limit', () => {
  const s = shown({ sync_mode: 'count_up', time_elapsed_ms: 1000, participants: [] });
  assert.equal(elapsedAt(s, T0 + 3500), 3500);
  assert.equal(elapsedAt(s, NaN), 1000);
  assert.equal(elapsedAt({ ...s, status: 'paused' }, T0 + 3500), 1000);
  assert.ok(Number.isNaN(clockAt({ ...s, active_participant_id: null }, T0 + 3500)));
  assert.equal(clockAt({ ...s, time_remaining_ms: 4000 }, T0 + 3500), 1500);
  s.participants = [{ participant_id: A, total_time_ms: 1000 }];
  assert.ok(Number.isNaN(remainingAt(s, A, T0 + 3500)));
  assert.ok(Number.isNaN(elapsedAt(state(), T0)));
});

test('per_participant: the clock is that of the active one', () => {
  assert.equal(clockAt(state(), T0 + 1500), 58500);
  assert.ok(Number.isNaN(clockAt(state({ active_participant_id: null }), T0)));
});

test('remaining: in per_group the bank of the group', () => {
  const s = state({ active_group_id: 'red', groups: [] });
  for (const [k, group_id] of ['red', 'blue'].entries()) {
    s.participants[k].group_id = group_id;
    s.groups.push({ group_id, total_time_ms: 5000 * (k + 1) });
  }
  assert.equal(remainingAt(s, A, T0 + 1500), 3500);
  assert.equal(remainingAt(s, B, T0 + 1500), 10000);
  s.participants[1].group_id = 'RED';
  assert.equal(remainingAt(s, B, T0 + 1500), 3500, 'whoever of the group is on');
});
