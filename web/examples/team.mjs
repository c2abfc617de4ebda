/** Team competition: each team has one bank for all its members, who take turns. */

import { uuid } from '../synckairos.js';
import { example, expect, people, say, seconds, sleep, until } from './example.mjs';

await example(async (client) => {
  const groups = ['red', 'blue'].map(() => ({ group_id: uuid(), total_time_ms: 2000 }));
  const { participants, name } = people(['Ada', 'Grace', 'Alan', 'Edsger'], 2000, (k) => ({
    group_id: groups[k < 2 ? 0 : 1].group_id,
  }));
  const team = (groupId) => (groupId === groups[0].group_id ? 'red' : 'blue');
  const { session_id: id } = await client.create({
    sync_mode: 'per_group',
    total_time_ms: 4000,
    groups,
    participants,
    action_on_timeout: { type: 'end_session' },
  });
  const watch = client.watch(id);
  const order = [];
  let { active_participant_id: active } = await client.start(id);
  for (let turn = 1; turn <= 4; turn++) {
    order.push(name(active));
    say(`turn ${turn}: ${name(active)}`);
    await sleep(250);
    ({ active_participant_id: active } = await client.switch(id));
  }
  const [red, blue] = (await client.get(id)).groups;
  say(`red has ${seconds(red.time_remaining_ms)}, blue ${seconds(blue.time_remaining_ms)}`);
  expect(order.join() === 'Ada,Alan,Grace,Edsger', 'the teams alternate, and so do their members');

  say('red falls asleep');
  const end = await until(watch, (s) => s.status === 'expired');
  const late = team(end.last_timeout.expired_group_id);
  say(`${late} is out of time, with ${seconds(end.groups[1].total_time_ms)} left to the others`);
  expect(late === 'red' && end.groups[0].has_expired, 'red is out of time');
  expect(end.groups[0].time_used_ms === 2000, 'a team may use what it has, to the millisecond');
});
