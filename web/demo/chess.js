/**
 * chess.js - a chess clock for any number of windows. The session's id is the fragment of the
 * address; who opens that address sees the same clock and may press it.
 *
 * Nothing here keeps time: every frame asks the client what is left. chessClock in the console
 * shows what a window believes.
 */
import { SyncKairosClient, uuid } from '../synckairos.js';
import { carry, isPassing, plans } from './start-over.js';

const LOW_MS = 20000; // below this tenths are shown
const BANNER_AFTER_MS = 1000;
const STARTING_AFTER_MS = 400; // a reset deletes and creates; do not flash a message in between
const STARTING_FOR_MS = 75000; // a reset may have to wait a minute for its turn
const KEPT_AFTER_MS = 700;

const client = new SyncKairosClient({ onRetry: ({ error }) => onHoldup(error) });
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
    flagText: part('.flag-text'),
    bar: part('.bar'),
    pressed: false,
    shown: '',
  };
});

let watch = null;
let busy = null; // the command under way: { version, done }
let queued = false;
let onHoldup = () => {}; // what is under way hears why it takes so long
let kept = false; // a press has not been answered yet
let gone = null; // why there is no game, while there is none
let last = null; // how to start over what was shown last, see planOf()
let starting = null; // { id, text, since, mine }: a game that is being started over
let lost = false; // no connection, for longer than a moment
let outage = null; // when the server was last without its store, see recovered()
let note = '';
let noteTimer = 0;
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

function view(name, section = name) {
  document.body.dataset.view = name;
  for (const id of ['setup', 'missing', 'game']) $(id).hidden = id !== section;
}

/** Why what is shown may not be so, or what is going on; '' when all is well. */
function trouble() {
  if (!watch) return '';
  if (starting?.id === watch.sessionId)
    return performance.now() - starting.since < STARTING_AFTER_MS ? '' : starting.text;
  if (watch.connected && !watch.storeAvailable)
    return 'The server cannot reach its store. Trying again…';
  return lost ? 'No connection. Trying again…' : '';
}

/** Banner, stale look and the little lamp follow what is known. */
function refresh() {
  const why = trouble();
  const held = !kept ? '' : why ? 'Your press is kept.' : 'No answer yet. Your press is kept…';
  const text = note || [why, held].filter(Boolean).join(' ');
  if ($('banner').textContent !== text) $('banner').textContent = text;
  $('banner').hidden = text === '';
  game.classList.toggle('has-banner', text !== '');
  if (game.classList.contains('stale') && why === '') announce('Connected again');
  game.classList.toggle('stale', why !== '');
  if (document.body.dataset.view === 'loading') {
    const over = starting?.id === watch?.sessionId;
    card(over ? 'Starting over…' : 'Loading the game…', why === 'Starting over…' ? '' : why);
  }
  if (!watch?.state && game.classList.contains('stale')) title(why);
}

/** A word for a while. */
function say(text, forMs) {
  clearTimeout(noteTimer);
  note = text;
  if (text) noteTimer = setTimeout(() => say('', 0), forMs);
  refresh();
}

function title(text) {
  const whole = `${text} · Chess clock`;
  if (document.title !== whole) document.title = whole;
}

function sentence(text) {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

function announce(text) {
  $('live').textContent = text;
}

function card(heading, text) {
  $('missing-title').textContent = heading;
  $('missing-text').textContent = text;
  title(heading.replace(/…$/, ''));
}

function missing(heading, text) {
  gone = heading;
  card(heading, text);
  $('again').hidden = true;
  view('missing');
}

/** It is gone, and who was about to start it over may be, too: whoever has seen it can. */
function offerAgain() {
  $('again').hidden = last === null || last.id !== watch?.sessionId;
}

function signIn(e) {
  missing('You need to sign in', `The server says: ${sentence(e.message)}`);
}

const wantsSignIn = (e) => e.status === 401 || e.status === 403 || e.code === 'UNAUTHENTICATED';

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
  const mouse = !matchMedia('(pointer: coarse)').matches;
  if (state.status === 'pending') {
    if (side.place === 0) return 'Share the link to play on two screens';
    return mouse ? 'Click or tap to start' : 'Tap to start';
  }
  if (!active) return '';
  if (state.status === 'paused')
    return recovered(state) ? 'Paused: the server was away' : 'Paused';
  return mouse ? 'Click or press Space' : 'Tap when you have moved';
}

/** A pause of before the store was back, which nobody here has seen asked for: the server's. */
function recovered(state) {
  if (outage?.id !== state.session_id || state.version !== outage.version + 1) return false;
  return Date.parse(state.paused_at) < outage.until; // Date only as a parser
}

