/**
 * chess.js - a chess clock for any number of windows. The session's id is the fragment of the
 * address; who opens that address sees the same clock and may press it.
 *
 * Nothing here keeps time: every frame asks the client what is left. chessClock in the console
 * shows what a window believes.
 */
import { guestToken } from './guest.js';
import { SyncKairosClient, uuid } from '../synckairos.js';
import { Commands } from './commands.js';
import { besides, controlOf, showControl } from './controls.js';
import { createForm, createHeldUp } from './create-form.js';
import { $, write } from './dom.js';
import { Link } from './link.js';
import { shareDialog } from './share.js';
import { carry, plans } from './start-over.js';
import { keepAwake } from './wake-lock.js';
import { bound, count, countdown, isPassing, sentence, wantsSignIn } from './words.js';

const LOW_MS = 20000;
const STARTING_AFTER_MS = 400; // a reset deletes and creates; do not flash a message in between
const STARTING_FOR_MS = 75000; // a reset may have to wait a minute for its turn

const client = new SyncKairosClient({
  token: guestToken,
  onRetry: ({ error }) => {
    createHeldUp(error);
    commands.heldUp();
    if (starting?.mine) waitingFor(sentence(error.message));
  },
});
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
let gone = null; // why there is no game, while there is none
let last = null; // how to start over what was shown last, see planOf()
let starting = null; // { id, text, since, mine }: a game that is being started over
let outage = null; // when the server was last without its store, see recovered()
let note = '';
let noteTimer = 0;
let goneTimer = 0;

const link = new Link($('connection'), () => refresh());
const commands = new Commands({
  watch: () => watch,
  changed: () => refresh(),
  slow() {
    const side = activeSide();
    side?.root.classList.add('waiting');
    return () => side?.root.classList.remove('waiting');
  },
  failed: (e) => failed(e),
});
const share = shareDialog(
  'Play in two windows',
  'Open this link on another screen. Both clocks run together, and either can be pressed.',
);

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
  return link.trouble();
}

/** Banner, stale look and the little lamp follow what is known. */
function refresh() {
  const why = trouble();
  const held = !commands.kept ? '' : why ? 'Your press is kept.' : 'No answer yet. Your press is kept…';
  const text = note || [why, held].filter(Boolean).join(' ');
  write($('banner'), text);
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

function player(place) {
  const players = watch?.state?.participants ?? [];
  return [...players].sort((a, b) => a.participant_index - b.participant_index)[place];
}

function activeSide() {
  const id = watch?.state?.active_participant_id;
  return sides.find((side) => id && player(side.place)?.participant_id === id);
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
    const beside = besides(watch.counters(p.participant_id));
    write(side.moves, [count(p.cycle_count, 'move'), beside].filter(Boolean).join(' · '));
    const text = countdown(left);
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

/* The link to the server */

function onStore(available) {
  const state = watch.state;
  if (!available && state?.status === 'running')
    outage = { id: state.session_id, version: state.version, until: Infinity };
  else if (available && outage) outage.until = client.serverNow();
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
  link.follow(watch);
  watch.on('connected', () => say('', 0));
  watch.on('store', ({ available }) => onStore(available));
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
  link.follow(null);
  document.title = 'Chess clock · SyncKairos';
  view('setup');
}

/* What a player does */

function failed(e) {
  if (e.status === 409) announce('Somebody was faster');
  else if (e.status === 429) say('Too fast. Try again in a moment.', 3000);
  else if (wantsSignIn(e)) signIn(e);
  else if (isPassing(e)) say(`${sentence(e.message)} If it did not count, press again.`, 6000);
  else say(sentence(e.message), 5000);
}

function press(side) {
  const state = watch?.state;
  if (!state) return;
  if (state.status === 'pending' && side.place === 1) return void commands.act(PRIMARY.pending[1]);
  const p = player(side.place);
  if (state.status !== 'running' || p?.participant_id !== state.active_participant_id) return;
  navigator.vibrate?.(12);
  commands.act(() =>
    client.switch(watch.sessionId, { state, currentParticipantId: p.participant_id }),
  );
}

function primary() {
  const command = PRIMARY[watch?.state?.status];
  if (command) commands.act(command[1]);
}

function body(id, players, ms, control) {
  return {
    session_id: id,
    sync_mode: 'per_participant',
    total_time_ms: Math.min(86400000, 2 * ms),
    ...control,
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
  const { time_control, increment_ms } = state;
  const control = time_control ? { time_control } : { increment_ms };
  const fresh = body(state.session_id, ids, players[0].allotted_ms, control);
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
  try {
    await carry(client, plan, (e, seconds) => {
      const asked = `Too many new games: the server lets it in ${seconds} s.`;
      waitingFor(e.status === 429 ? asked : `${sentence(e.message)} Trying again…`);
    });
  } catch (e) {
    failure = e;
  }
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

function create(form, problem) {
  const preset = form.get('preset');
  const [seconds, increment] =
    preset === 'custom' ? custom() : preset.split('+').map((n) => Number(n));
  if (!(seconds >= 1 && seconds <= 43200)) {
    problem('Between 1 second and 12 hours, please.');
    return null;
  }
  const control = controlOf(form, increment * 1000);
  return body(uuid(), [uuid(), uuid()], seconds * 1000, control);
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
$('reset-dialog').addEventListener('close', () => {
  if ($('reset-dialog').returnValue === 'yes') startOver();
});
createForm(client, 'games', create);
$('setup-form').addEventListener('change', (event) => {
  if (event.target === $('control')) showControl();
  const own = $('setup-form').elements.preset.value === 'custom';
  $('custom').hidden = !own;
  $('custom').disabled = !own;
  if (own && document.activeElement?.value === 'custom') $('minutes').focus();
});
showControl();
addEventListener('hashchange', route);
setInterval(() => {
  write($('clock-error'), bound(client.clockError()));
  if (document.hidden) frame(); // no frames there, but its title is seen
}, 250);
requestAnimationFrame(tick);
route();
