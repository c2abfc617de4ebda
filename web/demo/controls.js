/**
 * controls.js - the eight time controls of a chess clock: what a form asks for each, the
 * create body's time_control made from that, and what is shown of one beside the clock.
 */

import { $, h, write } from './dom.js';
import { count, countdown } from './words.js';

/** A number that the form asks for: its name in the body, in which unit people give it. */
const number = (name, label, min, max, value, scale = 1) => ({ name, label, min, max, value, scale });
const delay = number('delay_ms', 'Seconds', 1, 60, 5, 1000);

const CONTROLS = {
  fischer: { hint: 'Every move adds the increment of the offer above.', fields: [] },
  delay: { hint: 'The first seconds of every turn are free.', fields: [delay] },
  bronstein: { hint: 'A move gives back what it took, up to so many seconds.', fields: [delay] },
  byoyomi: {
    hint: 'When the time is gone, periods follow; one that is used up is lost.',
    fields: [
      number('periods', 'Periods', 1, 100, 3),
      number('period_ms', 'Seconds each', 1, 3600, 30, 1000),
    ],
  },
  canadian: {
    hint: 'When the time is gone, there is a block of time for some moves together.',
    fields: [
      number('moves', 'Moves', 1, 200, 10),
      number('period_ms', 'Seconds', 1, 3600, 60, 1000),
    ],
  },
  hourglass: { hint: 'What burns for one runs to the other.', fields: [] },
  per_move: { hint: 'Every move has the whole time.', fields: [] },
  stages: {
    hint: 'After some moves time is added, and every move after that brings an increment.',
    fields: [
      number('moves', 'Moves', 1, 200, 40),
      number('add_ms', 'Add, min', 0, 720, 15, 60000),
      number('increment_ms', 'Increment, s', 0, 60, 5, 1000),
    ],
    body: ({ moves, add_ms, increment_ms }) => ({
      stages: [{ moves, add_ms }, { increment_ms }],
    }),
  },
};

/** The fields of the chosen control, in #control-fields below the select #control. */
export function showControl() {
  const { hint, fields } = CONTROLS[$('control').value];
  write($('control-hint'), hint);
  $('control-fields').hidden = fields.length === 0;
  $('control-fields').replaceChildren(
    ...fields.map(({ name, label, min, max, value }) =>
      h(
        'label',
        {},
        label,
        h('input', { type: 'number', name, inputMode: 'numeric', min, max, value, required: true }),
      ),
    ),
  );
}

/** What a create body says of the control: only increment_ms for the default one. */
export function controlOf(form, incrementMs) {
  const type = form.get('control');
  if (type === 'fischer') return { increment_ms: incrementMs };
  const { fields, body = (x) => x } = CONTROLS[type];
  const given = fields.map(({ name, scale }) => [name, Number(form.get(name)) * scale]);
  return { time_control: { type, ...body(Object.fromEntries(given)) } };
}

/** The counters beside a clock (see countersAt of the client) as a few words. */
export function besides({ delay_left_ms, periods_left, moves_left, stage }) {
  const words = [];
  if (delay_left_ms > 0) words.push(`${countdown(delay_left_ms)} free`);
  if (periods_left !== undefined) words.push(count(periods_left, 'period'));
  if (stage !== undefined) words.push(`stage ${stage}`);
  if (moves_left !== undefined) words.push(`${moves_left} to go`);
  return words.join(' · ');
}
