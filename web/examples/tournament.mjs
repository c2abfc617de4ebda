/** Tournament: one screen shows many boards, over one socket that says only what has changed. */

import { example, expect, people, say, sleep, until } from './example.mjs';

const BOARDS = 12;

await example(async (client) => {
  const boards = [];
  for (let n = 1; n <= BOARDS; n++) {
    const { participants } = people(['White', 'Black'], 60000);
    const { session_id } = await client.create({
      sync_mode: 'per_participant',
      total_time_ms: 120000,
      participants,
      metadata: { board: n },
    });
    boards.push(session_id);
  }
  const watches = boards.map((id) => client.watch(id));
  await Promise.all(watches.map((watch) => until(watch, (s) => s.status === 'pending')));
  say(`${watches.length} boards are shown`);
  const heard = new Set();
  for (const watch of watches) watch.on('state', (state, { from }) => heard.add(from));

  await Promise.all(boards.map((id) => client.start(id)));
  await sleep(300);
  await Promise.all(boards.map((id, k) => (k % 2 ? client.switch(id) : client.pause(id))));
  const pushed = watches.map((watch) => until(watch, (s) => s.version === 3));
  for (const [k, state] of (await Promise.all(pushed)).entries()) {
    expect(state.status === (k % 2 ? 'running' : 'paused'), `board ${k + 1} shows its last word`);
  }
  expect(heard.has('STATE_DELTA'), 'changes instead of states');
  const { sessions, missing } = await client.batch(boards);
  say(`the server says of ${sessions.length} boards what the screen shows`);
  expect(missing.length === 0, 'no board is missing');
  for (const whole of sessions) {
    const { session_id, version } = whole;
    const shown = watches[boards.indexOf(session_id)].state;
    expect(shown.version === version, 'the newest version is shown');
    const clocks = (x) => x.participants.map((p) => p.total_time_ms).join();
    expect(clocks(shown) === clocks(whole), 'put together from changes, it is the same');
  }
  await Promise.all(boards.map((id) => client.delete(id)));
  say('the hall is empty');
}, { delta: true });