function draw(state) {
  gone = null;
  clearTimeout(goneTimer);
  if (!starting?.mine) starting = null;
  last = planOf(state);
  if ($('game').hidden) view('game');
  game.dataset.status = state.status;
  $('version').textContent = `v${state.version}`;
  $('primary').textContent = PRIMARY[state.status]?.[0] ?? 'Over';
  $('primary').disabled = !PRIMARY[state.status];
  $('reset').disabled = state.status === 'pending' || !last;
  if (state.status === 'pending' && $('reset-dialog').open) $('reset-dialog').close('no');
  for (const side of sides) {
    const p = player(side.place);
    if (!p) continue;
    const active = p.participant_id === state.active_participant_id;
    side.root.classList.toggle('active', active);
    side.press.setAttribute('aria-disabled', String(!active && state.status !== 'pending'));
    side.moves.textContent = p.cycle_count === 1 ? '1 move' : `${p.cycle_count} moves`;
    side.hint.textContent = hint(state, side, active);
    side.flagText.textContent =
      state.status === 'running' && active ? 'Time is up. Play may go on.' : 'Out of time';
  }
  keepAwake(state.status === 'running');
  frame();
  refresh();
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
    }
    if (over && side.flag.hidden) announce(`${side.name} is out of time`);
    side.flag.hidden = !over;
    side.hint.hidden = over;
    side.root.classList.toggle('over', over);
    side.root.classList.toggle('low', left < LOW_MS);
    side.bar.style.setProperty('--left', Math.min(1, left / p.allotted_ms).toFixed(4));
  }
  titleOf(state);
}

const TITLES = { pending: 'Ready', paused: 'Paused' };

function titleOf(state) {
  const side = activeSide();
  const clock = side ? `${side.shown} ${side.name}` : '';
  if (state.status === 'running') title(clock);
  else title([TITLES[state.status] ?? 'Over', clock].filter(Boolean).join(' '));
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
  away: 'No store',
};
let unconnected = 0;

function connection(name) {
  $('connection').dataset.state = name;
  $('connection').textContent = CONNECTION[name];
  if (watch?.connected) {
    clearTimeout(unconnected);
    unconnected = 0;
    lost = false;
  } else {
    unconnected ||= setTimeout(() => {
      lost = true;
      refresh();
    }, BANNER_AFTER_MS);
  }
  refresh();
}

function onConnected() {
  connection(watch.storeAvailable ? 'connected' : 'away');
  say('', 0);
}

function onStore(available) {
  const state = watch.state;
  if (!available && state?.status === 'running')
    outage = { id: state.session_id, version: state.version, until: Infinity };
  else if (available && outage) outage.until = client.serverNow();
  connection(available ? 'connected' : 'away');
}

function notFound() {
  if (starting?.id === watch?.sessionId || gone) return;
  missing('No such game', 'It may have been deleted, or the link is incomplete.');
  offerAgain();
}

/** The page itself only deletes a game to start it over, so that is what to expect. */
function onDeleted(id) {
  if (starting?.id !== id) {
    startingOver({ id, text: 'Starting over… The old game was deleted.' });
    clearTimeout(goneTimer);
    goneTimer = setTimeout(() => {
      starting = null;
      missing('This game was deleted', 'If somebody starts it over, it appears here.');
      offerAgain();
    }, STARTING_FOR_MS);
  }
  if (location.hash.slice(1) === id) follow(id);
}

function startingOver(what) {
  starting = { since: performance.now(), ...what };
  setTimeout(refresh, STARTING_AFTER_MS);
  refresh();
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
  watch.on('connected', onConnected);
  watch.on('store', ({ available }) => onStore(available));
  watch.on('disconnected', () => connection('reconnecting'));
  watch.on('reconnecting', () => connection('reconnecting'));
  watch.on('state', (state) => {
    draw(state);
    tell(state);
  });
  watch.on('deleted', () => onDeleted(id));
  watch.on('error', (e) => {
    if (e.code === 'SESSION_NOT_FOUND') notFound();
    else if (wantsSignIn(e)) signIn(e);
  });
}

function route() {
  const id = location.hash.slice(1);
  gone = null;
  if (!starting?.mine) starting = null;
  clearTimeout(goneTimer);
  say('', 0);
  if (id) {
    view('loading', 'missing');
    $('again').hidden = true;
    card('Loading the game…', '');
    follow(id);
    const plan = plans.read(id);
    if (watch && plan && starting?.id !== id) carryOut(plan);
    return;
  }
  watch?.close();
  watch = null;
  document.title = 'Chess clock · SyncKairos';
  view('setup');
}

/* What a player does */

/**
 * Run one command at a time. A second press on the same state is impatience; one on a later
 * state, which the push brought before the answer, is meant and waits for its turn.
 */
async function act(command) {
  const version = watch?.state?.version;
  if (busy) {
    if (queued || version === busy.version) return;
    queued = true;
    await busy.done;
    queued = false;
  }
  const mine = { version };
  mine.done = run(command).finally(() => {
    if (busy === mine) busy = null;
  });
  busy = mine;
  await mine.done;
}

