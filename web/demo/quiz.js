/** quiz.js - per_cycle: each question has the same time, and the next one comes by itself. */

import { $, h, write } from './dom.js';
import { Face } from './face.js';
import { named, nameOf, participants, splitNames } from './names.js';
import { SessionPage } from './session-page.js';
import { count, countdown, passed } from './words.js';

const QUESTIONS = [
  'Which planet has the shortest day?',
  'How many strings has a cello?',
  'Which metal is liquid at room temperature?',
  'What does the Latin word "tempus" mean?',
  'Which sea has no coast?',
  'How many squares has a chessboard?',
  'Who wrote the first algorithm for a machine?',
  'Which is the longest bone of the body?',
  'What is the smallest prime number above 90?',
  'Which city was once called Byzantium?',
  'How many hours has a leap year more than others?',
  'Which gas makes up most of the air?',
];
const face = new Face($('face'));

const page = new SessionPage({
  title: 'Quiz',
  noun: 'quiz',
  mode: 'per_cycle',
  create(form, problem) {
    const names = splitNames(form.get('names'));
    if (names.length < 1 || names.length > 20) {
      problem('Between one and twenty players, please, with commas between them.');
      return null;
    }
    const ms = Number(form.get('seconds')) * 1000;
    return {
      sync_mode: 'per_cycle',
      total_time_ms: ms,
      time_per_cycle_ms: ms,
      max_cycles: Number(form.get('questions')),
      ...(form.get('late') === 'skip'
        ? { auto_advance: true, action_on_timeout: { type: 'skip_question' } }
        : { action_on_timeout: { type: 'notify' } }),
      participants: participants(names, ms),
      metadata: { names },
    };
  },
  draw(state) {
    const active = nameOf(state, state.active_participant_id);
    const over = !['pending', 'running', 'paused'].includes(state.status);
    write($('number'), heading(state));
    write($('question'), over ? 'That was the quiz.' : question(state));
    write($('turn'), active && !over ? `${active} answers` : '');
    write($('late'), late(state));
    $('next').hidden = state.status === 'pending' || over;
    $('next').disabled = state.status !== 'running';
    $('primary').classList.toggle('primary', state.status === 'pending');
    $('players').replaceChildren(...named(state).map((p) => row(p)));
    if (active) page.announce(`${$('number').textContent}: ${active} answers`);
  },
  frame(state) {
    const whole = state.time_per_cycle_ms;
    const left = Number.isNaN(page.watch.clock()) ? whole : page.watch.clock();
    const over = state.status === 'running' && left <= 0;
    const text = countdown(left);
    face.show({
      text,
      part: left / whole,
      tone: over ? 'over' : left < Math.min(5000, whole / 3) ? 'low' : '',
      note: over ? 'Time is up' : { paused: 'Paused', pending: 'for each question' }[state.status] ?? 'to answer',
    });
    return state.status === 'running' ? `${text} ${$('turn').textContent}` : '';
  },
});

function heading(state) {
  if (state.status === 'pending') return `${count(state.max_cycles, 'question')}, waiting to start`;
  if (state.status === 'completed') return 'Over';
  return `Question ${state.cycle_number} of ${state.max_cycles}`;
}

function question(state) {
  if (state.status === 'pending') return 'The first question appears when somebody presses Start.';
  return QUESTIONS[(state.cycle_number - 1) % QUESTIONS.length];
}

/** The word about the last question that ran out of time, while it is news. */
function late(state) {
  const t = state.last_timeout;
  if (!t || state.version !== t.version) return '';
  const who = nameOf(state, t.expired_participant_id) ?? 'Somebody';
  return t.action_applied === 'skip_cycle'
    ? `${who} ran out of time: skipped.`
    : `${who} ran out of time.`;
}

function row(p) {
  return h(
    'li',
    { className: p.is_active ? 'active' : '', ariaCurrent: p.is_active ? 'true' : 'false' },
    h('span', { className: 'who' }, p.name),
    h('span', { className: 'what' }, count(p.cycle_count, 'question')),
    h('span', { className: 'soft' }, passed(p.time_used_ms)),
  );
}

$('next').addEventListener('click', () => page.act('switch'));
page.begin();
