/** Auction: one bank for all bidders; a bid in the last moment gives the others time again. */

import { example, expect, people, say, seconds, sleep, until } from './example.mjs';

const AT_LEAST_MS = 2000; // what the others have after a bid

await example(async (client) => {
  const { participants, id: idOf, name } = people(['Ada', 'Grace', 'Alan'], 3000);
  const { session_id: id } = await client.create({
    sync_mode: 'global',
    total_time_ms: 3000,
    participants,
    metadata: { lot: 'an abacus', price: 100, step: 10 },
  });
  const watch = client.watch(id);
  let bidder = (await client.start(id)).active_participant_id;
  say(`${name(bidder)} opens at 100`);

  for (const [who, afterMs] of [['Grace', 400], ['Alan', 1000], ['Grace', 600]]) {
    await sleep(afterMs);
    const { active_participant_id, cycle_number } = await client.switch(id, {
      nextParticipantId: idOf(who),
    });
    bidder = active_participant_id;
    say(`${who} bids ${100 + 10 * (cycle_number - 1)}, with ${seconds(watch.clock())} left`);
    if (watch.clock() >= AT_LEAST_MS) continue;
    await client.adjust(id, bidder, { total_time_ms: AT_LEAST_MS, reason: 'bid at the last moment' });
    say(`the others have ${seconds(AT_LEAST_MS)} to think`);
  }
  const end = await until(watch, (s) => s.status === 'expired');
  say(`sold to ${name(bidder)} for ${100 + 10 * (end.cycle_number - 1)}`);
  expect(name(bidder) === 'Grace' && end.cycle_number === 4, 'three bids after the first');
  const used = end.participants.reduce((sum, p) => sum + p.time_used_ms, 0);
  expect(used > 3000, 'late bids have made it longer');
});
