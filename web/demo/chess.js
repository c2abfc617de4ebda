/**
 * chess.js - a chess clock for any number of windows. The session's id is the fragment of the
 * address; who opens that address sees the same clock and may press it.
 *
 * Nothing here keeps time: every frame asks the client what is left. chessClock in the console
 * shows what a window believes.
 */
import { SyncKairosClient, uuid } from '../synckairos.js';

const LOW_MS = 20000; // below this tenths are shown
const BANNER_AFTER_MS = 1000;
const DELETED_AFTER_MS = 1200; // a reset deletes and creates; do not flash a message in between

const client = new SyncKairosClient();
const $ = (id) => document.getElementById(id);
const game = $('game');
const sides = ['white', 'black'].map((name, place) => {
  const root = $(name);
  const part = (selector) => root.querySelector(selector);
  return {
    name: place === 0 ? 'White' : 'Black',
    place,
    root,
    press: part('.press'),
    moves: part('.moves'),
    time: part('.time'),
    hint: part('.hint'),
    flag: part('.flag'),
    bar: part('.bar'),
    pressed: false,
    shown: '',
  };
});

let watch = null;
let busy = false;
let resetting = false;
let gone = null; // why there is no game, while there is none
let bannerTimer = 0;
let goneTimer = 0;
let wakeLock = null;

globalThis.chessClock = {
  client,
  get watch() {
    return watch;
  },
  /** What this window shows for 'white' or 'black', ms. */
  remaining(name) {
    const p = player(name === 'white' ? 0 : 1);
    return p ? watch.remaining(p.participant_id) : NaN;
  },
};

/* What is on the screen */

function view(name) {
  document.body.dataset.view = name;
  for (const id of ['setup', 'missing', 'game']) $(id).hidden = id !== name;
}

function banner(text, forMs = 0) {
  clearTimeout(bannerTimer);
  $('banner').textContent = text;
  $('banner').hidden = text === '';
  if (forMs > 0) bannerTimer = setTimeout(() => banner(''), forMs);
}

function announce(text) {
  $('live').textContent = text;
}

function missing(title, text) {
  gone = title;
  $('missing-title').textContent = title;
  $('missing-text').textContent = text;
  view('missing');
  document.title = `${title} · Chess clock`;
}

function player(place) {
  const players = watch?.state?.participants ?? [];
  return [...players].sort((a, b) => a.participant_index - b.participant_index)[place];
}

function activeSide() {
  const id = watch?.state?.active_participant_id;
  return sides.find((side) => id && player(side.place)?.participant_id === id);
}

