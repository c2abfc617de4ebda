/** Time controls as the client reckons them between two states, against the engine itself. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { clockAt, countersAt, remainingAt } from '../../../web/synckairos.js';
import { A, B } from './virtual.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const DRIVER = `${process.env.BIN_DIR ?? `${ROOT}build/release`}/tests/fuzz/engine/driver`;
const T0 = 1795362403096;
const COUNTERS = ['delay_left_ms', 'periods_left', 'moves_left', 'stage'];

const COMMANDS = ['switch', 'switch', 'switch', 'pause', 'resume'];

const CONTROLS = {
  fischer: 'inc=2000 tc=fischer',
  delay: 'inc=0 tc=delay delay=700',
  bronstein: 'inc=0 tc=bronstein delay=700',
  byoyomi: 'inc=0 tc=byoyomi periods=4 period=1000',
  canadian: 'inc=0 tc=canadian moves=3 period=2500',
  hourglass: 'inc=0 tc=hourglass',
  per_move: 'inc=0 tc=per_move',
  stages: 'inc=0 tc=stages stage=2,900,100 stage=1,500,0 stage=0,0,250',
};

/** Lines for the engine (tests/fuzz/engine/driver.c), and what it answers to each. */
function engine(lines) {
  const text = execFileSync(DRIVER, { input: `${lines.join('\n')}\n`, cwd: ROOT, maxBuffer: 1 << 28 });
  return text.toString().trim().split('\n').map((line) => JSON.parse(line));
}

function generator(seed) {
  let s = seed;
  return (n) => (s = (s * 48271) % 2147483647) % n;
}

/** A game of random turns and pauses, read again and again. */
function game(control, seed) {
  const pick = generator(seed);
  let now = T0;
  const lines = [
    `${now} create id=${A} epoch=0abcdefghij-wxyz.000000001 mode=per_participant total=9000 ${control} ` +
      `p=${A},0,3000,-,0 p=${B},1,3000,-,0`,
    `${now} start`,
  ];
  for (let i = 0; i < 60; i++) {
    lines.push(`${(now += pick(4) ? pick(400) : pick(2500))} read`);
    if (pick(20) === 0) lines.push(`${now} adjust next=${[A, B][pick(2)]} set=${pick(2) * pick(4000)}`);
    if (pick(3) === 0) lines.push(`${now} ${COMMANDS[pick(COMMANDS.length)]}`);
  }
  return lines;
}

/** The client's figures at the instant of `shown`, from an older state, are the engine's. */
function agree(known, shown, told) {
  const at = Date.parse(shown.server_time);
  for (const p of shown.participants) {
    const id = p.participant_id;
    assert.equal(remainingAt(known, id, at), p.time_remaining_ms, `${told}: time_remaining_ms`);
    const counters = countersAt(known, id, at);
    for (const name of COUNTERS) assert.equal(counters[name], p[name], `${told}: ${name}`);
    if (p.is_active) assert.equal(clockAt(known, at), p.time_remaining_ms);
  }
}

for (const [name, control] of Object.entries(CONTROLS)) {
  test(`control ${name}: the client reckons what the engine says`, () => {
    let compared = 0;
    let inOvertime = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const lines = game(control, seed);
      let known = null;
      for (const [k, answer] of engine(lines).entries()) {
        const told = `${name}, seed ${seed}, line ${k + 1} (${lines[k]})`;
        if (known && answer.changes.length === 0) {
          agree(known, answer.state, told);
          compared++;
          inOvertime += answer.state.participants.some((p) => !p.total_time_ms && p.time_remaining_ms);
        }
        // Some states are kept for long, so that much runs off them.
        if (!known || answer.changes.length > 0 || k % 7 === 0) known = answer.state;
      }
    }
    assert.ok(compared > 1000, String(compared));
    if (name === 'byoyomi' || name === 'canadian') assert.ok(inOvertime > 100, String(inOvertime));
  });

  test(`control ${name}: the answer of a switch is enough until the push comes`, () => {
    for (const turn of [500, 3500, 4600]) {
      const lines = [...game(control, 1).slice(0, 2), `${T0 + turn} switch`, `${T0 + turn + 10} switch`];
      lines.push(`${T0 + turn + 600} read`);
      const answers = engine(lines);
      const { deadline_at: _, ...before } = answers[2].state;
      if (answers[4].changes.length > 0) continue;
      agree({ ...before, ...answers[3].switch }, answers[4].state, `${name} after ${turn}`);
    }
  });
}

test('control byoyomi: past the last period there is nothing, and fractions count on', () => {
  const [, state] = engine(game(CONTROLS.byoyomi, 1).slice(0, 2)).map((answer) => answer.state);
  assert.equal(remainingAt(state, A, T0 + 2999.5), 0.5);
  assert.equal(remainingAt(state, A, T0 + 3000.25), 999.75);
  assert.equal(remainingAt(state, A, T0 + 3999.75), 0.25);
  assert.deepEqual(countersAt(state, A, T0 + 3999.75), { periods_left: 4 });
  assert.equal(remainingAt(state, A, T0 + 4000), 1000);
  assert.deepEqual(countersAt(state, A, T0 + 4000), { periods_left: 3 });
  assert.equal(remainingAt(state, A, T0 + 7000), 0);
  assert.deepEqual(countersAt(state, A, T0 + 9000), { periods_left: 0 });
});

test('without a clock the counters are as the server showed them', () => {
  const state = engine(game(CONTROLS.delay, 1).slice(0, 2))[1].state;
  assert.deepEqual(countersAt(state, A, NaN), { delay_left_ms: 700 });
  assert.equal(remainingAt(state, A, NaN), 3000);
  assert.deepEqual(countersAt(state, '33333333-3333-4333-8333-333333333333', T0), {});
});
