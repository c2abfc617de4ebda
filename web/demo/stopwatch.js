/** stopwatch.js - count_up without participants: a switch counts a lap. */

import { $, h, write } from './dom.js';
import { Face } from './face.js';
import { history } from './history.js';
import { SessionPage } from './session-page.js';
import { passed } from './words.js';

const face = new Face($('face'));
let laps = []; // running time at the end of each lap; undefined where it was not seen
let asked = '';
let seen = null; // { id, version, cycle } of the state before; ended: the version of the last lap

const page = new SessionPage({
  title: 'Stopwatch',
  noun: 'stopwatch',
  mode: 'count_up',
  create(form) {
    const minutes = Number(form.get('limit'));
    return { sync_mode: 'count_up', ...(minutes ? { max_time_ms: minutes * 60000 } : {}) };
  },
  draw(state) {
    note(state);
    const running = state.status === 'running';
    $('lap').disabled = !running;
    $('finish').disabled = !running && state.status !== 'paused';
    $('laps').replaceChildren(...laps.map(row).reverse());
    $('laps-empty').hidden = laps.length > 0;
    page.announce({ running: 'Running', paused: 'Paused', expired: 'Limit reached' }[state.status]);
  },
  frame(state) {
    const elapsed = page.watch.elapsed();
    const limit = state.max_time_ms;
    const text = passed(elapsed);
    face.show({
      text,
      part: limit ? elapsed / limit : (elapsed % 60000) / 60000,
      tone: state.status === 'expired' ? 'over' : '',
      note: caption(state),
    });
    const since = laps.at(-1) ?? (state.cycle_number > 1 ? NaN : 0);
    write($('lap-time'), Number.isNaN(since) ? '–' : passed(Math.max(0, elapsed - since)));
    return text;
  },
});

function caption(state) {
  if (state.status === 'expired') return 'The limit is reached';
  if (state.status === 'completed') return 'Finished';
  if (state.status === 'pending') return 'Press Start, on any screen';
  if (state.status === 'paused') return 'Paused';
  return state.max_time_ms ? `of ${passed(state.max_time_ms)}` : `Lap ${state.cycle_number}`;
}

/** Running time at the last change, whenever this state was read. */
function elapsedAtChange(state) {
  if (state.status !== 'running') return state.time_elapsed_ms;
  return state.time_elapsed_ms - (Date.parse(state.server_time) - Date.parse(state.updated_at));
}

/** A change of the lap is seen once, and kept for a reload of this window. */
function note(state) {
  const id = `${state.session_id} ${state.created_at}`;
  if (seen?.id !== id) laps = read(id);
  const next = seen?.id === id && state.version === seen.version + 1;
  const ended = next && state.cycle_number > seen.cycle ? state.version : seen?.ended;
  laps.length = Math.max(0, state.cycle_number - 1);
  // The push comes after the answer of the press, and is exact.
  if (ended === state.version) laps[laps.length - 1] = elapsedAtChange(state);
  laps = Array.from(laps, (ms) => ms ?? undefined);
  seen = { id, version: state.version, cycle: state.cycle_number, ended };
  if (laps.includes(undefined)) askForLaps(id, state);
  keep(id);
}

function keep(id) {
  sessionStorage.setItem(`laps:${id}`, JSON.stringify(laps));
}

/** What this window has not seen, the audit trail may know. */
async function askForLaps(id, state) {
  if (asked === `${id} ${laps.length}`) return;
  asked = `${id} ${laps.length}`;
  const events = await history(page.client, state);
  if (seen?.id !== id) return;
  for (const e of events) {
    const lap = e.cycle_number - 2; // the turn that begins is one later than the lap's place
    if (e.event_type === 'cycle_switched' && lap < laps.length) laps[lap] ??= e.time_elapsed_ms;
  }
  keep(id);
  page.redraw();
}

function read(id) {
  try {
    return JSON.parse(sessionStorage.getItem(`laps:${id}`)) ?? [];
  } catch {
    return [];
  }
}

function row(at, k) {
  const before = k === 0 ? 0 : laps[k - 1];
  const known = at !== undefined && before !== undefined;
  return h(
    'li',
    {},
    h('span', { className: 'who' }, `Lap ${k + 1}`),
    h('span', { className: 'what' }, known ? passed(at - before) : 'not seen here'),
    h('span', { className: 'soft' }, at === undefined ? '' : passed(at)),
  );
}

$('lap').addEventListener('click', () => page.act('switch'));
$('finish').addEventListener('click', () => page.act('complete'));
page.begin();