/** 1:02:03, 4:59, 9.9; rounded up, so that 0.0 means that nothing is left. */
export function format(ms) {
  if (ms < LOW_MS) return (Math.ceil(ms / 100) / 10).toFixed(1);
  const s = Math.ceil(ms / 1000);
  const two = (n) => String(n).padStart(2, '0');
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

const PRIMARY = {
  pending: ['Start', () => client.start(watch.sessionId, { state: watch.state })],
  running: ['Pause', () => client.pause(watch.sessionId, { state: watch.state })],
  paused: ['Resume', () => client.resume(watch.sessionId, { state: watch.state })],
};

function hint(state, side, active) {
  if (state.status === 'pending') {
    return side.place === 1 ? 'Tap to start' : 'Share the link to play on two screens';
  }
  if (!active) return '';
  if (state.status === 'paused') return 'Paused';
  return matchMedia('(hover: hover)').matches
    ? 'Click or press Space'
    : 'Tap when you have moved';
}

function draw(state) {
  gone = null;
  clearTimeout(goneTimer);
  if ($('game').hidden) view('game');
  game.dataset.status = state.status;
  $('version').textContent = `v${state.version}`;
  $('primary').textContent = PRIMARY[state.status]?.[0] ?? 'Over';
  $('primary').disabled = !PRIMARY[state.status];
  for (const side of sides) {
    const p = player(side.place);
    if (!p) continue;
    const active = p.participant_id === state.active_participant_id;
    side.root.classList.toggle('active', active);
    side.press.setAttribute('aria-disabled', String(!active && state.status !== 'pending'));
    side.moves.textContent = p.cycle_count === 1 ? '1 move' : `${p.cycle_count} moves`;
    side.hint.textContent = hint(state, side, active);
  }
  keepAwake(state.status === 'running');
  frame();
}

let told = '';
function tell(state) {
  const turn = activeSide()?.name;
  const text =
    state.status === 'running' ? `${turn} to move` : state.status === 'paused' ? 'Paused' : '';
  if (text && text !== told) announce(text);
  told = text;
}

/** One frame: only what depends on the time. */
function frame() {
  const state = watch?.state;
  if (!state) return;
  for (const side of sides) {
    const p = player(side.place);
    if (!p) continue;
    const left = watch.remaining(p.participant_id);
    const active = p.participant_id === state.active_participant_id;
    const over = p.has_expired || (active && left <= 0);
    const text = format(left);
    if (text !== side.shown) {
      side.shown = text;
      side.time.textContent = text;
      side.root.style.setProperty('--chars', Math.max(4, text.length));
      if (active) document.title = `${text} ${side.name} · Chess clock`;
    }
    if (over && side.flag.hidden) announce(`${side.name} is out of time`);
    side.flag.hidden = !over;
    side.hint.hidden = over;
    side.root.classList.toggle('over', over);
    side.root.classList.toggle('low', left < LOW_MS);
    side.bar.style.setProperty('--left', Math.min(1, left / p.allotted_ms).toFixed(4));
  }
}

function tick() {
  frame();
  requestAnimationFrame(tick);
}

function showClockError() {
  const error = client.clockError();
  $('clock-error').textContent = Number.isFinite(error) ? `± ${Math.ceil(error)} ms` : '± –';
}

async function keepAwake(on) {
  try {
    if (on && !wakeLock && document.visibilityState === 'visible') {
      wakeLock = await navigator.wakeLock?.request('screen');
      wakeLock?.addEventListener('release', () => (wakeLock = null));
    } else if (!on) {
      await wakeLock?.release();
    }
  } catch {
    // a comfort only; low battery refuses it
  }
}

/* The link to the server */

const CONNECTION = {
  connecting: 'Connecting',
  connected: 'Connected',
  reconnecting: 'Reconnecting',
};
let unconnected = 0;

function connection(name) {
  $('connection').dataset.state = name;
  $('connection').textContent = CONNECTION[name];
  if (name === 'connected') {
    clearTimeout(unconnected);
    unconnected = 0;
    if (game.classList.contains('stale')) announce('Connected again');
    game.classList.remove('stale');
    banner('');
    return;
  }
  unconnected ||= setTimeout(() => {
    game.classList.add('stale');
    banner('No connection. Trying again…');
  }, BANNER_AFTER_MS);
}

function notFound() {
  if (resetting || gone) return;
  missing('No such game', 'It may have been deleted, or the link is incomplete.');
}

function onDeleted(id) {
  if (!resetting) {
    clearTimeout(goneTimer);
    goneTimer = setTimeout(
      () => missing('This game was deleted', 'If somebody starts it over, it appears here.'),
      DELETED_AFTER_MS,
    );
    gone = 'deleted';
  }
  if (location.hash.slice(1) === id) follow(id);
}

function follow(id) {
  watch?.close();
  try {
    watch = client.watch(id);
  } catch {
    watch = null;
    return missing('No such game', 'The link is incomplete.');
  }
  connection('connecting');
  watch.on('connected', () => connection('connected'));
  watch.on('disconnected', () => connection('reconnecting'));
  watch.on('reconnecting', () => connection('reconnecting'));
  watch.on('state', (state) => {
    draw(state);
    tell(state);
  });
  watch.on('deleted', () => onDeleted(id));
  watch.on('error', (e) => {
    if (e.code === 'SESSION_NOT_FOUND') notFound();
  });
}

function route() {
  const id = location.hash.slice(1);
  gone = null;
  clearTimeout(goneTimer);
  banner('');
  if (id) return follow(id);
  watch?.close();
  watch = null;
  document.title = 'Chess clock · SyncKairos';
  view('setup');
}

/* What a player does */

/** Run one command at a time; say what went wrong. */
async function act(command) {
  if (busy) return;
  busy = true;
  const side = activeSide();
  const slow = setTimeout(() => side?.root.classList.add('waiting'), 150);
  try {
    await command();
  } catch (e) {
    if (e.status === 409) announce('Somebody was faster');
    else if (e.status === 429) banner('Too fast. Try again in a moment.', 3000);
    else banner(`${e.message}.`.replace(/\.\.$/, '.'), 5000);
  } finally {
    clearTimeout(slow);
    side?.root.classList.remove('waiting');
    busy = false;
  }
}

function press(side) {
  const state = watch?.state;
  if (!state) return;
  if (state.status === 'pending' && side.place === 1) return void act(PRIMARY.pending[1]);
  const p = player(side.place);
  if (state.status !== 'running' || p?.participant_id !== state.active_participant_id) return;
  navigator.vibrate?.(12);
  act(() => client.switch(watch.sessionId, { state, currentParticipantId: p.participant_id }));
}

function primary() {
  const command = PRIMARY[watch?.state?.status];
  if (command) act(command[1]);
}

function body(id, players, ms, increment_ms) {
  return {
    session_id: id,
    sync_mode: 'per_participant',
    total_time_ms: Math.min(86400000, 2 * ms),
    increment_ms,
    participants: players.map((participant_id, participant_index) => ({
      participant_id,
      participant_index,
      total_time_ms: ms,
    })),
  };
}

/** The same game under the same address, so that every window follows. */
async function startOver() {
  const { session_id: id, increment_ms } = watch.state;
  const players = sides.map((side) => player(side.place));
  resetting = true;
  try {
    await client.delete(id);
    await client.create(
      body(
        id,
        players.map((p) => p.participant_id),
        players[0].allotted_ms,
        increment_ms,
      ),
    );
  } finally {
    resetting = false;
    if (location.hash.slice(1) === id && !watch?.connected) follow(id);
  }
}

function custom() {
  const [minutes, seconds, increment] = ['minutes', 'seconds', 'increment'].map(
    (id) => $(id).valueAsNumber,
  );
  return [minutes * 60 + seconds, increment];
}

async function create(event) {
  event.preventDefault();
  const preset = new FormData($('setup-form')).get('preset');
  const [seconds, increment] =
    preset === 'custom' ? custom() : preset.split('+').map((n) => Number(n));
  const problem = (text) => {
    $('setup-error').textContent = text;
    $('setup-error').hidden = text === '';
  };
  if (!(seconds >= 1 && seconds <= 43200))
    return problem('Between 1 second and 12 hours, please.');
  problem('');
  $('create').disabled = true;
  try {
    const id = uuid();
    await client.create(body(id, [uuid(), uuid()], seconds * 1000, increment * 1000));
    location.hash = id;
  } catch (e) {
    problem(e.status === 429 ? 'Too many new games. Wait a minute.' : `${e.message}.`);
  } finally {
    $('create').disabled = false;
  }
}

async function copyLink() {
  const link = $('link');
  link.select();
  try {
    await navigator.clipboard.writeText(link.value);
  } catch {
    document.execCommand('copy'); // plain http has no clipboard
  }
  $('copy').textContent = 'Copied';
  setTimeout(() => ($('copy').textContent = 'Copy link'), 2000);
}

function share() {
  $('link').value = location.href;
  $('open').href = location.href;
  $('share-dialog').showModal();
  $('link').select();
}

function reset() {
  if (!watch?.state) return;
  if (watch.state.status === 'pending') return;
  $('reset-dialog').returnValue = '';
  $('reset-dialog').showModal();
}

function toggleTable() {
  const on = game.classList.toggle('table');
  $('table').setAttribute('aria-pressed', String(on));
}

const KEYS = {
  p: primary,
  r: reset,
  s: share,
  f: () => game.classList.toggle('flipped'),
  t: toggleTable,
};

function onKey(event) {
  if (game.hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector('dialog[open]') || event.target.closest('input')) return;
  if (event.key === ' ' || event.key === 'Enter') {
    if (event.target.closest('.controls')) return; // that button's own business
    event.preventDefault();
    if (event.repeat) return;
    const pending = watch?.state?.status === 'pending';
    const side = pending ? sides[1] : activeSide();
    if (side) press(side);
    return;
  }
  const key = KEYS[event.key.toLowerCase()];
  if (!key || event.repeat) return;
  event.preventDefault();
  key();
}

for (const side of sides) {
  // A clock is pressed when the finger comes down; a click is for those who have no pointer.
  side.press.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    side.pressed = true;
    press(side);
  });
  side.press.addEventListener('click', () => {
    if (!side.pressed) press(side);
    side.pressed = false;
  });
}
document.addEventListener('keydown', onKey);
document.addEventListener('keyup', (event) => {
  if (event.key === ' ' && event.target.closest('.press')) event.preventDefault();
});
document.addEventListener('visibilitychange', () =>
  keepAwake(watch?.state?.status === 'running'),
);
$('primary').addEventListener('click', primary);
$('primary').setAttribute('aria-keyshortcuts', 'P');
$('reset').addEventListener('click', reset);
$('share').addEventListener('click', share);
$('flip').addEventListener('click', KEYS.f);
$('table').addEventListener('click', toggleTable);
$('copy').addEventListener('click', copyLink);
$('reset-dialog').addEventListener('close', () => {
  if ($('reset-dialog').returnValue === 'yes') act(startOver);
});
$('setup-form').addEventListener('submit', create);
$('setup-form').addEventListener('change', () => {
  const own = $('setup-form').elements.preset.value === 'custom';
  $('custom').hidden = !own;
  $('custom').disabled = !own;
  if (own && document.activeElement?.value === 'custom') $('minutes').focus();
});
addEventListener('hashchange', route);
setInterval(showClockError, 250);
requestAnimationFrame(tick);
route();
