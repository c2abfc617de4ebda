/** team.js - per_group: teams with one bank each, whose members take turns. */

import { uuid } from '../synckairos.js';
import { $, h, write } from './dom.js';
import { Face } from './face.js';
import { named, nameOf, participants, splitNames } from './names.js';
import { SessionPage } from './session-page.js';
import { count, countdown } from './words.js';

const key = (id) => String(id).toLowerCase();
let teams = []; // { id, root, face, list }, in the order of the groups

const page = new SessionPage({
  title: 'Team match',
  noun: 'match',
  mode: 'per_group',
  create(form, problem) {
    const sides = ['first', 'second'].map((name) => splitNames(form.get(name)));
    if (sides.some((names) => names.length < 1 || names.length > 10)) {
      problem('Between one and ten players in each team, please, with commas between them.');
      return null;
    }
    const ms = Number(form.get('minutes')) * 60000;
    const groups = sides.map(() => ({ group_id: uuid(), total_time_ms: ms }));
    const people = participants(sides.flat(), ms);
    people.forEach((p, k) => {
      p.group_id = groups[k < sides[0].length ? 0 : 1].group_id;
    });
    return {
      sync_mode: 'per_group',
      total_time_ms: 2 * ms,
      groups,
      participants: people,
      action_on_timeout: { type: form.get('late') },
      metadata: { names: sides.flat() },
    };
  },
  draw(state) {
    if (teams.map((t) => t.id).join() !== state.groups.map((g) => g.group_id).join()) furnish(state);
    const going = ['pending', 'running', 'paused'].includes(state.status);
    for (const { id, root, list } of teams) {
      const active = key(state.active_group_id) === key(id);
      root.classList.toggle('active', active);
      const members = named(state).filter((p) => key(p.group_id) === key(id));
      list.replaceChildren(...members.map(row));
    }
    $('next').hidden = state.status === 'pending' || !going;
    $('next').disabled = state.status !== 'running';
    $('primary').classList.toggle('primary', state.status === 'pending');
    write($('turn'), word(state));
    page.announce($('turn').textContent);
  },
  frame(state) {
    let shown = '';
    for (const [k, { id, face }] of teams.entries()) {
      const group = state.groups[k];
      const active = key(state.active_group_id) === key(id);
      const left = page.watch.remaining(group.members[0]);
      const text = countdown(left);
      const over = group.has_expired || left <= 0;
      face.show({
        text,
        part: left / group.allotted_ms,
        tone: over ? 'over' : active && left < 20000 ? 'low' : '',
        note: over ? 'Out of time' : `Team ${k + 1}`,
      });
      if (active) shown = `${text} Team ${k + 1}`;
    }
    return shown;
  },
});

function furnish(state) {
  teams = state.groups.map((group, k) => {
    const time = h('p', { className: 'time', role: 'timer', ariaLive: 'off' });
    const dial = h('div', { className: 'face' }, time, h('p', { className: 'note' }));
    const list = h('ol', { className: 'list', ariaLabel: 'Players' });
    const root = h('section', { className: 'panel team', ariaLabel: `Team ${k + 1}` }, dial, list);
    return { id: group.group_id, root, list, face: new Face(dial) };
  });
  $('teams').replaceChildren(...teams.map(({ root }) => root));
}

function row(p) {
  return h(
    'li',
    { className: p.is_active ? 'active' : '', ariaCurrent: String(p.is_active) },
    h('span', { className: 'who' }, p.name),
    h('span', { className: 'what' }, count(p.cycle_count, 'turn')),
  );
}

function word(state) {
  const team = (id) => 1 + state.groups.findIndex((g) => key(g.group_id) === key(id));
  if (state.status === 'pending') return 'Ready to start';
  if (state.status === 'paused') return 'Paused';
  if (state.status === 'running')
    return `${nameOf(state, state.active_participant_id)} plays for team ${team(state.active_group_id)}`;
  const late = state.last_timeout?.expired_group_id;
  if (state.status === 'expired' && late && state.groups.length === 2)
    return `Team ${3 - team(late)} has won on time`;
  return 'The match is over';
}

$('next').addEventListener('click', () => page.act('switch'));
page.begin();
