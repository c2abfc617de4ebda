/** exam.js - global: one bank for everybody, which ends the session for all at once. */

import { $, h, write } from './dom.js';
import { Face } from './face.js';
import { participants } from './names.js';
import { SessionPage } from './session-page.js';
import { clockTime, count, countdown } from './words.js';

const EXTENSION_MS = 60000;
const WARNINGS = [60000, 300000, 600000, 1800000];
const face = new Face($('face'));

const page = new SessionPage({
  title: 'Exam',
  noun: 'exam',
  mode: 'global',
  create(form) {
    return {
      sync_mode: 'global',
      total_time_ms: Number(form.get('minutes')) * 60000,
      warn_at_ms: WARNINGS,
      participants: participants(['Everybody'], 1000), // whom an extension is given to
      metadata: { subject: String(form.get('subject')).trim() },
    };
  },
  opened(watch) {
    watch.on('warning', ({ thresholdMs }) => {
      write($('warning'), `${left(thresholdMs)} left`);
      $('warning').hidden = false;
    });
  },
  draw(state) {
    if (state.status !== 'running') $('warning').hidden = true;
    write($('subject'), state.metadata?.subject ?? 'Exam');
    write($('until'), until(state));
    $('more').disabled = !['pending', 'running', 'paused'].includes(state.status);
    $('finish').disabled = !['running', 'paused'].includes(state.status);
    $('facts').replaceChildren(...facts(state));
    page.announce($('until').textContent);
  },
  frame(state) {
    const whole = state.allotted_ms;
    const left = page.watch.clock();
    const text = countdown(left);
    const over = left <= 0 || state.status === 'expired';
    face.show({
      text,
      part: left / whole,
      tone: over ? 'over' : left <= Math.min(300000, whole / 10) ? 'low' : '',
      note: over ? 'Pens down' : { pending: 'Not started', paused: 'Paused' }[state.status] ?? 'left',
    });
    return text;
  },
});

const left = (ms) => (ms < 60000 ? count(ms / 1000, 'second') : count(ms / 60000, 'minute'));

function until(state) {
  if (state.status === 'running') return `Ends at ${clockTime(state.deadline_at)}`;
  if (state.status === 'paused') return 'Interrupted: the time stands still';
  if (state.status === 'pending') return 'The papers are still face down';
  return state.status === 'expired' ? 'The time is over' : 'The exam has ended';
}

function facts(state) {
  const fact = (name, text) =>
    h('li', {}, h('span', { className: 'who' }, name), h('span', { className: 'what' }, text));
  const rows = [fact('Duration', countdown(state.allotted_ms))];
  if (state.session_started_at) rows.push(fact('Began at', clockTime(state.session_started_at)));
  if (state.paused_total_ms) rows.push(fact('Interrupted for', countdown(state.paused_total_ms)));
  return rows;
}

$('more').addEventListener('click', () => {
  const { state } = page;
  const [room] = state.participants;
  const adjustment = { add_ms: EXTENSION_MS, reason: 'extended by the invigilator' };
  page.run(() => page.client.adjust(state.session_id, room.participant_id, adjustment, { state }));
});
$('finish').addEventListener('click', () => page.act('complete'));
page.begin();