/** Say what it waits for and what went wrong. */
async function run(command) {
  const side = activeSide();
  const keep = () => {
    kept = true;
    refresh();
  };
  const slow = setTimeout(() => side?.root.classList.add('waiting'), 150);
  const held = setTimeout(keep, KEPT_AFTER_MS);
  if (!watch?.connected || !watch.storeAvailable) keep();
  onHoldup = keep;
  try {
    await command();
  } catch (e) {
    if (e.status === 409) announce('Somebody was faster');
    else if (e.status === 429) say('Too fast. Try again in a moment.', 3000);
    else if (wantsSignIn(e)) signIn(e);
    else if (isPassing(e)) say(`${sentence(e.message)} If it did not count, press again.`, 6000);
    else say(sentence(e.message), 5000);
  } finally {
    clearTimeout(slow);
    clearTimeout(held);
    side?.root.classList.remove('waiting');
    onHoldup = () => {};
    kept = false;
    refresh();
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

/** null for a session that this page cannot make again: it has not come from here. */
function planOf(state) {
  const players = sides.map((side) => player(side.place));
  const known = state.sync_mode === 'per_participant' && state.participants.length === 2;
  if (!known) return null;
  const ids = players.map((p) => p.participant_id);
  const fresh = body(state.session_id, ids, players[0].allotted_ms, state.increment_ms);
  return { id: watch.sessionId, epoch: state.epoch, body: fresh };
}

/** The same game under the same address, so that every window follows. */
function startOver() {
  if (starting || !last || last.id !== watch?.sessionId) return;
  if (gone) view('loading', 'missing');
  gone = null;
  plans.write(last);
  carryOut(last);
}

async function carryOut(plan) {
  startingOver({ id: plan.id, text: 'Starting over…', mine: true });
  clearTimeout(goneTimer);
  let failure = null;
  onHoldup = (e) => waitingFor(sentence(e.message));
  try {
    await carry(client, plan, (e, seconds) => {
      const asked = `Too many new games: the server lets it in ${seconds} s.`;
      waitingFor(e.status === 429 ? asked : `${sentence(e.message)} Trying again…`);
    });
  } catch (e) {
    failure = e;
  }
  onHoldup = () => {};
  if (!failure || !wantsSignIn(failure)) plans.drop(plan.id);
  if (starting?.id === plan.id) starting = null;
  if (watch?.sessionId !== plan.id) return;
  if (failure && wantsSignIn(failure)) return signIn(failure);
  if (failure && !watch.state) missing('It could not start over', sentence(failure.message));
  else if (failure) say(sentence(failure.message), 5000);
  if (!watch.connected) follow(plan.id);
  refresh();
}

function waitingFor(reason) {
  if (!starting?.mine) return;
  starting.text = `Starting over… ${reason}`;
  refresh();
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
  $('create').textContent = 'Creating…';
  const slow = setTimeout(() => problem('Waiting for the server…'), KEPT_AFTER_MS);
  onHoldup = (e) => {
    clearTimeout(slow);
    problem(`${sentence(e.message)} Trying again…`);
  };
  try {
    const id = uuid();
    await client.create(body(id, [uuid(), uuid()], seconds * 1000, increment * 1000));
    problem('');
    location.hash = id;
  } catch (e) {
    const wait = Math.ceil((e.retryAfterMs ?? 60000) / 1000);
    if (e.status === 429) problem(`Too many new games. Try again in ${wait} s.`);
    else problem(`${wantsSignIn(e) ? 'You need to sign in. ' : ''}${sentence(e.message)}`);
  } finally {
    clearTimeout(slow);
    onHoldup = () => {};
    $('create').disabled = false;
    $('create').textContent = 'Create the game';
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
  if (!watch?.state || $('reset').disabled) return;
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
  t: () => $('table').offsetParent && toggleTable(), // where it does something
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
$('again').addEventListener('click', startOver);
$('share').addEventListener('click', share);
$('flip').addEventListener('click', KEYS.f);
$('table').addEventListener('click', toggleTable);
$('copy').addEventListener('click', copyLink);
$('reset-dialog').addEventListener('close', () => {
  if ($('reset-dialog').returnValue === 'yes') startOver();
});
$('setup-form').addEventListener('submit', create);
$('setup-form').addEventListener('change', () => {
  const own = $('setup-form').elements.preset.value === 'custom';
  $('custom').hidden = !own;
  $('custom').disabled = !own;
  if (own && document.activeElement?.value === 'custom') $('minutes').focus();
});
addEventListener('hashchange', route);
setInterval(() => {
  showClockError();
  if (document.hidden) frame(); // no frames there, but its title is seen
}, 250);
requestAnimationFrame(tick);
route();
