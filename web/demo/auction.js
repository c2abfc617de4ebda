/**
 * auction.js - global: one bank for all bidders. A bid is a switch to the bidder, so the number of
 * the turn is the price; one that comes late sets the clock, so that the others can answer.
 */

import { $, h, write } from './dom.js';
import { Face } from './face.js';
import { history } from './history.js';
import { named, nameOf, participants, splitNames } from './names.js';
import { SessionPage } from './session-page.js';
import { countdown, passed } from './words.js';

const LATE_MS = 10000; // after a bid the others have this long

const face = new Face($('face'));
let highest = null; // { id, version }: who was seen to lead last
let asked = ''; // the session whose history was asked for

const page = new SessionPage({
  title: 'Auction',
  noun: 'auction',
  mode: 'global',
  create(form, problem) {
    const bidders = splitNames(form.get('names'));
    if (bidders.length < 2 || bidders.length > 20) {
      problem('Between two and twenty bidders, please, with commas between them.');
      return null;
    }
    const ms = Number(form.get('seconds')) * 1000;
    const names = ['The house', ...bidders]; // who leads before the first bid
    return {
      sync_mode: 'global',
      total_time_ms: ms,
      participants: participants(names, ms),
      metadata: {
        names,
        lot: String(form.get('lot')).trim(),
        price: Number(form.get('price')),
        step: Number(form.get('step')),
      },
    };
  },
  draw(state) {
    const { lot, price, step } = terms(state);
    const bidders = named(state).slice(1);
    const leads = leader(state);
    const next = price + step * Math.max(0, state.cycle_number - 1);
    write($('lot'), lot);
    write($('price'), state.cycle_number > 1 ? `${next - step} €` : `from ${price} €`);
    write($('turn'), word(state, leads));
    if ($('me').options.length !== bidders.length) {
      $('me').replaceChildren(...bidders.map((p, k) => h('option', { value: k }, p.name)));
    }
    $('bid').hidden = state.status === 'pending' || !going(state);
    write($('bid'), `Bid ${next} €`);
    $('bid').disabled = state.status !== 'running' || me(state).participant_id === leads;
    $('primary').classList.toggle('primary', state.status === 'pending');
    $('bidders').replaceChildren(...bidders.map((p) => row(p, p.participant_id === leads)));
    page.announce(`${$('price').textContent}. ${$('turn').textContent}`);
  },
  frame(state) {
    const left = page.watch.clock();
    const over = state.status === 'expired';
    const text = countdown(left);
    face.show({
      text,
      part: left / Math.max(state.allotted_ms, LATE_MS),
      tone: over ? 'over' : left < LATE_MS / 2 ? 'low' : '',
      note: over ? 'Sold' : { pending: 'Not open yet', paused: 'Paused' }[state.status] ?? 'to bid',
    });
    return going(state) ? `${text} ${$('price').textContent}` : '';
  },
});

const going = (state) => ['pending', 'running', 'paused'].includes(state.status);
const me = (state) => state.participants[1 + Math.max(0, $('me').selectedIndex)];

function terms(state) {
  const { lot = 'Lot 1', price = 100, step = 10 } = state.metadata ?? {};
  return { lot, price, step };
}

/** The participant with the highest bid; at the end nobody is active any more. */
function leader(state) {
  if (state.cycle_number < 2) return null;
  if (going(state)) highest = { id: state.active_participant_id, version: state.version };
  else if (highest?.version !== state.version - 1) askWho(state);
  return highest?.id ?? null;
}

async function askWho(state) {
  if (asked === state.session_id) return;
  asked = state.session_id;
  highest = null;
  const end = (await history(page.client, state)).find((e) => e.version === state.version);
  if (page.state?.session_id !== state.session_id || !end?.participant_id) return;
  highest = { id: end.participant_id, version: state.version - 1 };
  page.redraw();
}

function word(state, leads) {
  const name = nameOf(state, leads);
  if (state.status === 'pending') return 'The auction has not begun';
  if (state.status === 'expired' && state.cycle_number < 2) return 'Nobody has made a bid';
  if (!going(state)) return name ? `Sold to ${name}` : 'Sold';
  return name ? `${name} leads` : 'Who makes the first bid?';
}

function row(p, leads) {
  return h(
    'li',
    { className: leads ? 'active' : '', ariaCurrent: String(leads) },
    h('span', { className: 'who' }, p.name),
    h('span', { className: 'what' }, leads ? 'highest bid' : ''),
    h('span', { className: 'soft' }, `led ${passed(p.time_used_ms)}`),
  );
}

async function bid() {
  const state = page.state;
  if (state?.status !== 'running') return;
  const { participant_id: id } = me(state);
  navigator.vibrate?.(12);
  await page.act('switch', { nextParticipantId: id });
  const now = page.state;
  if (now?.active_participant_id !== id || page.watch.clock() >= LATE_MS) return;
  page.run(() =>
    page.client.adjust(now.session_id, id, { total_time_ms: LATE_MS, reason: 'a late bid' }),
  );
}

$('bid').addEventListener('click', bid);
$('me').addEventListener('change', () => page.redraw());
page.begin();
