import assert from 'node:assert/strict';
import test from 'node:test';
import { quantile, rate, read, share, sum } from '../../../web/status/samples.js';
import { axisEnd, path } from '../../../web/status/chart.js';

const reading = (at, lines) => read(lines.map((l) => `synckairos_${l}`).join("\n"), at);

test('reads samples with and without labels, and nothing else', () => {
  const one = read('# HELP synckairos_a x\nsynckairos_a_total{route="/x/:id",status_code="200"} 3\nsynckairos_up 1\nother 5\n', 0);
  assert.equal(sum(one, 'a_total'), 3);
  assert.equal(sum(one, 'up'), 1);
  assert.equal(sum(one, 'other'), null);
  assert.equal(sum(one, 'a_total', (l) => l.status_code === '500'), null);
});

test('rates are per second and survive a counter that begins anew', () => {
  const a = reading(0, ['n{k="a"} 10', 'n{k="b"} 5']);
  const b = reading(2000, ['n{k="a"} 20', 'n{k="b"} 9']);
  assert.equal(rate(a, b, 'n'), 7);
  assert.equal(rate(a, reading(2000, ['n 4']), 'n'), 2);
  assert.equal(rate(b, b, 'n'), null);
  assert.equal(rate(a, b, 'missing'), null);
});

test('a share of nothing is not known', () => {
  const a = reading(0, ['n{c="200"} 10', 'n{c="500"} 0']);
  const b = reading(1000, ['n{c="200"} 19', 'n{c="500"} 1']);
  assert.equal(share(a, b, 'n', (l) => l.c === '500'), 0.1);
  assert.equal(share(b, b, 'n', (l) => l.c === '500'), null);
});

test('quantiles lie evenly between the bounds; beyond the last one it is the last one', () => {
  const at = (t, n) => reading(t, n.map((v, k) => `d_bucket{le="${["1", "5", "+Inf"][k]}"} ${v}`));
  assert.equal(quantile(at(0, [0, 0, 0]), at(1, [10, 10, 10]), 'd', 0.5), 0.5);
  assert.equal(quantile(at(0, [0, 0, 0]), at(1, [0, 10, 10]), 'd', 0.5), 3);
  assert.equal(quantile(at(0, [0, 0, 0]), at(1, [0, 0, 10]), 'd', 0.5), 5);
  assert.equal(quantile(at(0, [5, 5, 5]), at(1, [5, 5, 5]), 'd', 0.5), null);
});

test('an axis ends at 1, 2 or 5 times a power of ten', () => {
  assert.deepEqual([0, 0.03, 1, 1.1, 4, 7, 60, 1000].map(axisEnd), [1, 0.05, 1, 2, 5, 10, 100, 1000]);
});

test('a line is interrupted where nothing is known', () => {
  assert.equal(path([1, null, 1, 1], 4, 1), 'M0.0 4.0M200.0 4.0L300.0 4.0');
});
