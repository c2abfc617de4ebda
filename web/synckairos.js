/**
 * synckairos.js - the SyncKairos client: one ES module without dependencies, whole in one file
 * so that it can be copied; types in synckairos.d.ts.
 *
 *   const client = new SyncKairosClient();          // same origin, or { baseUrl, wsUrl }
 *   const state = await client.create({ sync_mode: 'per_participant', ... });
 *   const watch = client.watch(state.session_id);
 *   watch.on('state', (s) => draw(s));              // and watch.remaining(id) on every frame
 *   await client.switch(state.session_id, { currentParticipantId: me });
 *
 * Time. Nobody ticks: a remaining time is computed from the state and the server's clock. That
 * clock is measured over performance.now(), never over Date, which people and daemons set. See
 * ServerClock.
 *
 * Sockets. Up to 50 watched sessions share one. With `delta` the server sends what has changed.
 *
 * Lost answers. A request that ends in a network error, a time-out, 502, 503 or 504 may or may
 * not have been carried out. Reads and `delete` are simply repeated. A command, and `create`, is
 * repeated with the Idempotency-Key and the `expected_version` of its first try: the server
 * carries it out once and repeats its first answer. Where it no longer knows the key (64 others
 * came in between), the version still sees to it that nothing happens twice. When the repetition
 * is refused, the client reads the session and compares it with what it knew:
 *   - what the command asked for is true (started, paused, running again, completed, the turn
 *     that was to be handed over has ended): it resolves. Whether our own lost request or
 *     somebody's equal one did it cannot be told apart, and it happened once either way;
 *   - it certainly has not happened (a switch: the same turn is still open; a resume: the same
 *     pause lasts; ...): it is sent again with the new version, or, when the caller chose the
 *     version, rejects with the server's refusal;
 *   - else it rejects with OUTCOME_UNKNOWN.
 * A 409 that nothing lost preceded is handled by the second rule too, as what came in between
 * may well leave the command valid. A rejection with OUTCOME_UNKNOWN or status 0, 502, 503, 504
 * leaves a command's outcome open; every other one means that it was not carried out.
 */

// Times in states are floored to 1 ms; the rest is for the server's view of its store's clock.
const SERVER_ERROR_MS = 2;
const DRIFT = 200e-6; // two ordinary crystals, 100 ppm each
const SLEW = 0.5; // how much slower the shown time runs while it is ahead
const SAMPLES = 64;

const BURST = 8;
const BURST_EVERY_MS = 120;
const PING_EVERY_MS = 2500; // what a PONG says of the store is known this soon
const PING_AWAY_MS = 1000;
const SILENCE_MS = 6000; // a ping this old without any message since: the link is dead
const CONNECT_MS = 5000;
const SYNC_MS = 1500; // CONNECTED without a state for this long: ask
const SYNC_AGAIN_MS = 5000;
const POLL_MS = 3000;
const WAKE_MS = 3000;
const BACKOFF_MS = 250;
// In an outage's first minute, so that its end is noticed within 2 s; slower later.
const BACKOFF_CAP_MS = 1500;
const BACKOFF_SLOW_CAP_MS = 5000;
const BARRED_MS = 30000; // without a sign-in no try will succeed soon
const OUTAGE_MS = 60000;
const AIMS = 3;
const KNOWN = 256;
const LARGE = 64; // participants
const PUSH_MS = 1000; // behind the answer to a command
const LINE_MAX = 50; // 50 SUBSCRIBE and the pings of a minute stay below 100 messages
const BATCH_MAX = 50;
const PROTOCOL = 'synckairos.v1';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const LOST = new Set([0, 502, 503, 504]);

/** What the server says of a session that does not exist. */
const notFound = (sessionId) => ({
  type: 'ERROR',
  code: 'SESSION_NOT_FOUND',
  message: `Session ${sessionId} not found`,
  status: 404,
});

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const backoff = (n, cap) => Math.min(cap, BACKOFF_MS * 2 ** n) * (0.5 + Math.random() / 2);
const key = (id) => String(id).toLowerCase();

/** Which state a message goes with, and when that was made. */
const stamp = ({ version, epoch, timestamp }) => ({ version, epoch, timestamp });

/** The same session? What follows the point in an epoch only counts restarts of the store. */
const sameLife = (a, b) => (a.epoch ?? '').split('.')[0] === (b.epoch ?? '').split('.')[0];

/** A random UUID; crypto.randomUUID is missing on plain http, as in a home network. */
export function uuid() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}

/** Is state a newer than b? Epochs sort as text; within one the version counts. */
export function isNewer(a, b) {
  if (!b) return true;
  const [ea, eb] = [a.epoch ?? '', b.epoch ?? ''];
  return ea === eb ? a.version > b.version : ea > eb;
}

/** Running time since the state's last change, ms; Date only as a parser. */
function openAt(state, at) {
  if (state.status !== 'running' || !state.cycle_started_at) return 0;
  return Math.max(0, at - Date.parse(state.cycle_started_at));
}

function participantOf(state, participantId) {
  const id = key(participantId);
  return state.participants.find((p) => key(p.participant_id) === id);
}

/** What was left when the state was shown, brought up to `at`; no clock yet: as it was shown. */
function shownAt(state, at) {
  const shown = state.time_remaining_ms;
  if (shown === undefined) return NaN;
  if (state.status !== 'running' || Number.isNaN(at)) return shown;
  return Math.max(0, shown - Math.max(0, at - Date.parse(state.server_time)));
}

/** Whose turn it is while clocks run. */
function runnerOf(state) {
  if (state.status !== 'running' || !state.cycle_started_at) return undefined;
  return participantOf(state, state.active_participant_id);
}

/** When the last period of the runner ends; the answer of a switch has no deadline. */
function overtimeEnd(state, p) {
  if (state.deadline_at) return Date.parse(state.deadline_at);
  const period = state.time_control.period_ms;
  const more = (p.periods_left ?? 1) * period;
  if (p.total_time_ms > 0) return Date.parse(state.cycle_started_at) + p.total_time_ms + more;
  return Date.parse(state.server_time) + p.time_remaining_ms + more - period;
}

/** How many periods are not used up when the last one ends `ms` later. */
const periodsIn = (state, ms) => Math.max(0, Math.ceil(ms / state.time_control.period_ms));

/** What the runner's clock shows where that is not a bank that burns. */
const SHOWN = {
  delay: (state, p, at) => {
    const run = at - Date.parse(state.server_time);
    return p.time_remaining_ms - Math.max(0, run - p.delay_left_ms);
  },
  byoyomi: (state, p, at) => {
    const bank = p.total_time_ms - openAt(state, at);
    const rest = overtimeEnd(state, p) - at;
    const later = Math.max(0, periodsIn(state, rest) - 1) * state.time_control.period_ms;
    return bank > 0 ? bank : rest - later;
  },
  canadian: (state, p, at) => {
    const bank = p.total_time_ms - openAt(state, at);
    return bank > 0 ? bank : overtimeEnd(state, p) - at;
  },
};

/** A participant's own clock, not at zero, as the time control says. */
function ownAt(state, p, at) {
  const runner = runnerOf(state);
  const type = state.time_control?.type;
  const stands = type ? p.time_remaining_ms : p.total_time_ms;
  if (!runner) return stands;
  if (Number.isNaN(at)) return p.time_remaining_ms; // no clock yet: as of server_time
  if (runner === p)
    return Math.max(0, SHOWN[type]?.(state, p, at) ?? p.total_time_ms - openAt(state, at));
  if (type !== 'hourglass') return stands;
  return p.total_time_ms + Math.min(runner.total_time_ms, openAt(state, at));
}

/**
 * What is left to a participant at the server time `at` (epoch ms), 0 or more; NaN for one who is
 * not in the session, and where nothing burns (count_up). Once a bank is gone, it is what the
 * running period of the time control has left. In per_group that is the bank of
 * the group, in per_cycle the own one; the clock of the turn, and that of a whole session, is
 * clockAt.
 */
export function remainingAt(state, participantId, at) {
  const p = participantOf(state, participantId);
  if (!p || p.time_remaining_ms === undefined) return NaN;
  if (state.sync_mode === 'global') return shownAt(state, at);
  if (state.sync_mode === 'per_cycle') return p.total_time_ms;
  if (p.has_expired) return 0;
  const group = state.groups?.find((x) => key(x.group_id) === key(p.group_id));
  if (!group) return ownAt(state, p, at);
  const active = key(state.active_group_id) === key(group.group_id);
  const bank = group.total_time_ms;
  if (!active || state.status !== 'running' || !state.cycle_started_at) return bank;
  if (Number.isNaN(at)) return p.time_remaining_ms; // no clock yet: as of server_time
  return Math.max(0, bank - openAt(state, at));
}

/**
 * The counters that a time control shows beside a participant's clock, at the server time `at`:
 * delay_left_ms, periods_left, moves_left, stage, each only where there is one.
 */
export function countersAt(state, participantId, at) {
  const p = participantOf(state, participantId);
  const counters = {};
  for (const name of ['delay_left_ms', 'periods_left', 'moves_left', 'stage'])
    if (p?.[name] !== undefined) counters[name] = p[name];
  if (!p || p.has_expired || runnerOf(state) !== p || Number.isNaN(at)) return counters;
  if (counters.delay_left_ms !== undefined) {
    const run = Math.max(0, at - Date.parse(state.server_time));
    counters.delay_left_ms = Math.max(0, counters.delay_left_ms - run);
  }
  if (counters.periods_left !== undefined) {
    const begin = Date.parse(state.cycle_started_at) + p.total_time_ms;
    counters.periods_left = periodsIn(state, overtimeEnd(state, p) - Math.max(at, begin));
  }
  return counters;
}

/**
 * What the clock that runs has left: the session's where it has one (per_cycle, global, count_up
 * with a limit), else that of the active participant; NaN where there is none.
 */
export function clockAt(state, at) {
  if (state.time_remaining_ms !== undefined) return shownAt(state, at);
  return state.active_participant_id ? remainingAt(state, state.active_participant_id, at) : NaN;
}

/** Mode count_up: the running time without pauses; NaN in other modes. */
export function elapsedAt(state, at) {
  if (state.time_elapsed_ms === undefined) return NaN;
  if (state.status !== 'running' || Number.isNaN(at)) return state.time_elapsed_ms;
  return state.time_elapsed_ms + Math.max(0, at - Date.parse(state.server_time));
}

/** What a group has, by what its first member shows. */
function groupAfter(group, state, at) {
  const p = participantOf(state, group.members[0]);
  const active = key(state.active_group_id) === key(group.group_id);
  const left = p.time_remaining_ms;
  return { ...group, time_remaining_ms: left, total_time_ms: left + (active ? openAt(state, at) : 0) };
}

/** A known state after a switch whose answer is `part`: that says nothing of the session's clock. */
function withSwitch(known, part) {
  const { deadline_at: _, ...before } = known; // that of the turn that has ended
  const at = Date.parse(part.server_time);
  const state = { ...before, ...part, updated_at: part.server_time };
  const turn = known.time_per_cycle_ms ?? known.total_time_ms;
  if (known.sync_mode === 'per_cycle') state.time_remaining_ms = turn - openAt(state, at);
  else if (known.time_remaining_ms !== undefined) state.time_remaining_ms = shownAt(known, at);
  if (known.time_elapsed_ms !== undefined) state.time_elapsed_ms = elapsedAt(known, at);
  if (known.groups) {
    const p = participantOf(state, state.active_participant_id);
    state.active_group_id = p ? (p.group_id ?? p.participant_id) : null;
    state.groups = known.groups.map((group) => groupAfter(group, state, at));
  }
  return state;
}

// null is a value of these; of the others it says that they are gone.
const NULLABLE = new Set([
  'active_participant_id',
  'active_group_id',
  'cycle_started_at',
  'paused_at',
  'session_completed_at',
  'session_started_at',
  'time_per_cycle_ms',
]);

/** A merge patch (RFC 7396). */
function merged(target, patch, keeps = () => false) {
  const result = { ...target };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null && !keeps(name)) delete result[name];
    else if (value === null || typeof value !== 'object' || Array.isArray(value))
      result[name] = value;
    else result[name] = merged(result[name], value);
  }
  return result;
}

/** A list with the changed ones in their places, and new ones last. */
function replaced(list, changes, id) {
  const news = new Map(changes.map((x) => [key(x[id]), x]));
  const old = (list ?? []).map((x) => news.get(key(x[id])) ?? x);
  const known = new Set(old.map((x) => key(x[id])));
  return [...old, ...changes.filter((x) => !known.has(key(x[id])))];
}

/** The state of the next version. */
function withDelta(base, { version, server_time, changed, participants, groups }) {
  const state = merged(base, changed, (name) => NULLABLE.has(name));
  state.participants = replaced(base.participants, participants, 'participant_id');
  if (base.groups) state.groups = replaced(base.groups, groups, 'group_id');
  return { ...state, version, server_time };
}

export class SyncKairosError extends Error {
  constructor({ status = 0, code, message, details, retryAfterMs, requestId, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SyncKairosError';
    Object.assign(this, { status, code, details, retryAfterMs, requestId });
  }
}

/**
 * The server's clock as seen from here. One exchange tells that the offset lies within half a
 * round trip of the middle, however unequal the two directions are. Of the last samples the one
 * with the smallest bound counts, where a bound grows with age by what two clocks may drift
 * apart. A sample that contradicts the best one means that a clock jumped (the device slept,
 * the server's clock was set): what was before it is forgotten. The shown time never runs
 * backwards: while it is ahead it runs at half speed, and the error says so.
 */
export class ServerClock {
  #now;
  #samples = [];
  #shown = NaN;
  #shownAt = 0;

  constructor(now) {
    this.#now = now;
  }

  /** Local instants of sending and receiving, the server's stamps between them; all in ms. */
  add(sent, serverReceived, serverSent, received, slack = 0) {
    const rtt = Math.max(0, received - sent - (serverSent - serverReceived));
    const offset = (serverReceived - sent + serverSent - received) / 2;
    if (!Number.isFinite(offset) || received < sent) return;
    const sample = { at: received, offset, bound: rtt / 2 + slack + SERVER_ERROR_MS };
    const best = this.#best(received);
    if (best && Math.abs(offset - best.offset) > sample.bound + best.error) this.#samples = [];
    this.#samples.push(sample);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  /** The same with one stamp, made somewhere in between and floored to a millisecond. */
  addStamp(sent, stamp, received) {
    this.add(sent, stamp, stamp + 1, received, 1);
  }

  /** Server time in epoch ms, with fractions; NaN before the first sample. */
  now() {
    const local = this.#now();
    return this.#advance(local) ? local + this.#shown : NaN;
  }

  /** How far now() may be from the truth, in ms; Infinity before the first sample. */
  error() {
    const best = this.#advance(this.#now());
    return best ? best.error + Math.abs(this.#shown - best.offset) : Infinity;
  }

  #best(local) {
    let best = null;
    for (const s of this.#samples) {
      const error = s.bound + Math.max(0, local - s.at) * DRIFT;
      if (!best || error < best.error) best = { offset: s.offset, error };
    }
    return best;
  }

  #advance(local) {
    const best = this.#best(local);
    if (!best) return null;
    const slowed = this.#shown - Math.max(0, local - this.#shownAt) * SLEW;
    this.#shown = best.offset < this.#shown ? Math.max(best.offset, slowed) : best.offset;
    this.#shownAt = local;
    return best;
  }
}

/**
 * One WebSocket, opened again until nobody needs it. It carries the watches of up to LINE_MAX
 * sessions: the first one is named by its address, the others by SUBSCRIBE.
 */
class Line {
  #link;
  #watches = new Set();
  #ws = null;
  #opening = 0;
  #openedFor = '';
  #openedAt = 0;
  #connected = false;
  #stopped = false;
  #attempt = 0;
  #lostAt = 0;
  #polledAt = -Infinity;
  #heardAt = 0;
  #awaited = new Set(); // ids whose state has not come yet
  #deltas = new Set(); // ids whose changes come as STATE_DELTA
  #pings = new Map();
  #pingId = 0;
  #burst = 0;
  #timers = {};
  #undo = [];
  #wokeAt = -Infinity;
  #drainUntil = null;
  #storeAvailable = true;
  #barred = false;

  constructor(link) {
    this.#link = link;
    this.#listen(globalThis, 'online', () => this.#wake());
    this.#listen(globalThis, 'pageshow', () => this.#wake());
    this.#listen(globalThis.document, 'visibilitychange', () => {
      if (globalThis.document.visibilityState === 'visible') this.#wake();
    });
    this.#lostAt = link.now();
  }

  get connected() {
    return this.#connected;
  }

  get storeAvailable() {
    return this.#storeAvailable;
  }

  /** Room for this one? */
  takes(sessionId) {
    const ids = this.#ids();
    return ids.has(key(sessionId)) || ids.size < LINE_MAX;
  }

  join(watch) {
    const id = key(watch.sessionId);
    const held = this.#ids().has(id);
    const first = this.#watches.size === 0;
    this.#watches.add(watch);
    if (first) return this.#open();
    if (!this.#connected) return;
    if (!held) this.#subscribe(watch.sessionId);
    queueMicrotask(() => {
      if (this.#connected && this.#watches.has(watch)) watch.tell('connected', { attempt: 0 });
    });
  }

  /** `ended`: the server has forgotten the session by itself. */
  leave(watch, ended) {
    this.#watches.delete(watch);
    if (this.#watches.size === 0) return this.#stop();
    const id = key(watch.sessionId);
    if (this.#ids().has(id)) return;
    this.#awaited.delete(id);
    if (!ended) this.#send({ type: 'UNSUBSCRIBE', sessionId: watch.sessionId });
  }

  /** The server has ended this subscription, but there is a later life of the session. */
  renew(sessionId) {
    const alone = this.#ids().size === 1 && this.#openedFor === key(sessionId);
    if (!alone) this.#subscribe(sessionId); // else the server closes, and another one is opened
  }

  /** Whether each change of the session comes by itself, as what has changed. */
  follows(sessionId) {
    return this.#connected && this.#deltas.has(key(sessionId));
  }

  /** A state has come: a large session is better followed by its changes. */
  sized(sessionId) {
    const id = key(sessionId);
    if (this.#connected && !this.#deltas.has(id) && this.#link.delta(id)) this.#subscribe(sessionId);
  }

  /** A watch has missed something. */
  ask(watch) {
    this.#awaited.add(key(watch.sessionId));
    this.#send({ type: 'RECONNECT', sessionId: watch.sessionId });
    this.#after('sync', SYNC_AGAIN_MS, () => this.#resync());
  }

  /** What is known of a session is up to date. */
  synced(sessionId) {
    this.#attempt = 0;
    this.#awaited.delete(key(sessionId));
    if (this.#awaited.size === 0) clearTimeout(this.#timers.sync);
  }

  #stop() {
    this.#stopped = true;
    this.#release(1000);
    for (const undo of this.#undo.splice(0)) undo();
    this.#link.hungUp(this);
  }

  #ids() {
    return new Set([...this.#watches].map((watch) => key(watch.sessionId)));
  }

  #tell(...event) {
    for (const watch of [...this.#watches]) watch.tell(...event);
  }

  #listen(target, event, listener) {
    if (typeof target?.addEventListener !== 'function') return;
    target.addEventListener(event, listener);
    this.#undo.push(() => target.removeEventListener(event, listener));
  }

  #after(name, ms, action) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(action, ms);
  }

  async #open() {
    const mine = ++this.#opening;
    let protocols = [];
    if (this.#link.token) {
      const token = await this.#link.token().catch(() => undefined);
      if (this.#stopped || this.#opening !== mine) return;
      if (token) protocols = [[PROTOCOL, `bearer.${token}`]];
    }
    const { sessionId } = this.#watches.values().next().value;
    this.#deltas.clear();
    const delta = this.#takesDelta(sessionId) ? '&delta=1' : '';
    const url = `${this.#link.wsUrl}?sessionId=${encodeURIComponent(sessionId)}${delta}`;
    this.#openedFor = key(sessionId);
    for (const watch of this.#watches) watch.outlived = false;
    this.#openedAt = this.#link.now();
    const ws = new this.#link.WebSocket(url, ...protocols);
    this.#ws = ws;
    const current = (handle) => (event) => {
      if (this.#ws === ws) handle(event);
    };
    ws.onmessage = current((event) => this.#receive(event.data));
    ws.onclose = current((event) => this.#closed(event.code, event.reason));
    ws.onerror = () => {}; // a close always follows and says more
    this.#after('connect', CONNECT_MS, () => this.#closed(4000, 'no answer'));
  }

  #send(message) {
    if (this.#ws?.readyState === 1) this.#ws.send(JSON.stringify(message));
  }

  /** Whether changes are to come as what has changed; from now on they do. */
  #takesDelta(sessionId) {
    const takes = this.#link.delta(sessionId);
    if (takes) this.#deltas.add(key(sessionId));
    return takes;
  }

  #subscribe(sessionId) {
    this.#awaited.add(key(sessionId));
    const delta = this.#takesDelta(sessionId) ? { delta: true } : {};
    this.#send({ type: 'SUBSCRIBE', sessionId, ...delta });
    this.#after('sync', SYNC_MS, () => this.#resync());
  }

  #receive(text) {
    let m;
    try {
      m = JSON.parse(text);
    } catch {
      return;
    }
    const at = this.#link.now();
    this.#heardAt = at;
    switch (m?.type) {
      case 'CONNECTED':
        return this.#greeted(m, at);
      case 'PONG':
        return this.#ponged(m, at);
      case 'SERVER_DRAINING':
        return this.#draining(m, at);
      case 'TOKEN_EXPIRING':
        return this.#refresh();
      default:
        for (const watch of this.#meant(m)) watch.hear(m);
    }
  }

  /** Whom a message is about; one without a session is about all. */
  #meant(m) {
    const all = [...this.#watches];
    if (!m?.sessionId) return all;
    return all.filter((watch) => key(watch.sessionId) === key(m.sessionId));
  }

  #greeted(m, at) {
    clearTimeout(this.#timers.connect);
    // Made after we began to connect and before now: a coarse sample, but an honest one.
    this.#link.clock.addStamp(this.#openedAt, m.timestamp, at);
    this.#connected = true;
    this.#barred = false;
    this.#awaited = new Set([this.#openedFor]);
    const others = [...this.#ids()].filter((id) => id !== this.#openedFor);
    for (const id of others) this.#subscribe(id);
    this.#after('sync', SYNC_MS, () => this.#resync());
    this.#measure();
    this.#tell('connected', { attempt: this.#attempt });
  }

  #draining(m, at) {
    const delay = Number.isFinite(m.reconnect_in_ms) ? Math.max(0, m.reconnect_in_ms) : 0;
    this.#drainUntil = at + delay;
    this.#after('drain', delay, () => this.#closed(1001, 'server draining'));
  }

  /** The token ends in a minute: with another one the link lives on. */
  async #refresh() {
    const ws = this.#ws;
    const token = await this.#link.token?.().catch(() => undefined);
    if (token && this.#ws === ws) this.#send({ type: 'REFRESH', token });
  }

  /** The link ended, or we end it because it is dead; open another after a while. */
  #closed(code, reason) {
    const was = this.#connected;
    this.#release(1000);
    if (was) {
      this.#lostAt = this.#link.now();
      this.#tell('disconnected', { code, reason });
    }
    if (this.#stopped) return;
    if (code === 1000 && reason === 'Session deleted') {
      const gone = [...this.#watches].filter((w) => key(w.sessionId) === this.#openedFor);
      for (const watch of gone) if (!watch.outlived) watch.deleted({});
    } else if (code === 4401 && this.#link.renews) {
      this.#barred = !was; // the next token may be better, but not a second after this one
    } else if (code === 4401 || (code === 1008 && /sessionId/.test(reason))) {
      this.#end(code === 4401 ? 'UNAUTHENTICATED' : 'VALIDATION_ERROR', reason);
    }
    if (!this.#stopped) this.#retry(was);
  }

  #end(code, message) {
    const error = new SyncKairosError({ status: 0, code, message });
    for (const watch of [...this.#watches]) {
      watch.close();
      watch.tell('error', error);
    }
  }

  #retry(greeted) {
    const now = this.#link.now();
    const cap = now - this.#lostAt < OUTAGE_MS ? BACKOFF_CAP_MS : BACKOFF_SLOW_CAP_MS;
    let delayMs = backoff(this.#attempt, cap);
    if (this.#drainUntil !== null) {
      delayMs = Math.max(0, this.#drainUntil - now);
      this.#drainUntil = null;
    }
    this.#attempt += 1;
    if (this.#barred) delayMs = BARRED_MS * (0.5 + Math.random() / 2);
    this.#after('reopen', delayMs, () => this.#open());
    if (!greeted || this.#attempt > 2) this.#poll(now);
    this.#tell('reconnecting', { attempt: this.#attempt, delayMs });
  }

  /**
   * The socket does not come up (refused, a proxy in between): the states can still be read, and
   * a refusal has its reason, which browsers do not tell of a socket.
   */
  async #poll(now) {
    if (now - this.#polledAt < POLL_MS) return;
    this.#polledAt = now;
    try {
      const missing = await this.#link.readAll([...this.#ids()]);
      this.#barred = false;
      if (this.#stopped || this.#connected) return;
      for (const watch of [...this.#watches]) {
        if (missing.has(key(watch.sessionId))) watch.hear(notFound(watch.sessionId));
      }
    } catch (e) {
      if (this.#stopped || this.#connected) return;
      if (e.status !== 401 && e.status !== 403) return; // the next try tells
      this.#bar();
      this.#tell('error', e);
    }
  }

  #bar() {
    this.#barred = true;
    if (this.#ws) return; // its end sets the next try
    this.#after('reopen', BARRED_MS * (0.5 + Math.random() / 2), () => this.#open());
  }

  /** Back from sleep, from the background or online again: do not wait for a timer. */
  #wake() {
    const now = this.#link.now();
    if (this.#stopped || now - this.#wokeAt < WAKE_MS) return;
    this.#wokeAt = now;
    if (this.#connected) {
      this.#resync();
      this.#measure();
    } else if (!this.#ws) {
      clearTimeout(this.#timers.reopen);
      this.#open();
    }
  }

  /** Ask for what may have been missed: one message, however many sessions there are. */
  #resync() {
    const ids = this.#ids();
    this.#awaited = ids;
    const one = ids.size === 1 ? this.#watches.values().next().value.lastKnown() : {};
    this.#send({ type: 'RECONNECT', ...one });
    this.#after('sync', SYNC_AGAIN_MS, () => this.#resync());
  }

  #release(code) {
    this.#opening += 1;
    for (const name of Object.keys(this.#timers)) clearTimeout(this.#timers[name]);
    const ws = this.#ws;
    this.#ws = null;
    this.#connected = false;
    this.#pings.clear();
    if (ws && ws.readyState < 2) ws.close(code);
  }

  #measure() {
    this.#burst = BURST;
    this.#ping();
  }

  #ping() {
    const now = this.#link.now();
    for (const sent of this.#pings.values()) {
      if (now - sent > SILENCE_MS && this.#heardAt < sent)
        return this.#closed(4000, 'no answer');
    }
    this.#pingId += 1;
    this.#pings.set(this.#pingId, this.#link.now());
    this.#send({ type: 'PING', timestamp: this.#pingId });
    this.#burst -= 1;
    this.#after('ping', this.#pingEvery(), () => this.#ping());
  }

  #pingEvery() {
    if (this.#burst > 0) return BURST_EVERY_MS;
    return this.#storeAvailable ? PING_EVERY_MS : PING_AWAY_MS;
  }

  #toldOfStore(available) {
    if (available === this.#storeAvailable) return;
    this.#storeAvailable = available;
    this.#after('ping', this.#pingEvery(), () => this.#ping());
    if (available) this.#resync(); // what came while it was away may not be all
    this.#tell('store', { available });
  }

  #ponged(m, at) {
    const id = m.client_timestamp ?? this.#pings.keys().next().value;
    const sent = this.#pings.get(id);
    if (sent === undefined) return;
    this.#pings.delete(id);
    if (Number.isFinite(m.receive_us) && Number.isFinite(m.transmit_us)) {
      this.#link.clock.add(sent, m.receive_us / 1000, m.transmit_us / 1000, at);
    } else {
      this.#link.clock.addStamp(sent, m.timestamp, at);
    }
    this.#toldOfStore(m.store !== 'unavailable');
  }
}

/** One session, followed over a line until close(). */
class SessionWatch {
  #link;
  #line;
  #listeners = new Map();
  #state = null;
  #stopped = false;
  #expiredVersion = 0;

  /** The line's: a life that has ended was not the newest one here. */
  outlived = false;

  constructor(sessionId, link) {
    this.sessionId = sessionId;
    this.#link = link;
    this.#line = link.lineFor(sessionId);
    this.#line.join(this);
  }

  /** The newest state known, null before the first and while the session does not exist. */
  get state() {
    return this.#state;
  }

  get connected() {
    return !this.#stopped && this.#line.connected;
  }

  /** Whether changes come as what has changed. */
  get follows() {
    return !this.#stopped && this.#line.follows(this.sessionId);
  }

  /** False while the server has said that it cannot reach its store. */
  get storeAvailable() {
    return this.#line.storeAvailable;
  }

  /** What is left of a participant's bank now; NaN without a state. */
  remaining(participantId) {
    return this.#state ? remainingAt(this.#state, participantId, this.#link.clock.now()) : NaN;
  }

  /** The counters of a participant's time control now, see countersAt; none without a state. */
  counters(participantId) {
    const now = this.#link.clock.now();
    return this.#state ? countersAt(this.#state, participantId, now) : {};
  }

  /** What the running clock has left now, see clockAt; NaN without a state. */
  clock() {
    return this.#state ? clockAt(this.#state, this.#link.clock.now()) : NaN;
  }

  /** Mode count_up: the running time now. */
  elapsed() {
    return this.#state ? elapsedAt(this.#state, this.#link.clock.now()) : NaN;
  }

  /** Call `listener` on each event; returns a function that stops that. */
  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(listener);
    return () => this.#listeners.get(event).delete(listener);
  }

  close() {
    this.#end(false);
  }

  /** The client has learned a newer state. */
  show(state, from) {
    if (this.#stopped) return;
    this.#state = state;
    this.tell('state', state, { from });
  }

  /** What is known here, as RECONNECT says it. */
  lastKnown() {
    const { sessionId } = this;
    const known = this.#link.known(sessionId);
    if (!known) return { sessionId };
    return { sessionId, last_known_version: known.version, epoch: known.epoch };
  }

  tell(event, ...args) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(...args);
      } catch (e) {
        setTimeout(() => {
          throw e;
        }); // the listener's bug, shown as such, must not stop the link
      }
    }
  }

  /** A message about this session. */
  hear(m) {
    switch (m?.type) {
      case 'STATE_SYNC':
      case 'STATE_UPDATE':
        return this.#synced(m);
      case 'STATE_DELTA':
        return this.#changed(m);
      case 'TIME_EXPIRED':
        return this.#timedOut(m);
      case 'TIME_WARNING':
        return this.#warned(m);
      case 'ACTION':
        return this.tell('action', {
          ...stamp(m),
          participantId: m.participant_id,
          action: m.action,
        });
      case 'SESSION_DELETED':
        return this.deleted(m);
      case 'ERROR':
        return this.#refused(m);
      default: // a later server may say more
    }
  }

  deleted(m) {
    if (m.epoch !== undefined && this.#state?.epoch > m.epoch) {
      this.outlived = true; // made again already: only this subscription ends
      this.#line.renew(this.sessionId);
      return;
    }
    this.#link.drop(this.sessionId);
    this.#state = null;
    this.#end(true);
    this.tell('deleted', { sessionId: this.sessionId, epoch: m.epoch, version: m.version });
  }

  #end(ended) {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#line.leave(this, ended);
    this.#link.forget(this);
  }

  #synced(m) {
    this.#line.synced(this.sessionId);
    if (m.state && m.unchanged !== true) this.#link.learn(m.state, m.type);
    this.#line.sized(this.sessionId);
  }

  /** What is new in a version; when the one before is not known here, the whole is asked for. */
  #changed(m) {
    if (this.#link.apply(this.sessionId, m)) this.#line.synced(this.sessionId);
    else this.#line.ask(this);
  }

  #timedOut(m) {
    if (
      m.version !== undefined &&
      m.version <= this.#expiredVersion &&
      m.epoch === this.#state?.epoch
    )
      return;
    this.#expiredVersion = m.version ?? 0;
    this.tell('expired', {
      ...stamp(m),
      participantId: m.expired_participant_id,
      groupId: m.expired_group_id,
      actionApplied: m.action_applied,
    });
  }

  #warned(m) {
    this.tell('warning', {
      ...stamp(m),
      participantId: m.participant_id,
      groupId: m.group_id,
      remainingMs: m.time_remaining_ms,
      thresholdMs: m.threshold_ms,
    });
  }

  /** SESSION_NOT_FOUND: it does not exist (any more). It may be made again: the watch stays. */
  #refused(m) {
    if (m.code === 'SESSION_NOT_FOUND') {
      this.#line.synced(this.sessionId);
      this.#link.drop(this.sessionId);
      this.#state = null;
    }
    const { code, message, details, status = 0 } = m;
    this.tell('error', new SyncKairosError({ status, code, message, details }));
  }
}

/**
 * What each command asks for: from which statuses it works, how a later state shows that it
 * happened, and how one in such a status shows that it has not.
 */
const COMMANDS = {
  start: {
    from: ['pending'],
    happened: (s) => s.session_started_at != null,
    open: () => true,
  },
  pause: {
    from: ['running'],
    happened: (s) => s.status === 'paused',
    open: (s, before) => s.paused_total_ms === before.paused_total_ms,
  },
  resume: {
    from: ['paused'],
    happened: (s) => s.status === 'running',
    open: (s, before) => s.paused_at === before.paused_at,
  },
  complete: {
    from: ['pending', 'running', 'paused'],
    happened: (s) => s.status === 'completed',
    open: () => true,
  },
  cancel: {
    from: ['pending', 'running', 'paused'],
    happened: (s) => s.status === 'cancelled',
    open: () => true,
  },
  switch: {
    from: ['running'],
    happened: (s, before, body) =>
      s.cycle_number > before.cycle_number &&
      key(before.active_participant_id) === key(body.current_participant_id ?? null) &&
      (body.next_participant_id === undefined ||
        (s.cycle_number === before.cycle_number + 1 &&
          key(s.active_participant_id) === key(body.next_participant_id))),
    open: (s, before, body) =>
      s.cycle_number === before.cycle_number &&
      key(s.active_participant_id) === key(body.current_participant_id ?? null),
  },
  add: {
    from: ['pending', 'running', 'paused'],
    happened: (s, before, body) => participantOf(s, body.participant_id) !== undefined,
    open: (s, before, body) => participantOf(s, body.participant_id) === undefined,
  },
  adjust: {
    from: ['pending', 'running', 'paused'],
    happened: () => false, // no later state tells; the key has to
    open: () => true,
  },
  remove: {
    from: ['pending', 'running', 'paused'],
    happened: (s, before, body, id) => participantOf(s, id)?.out === 'removed',
    open: (s, before, body, id) => participantOf(s, id)?.out === undefined,
  },
};

export class SyncKairosClient {
  #base;
  #wsUrl;
  #fetch;
  #WebSocket;
  #now;
  #timeoutMs;
  #retryForMs;
  #onRetry;
  #token;
  #clock;
  #known = new Map();
  #watches = new Set();
  #waiting = new Set(); // called when a whole state has been learned
  #lines = new Set();
  #renews;
  #delta;

  constructor(options = {}) {
    const base = options.baseUrl ?? globalThis.location?.origin;
    if (!base) throw new TypeError('SyncKairosClient: baseUrl is needed outside a page');
    this.#base = String(base).replace(/\/+$/, '');
    this.#wsUrl = options.wsUrl ?? `${this.#base.replace(/^http/, 'ws')}/ws`;
    this.#fetch = options.fetch ?? ((...args) => globalThis.fetch(...args));
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this.#now = options.now ?? (() => performance.now());
    this.#timeoutMs = options.timeoutMs ?? 5000;
    this.#retryForMs = options.retryForMs ?? 15000;
    this.#onRetry = options.onRetry ?? (() => {});
    const { token } = options;
    this.#delta = options.delta;
    this.#renews = typeof token === 'function';
    if (this.#renews) this.#token = async () => token();
    else if (token) this.#token = async () => token;
    this.#clock = new ServerClock(this.#now);
  }

  /** Server time in epoch ms; never goes backwards; NaN before the first measurement. */
  serverNow() {
    return this.#clock.now();
  }

  /** How far serverNow() may be off, in ms; Infinity before the first measurement. */
  clockError() {
    return this.#clock.error();
  }

  /** What is left of a participant's bank, now or at a given server time. */
  remaining(state, participantId, at = this.serverNow()) {
    return remainingAt(state, participantId, at);
  }

  /** GET /v1/time; each call is also a measurement of the clock. */
  async time() {
    return this.#repeat(async () => {
      const sent = this.#now();
      const answer = await this.#request('GET', '/time');
      if (Number.isFinite(answer.receive_us)) {
        this.#clock.add(sent, answer.receive_us / 1000, answer.transmit_us / 1000, this.#now());
      }
      return answer;
    });
  }

  /** Measure the clock over REST, for those who do not watch. Resolves to the error bound. */
  async syncClock(samples = 5) {
    for (let i = 0; i < samples; i++) await this.time();
    return this.clockError();
  }

  async get(sessionId) {
    return this.#repeat(() => this.#read(sessionId));
  }

  /** Create a session; without session_id one is made here. */
  async create(params) {
    const own = params.session_id === undefined;
    const body = own ? { ...params, session_id: uuid() } : params;
    const headers = { 'Idempotency-Key': uuid() };
    let lost = false;
    return this.#repeat(async () => {
      try {
        return this.#learn((await this.#request('POST', '/sessions', body, headers)).data, 'REST');
      } catch (e) {
        // The id is random and nobody else's: the lost request made it, and it was used since.
        if (own && lost && e.code === 'SESSION_EXISTS') return this.#read(body.session_id);
        lost ||= LOST.has(e.status);
        throw e;
      }
    });
  }

  async start(sessionId, options) {
    return this.#command('start', sessionId, options);
  }

  /** Hand over the turn of `currentParticipantId`, by default of whoever is active here. */
  async switch(sessionId, options) {
    return this.#command('switch', sessionId, options);
  }

  async pause(sessionId, options) {
    return this.#command('pause', sessionId, options);
  }

  async resume(sessionId, options) {
    return this.#command('resume', sessionId, options);
  }

  async complete(sessionId, options) {
    return this.#command('complete', sessionId, options);
  }

  async cancel(sessionId, options) {
    return this.#command('cancel', sessionId, options);
  }

  /** Add somebody: { participant_id?, participant_index?, total_time_ms, group_id? }. */
  async addParticipant(sessionId, participant, options) {
    const body = { participant_id: uuid(), ...participant };
    return this.#command('add', sessionId, options, { path: '/participants', body });
  }

  /** Set (`total_time_ms`) or move (`add_ms`) what is left to somebody, with a `reason`. */
  async adjust(sessionId, participantId, adjustment, options) {
    const path = this.#participant(participantId);
    return this.#command('adjust', sessionId, options, {
      method: 'PATCH',
      path,
      body: adjustment,
    });
  }

  /** Take somebody out of the rotation who is not active. */
  async removeParticipant(sessionId, participantId, options) {
    const path = this.#participant(participantId);
    return this.#command('remove', sessionId, options, {
      method: 'DELETE',
      path,
      participantId,
    });
  }

  /** The caller's own sessions, newest first: { sessions, next_cursor? }. */
  async list(options = {}) {
    const { data } = await this.#repeat(() => this.#request('GET', this.#query('/sessions', options)));
    for (const state of data.sessions) if (state.participants) this.#learn(state, 'REST');
    return data;
  }

  /** Up to 50 sessions at once: { sessions, missing }. */
  async batch(sessionIds) {
    return this.#repeat(() => this.#readBatch(sessionIds));
  }

  /**
   * For those who cannot watch: the state when it is another one than the newest known here (or
   * than `since`), else null.
   */
  async poll(sessionId, since = this.#known.get(key(sessionId))?.state) {
    const query = { since_version: since?.version ?? 0, epoch: since?.epoch };
    const path = this.#query(this.#path(sessionId, '/poll'), query);
    const answer = await this.#repeat(() => this.#request('GET', path));
    return answer && this.#learn(answer.data, 'REST');
  }

  /** The audit trail, also of a deleted session: { events, recorded_up_to?, next_cursor? }. */
  async events(sessionId, options = {}) {
    const path = this.#query(this.#path(sessionId, '/events'), options);
    return (await this.#repeat(() => this.#request('GET', path))).data;
  }

  /** Delete a session; also succeeds when it does not exist. */
  async delete(sessionId) {
    await this.#repeat(() => this.#request('DELETE', this.#path(sessionId)));
    this.#known.delete(key(sessionId));
  }

  /** Follow a session, which need not exist yet. */
  watch(sessionId) {
    if (!UUID.test(sessionId)) {
      throw new SyncKairosError({
        status: 400,
        code: 'VALIDATION_ERROR',
        message: 'Session ID must be a valid UUID',
      });
    }
    if (!this.#WebSocket) throw new TypeError('SyncKairosClient: no WebSocket here, pass one');
    const watch = new SessionWatch(sessionId, this.#link());
    this.#watches.add(watch);
    const known = this.#known.get(key(sessionId));
    if (known) queueMicrotask(() => watch.show(known.state, 'REST'));
    return watch;
  }

  /** What watches and their lines need of the client. */
  #link() {
    return {
      wsUrl: this.#wsUrl,
      WebSocket: this.#WebSocket,
      now: this.#now,
      clock: this.#clock,
      token: this.#token,
      renews: this.#renews,
      lineFor: (id) => this.#lineFor(id),
      hungUp: (line) => this.#lines.delete(line),
      learn: (state, from) => this.#learn(state, from),
      apply: (id, delta) => this.#apply(id, delta),
      delta: (id) => this.#delta ?? this.#isLarge(id),
      known: (id) => this.#whole(id),
      readAll: (ids) => this.#readAll(ids),
      drop: (id) => this.#known.delete(key(id)),
      forget: (w) => this.#watches.delete(w),
    };
  }

  #lineFor(sessionId) {
    for (const line of this.#lines) if (line.takes(sessionId)) return line;
    const line = new Line(this.#link());
    this.#lines.add(line);
    return line;
  }

  /** The newest state known, unless a part of it is of an older one. */
  #whole(sessionId) {
    const known = this.#known.get(key(sessionId));
    return known && !known.partial ? known.state : null;
  }

  /** Read them all; the ids that do not exist. */
  async #readAll(ids) {
    const gone = new Set();
    for (let at = 0; at < ids.length; at += BATCH_MAX) {
      const some = ids.slice(at, at + BATCH_MAX);
      for (const id of await this.#readSome(some)) gone.add(key(id));
    }
    return gone;
  }

  async #readSome(ids) {
    if (ids.length > 1) return (await this.#readBatch(ids)).missing;
    try {
      await this.#read(ids[0]);
      return [];
    } catch (e) {
      if (e.status !== 404) throw e;
      return ids;
    }
  }

  async #readBatch(ids) {
    const body = { session_ids: ids };
    const { data } = await this.#request('POST', '/sessions/batch', body);
    for (const state of data.sessions) this.#learn(state, 'REST');
    return data;
  }

  /** End every watch. */
  close() {
    for (const watch of [...this.#watches]) watch.close();
  }

  #path(sessionId, verb = '') {
    return `/sessions/${encodeURIComponent(sessionId)}${verb}`;
  }

  #participant(participantId) {
    return `/participants/${encodeURIComponent(participantId)}`;
  }

  #query(path, options) {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    return given.length ? `${path}?${new URLSearchParams(given)}` : path;
  }

  async #read(sessionId) {
    return this.#learn((await this.#request('GET', this.#path(sessionId))).data, 'REST');
  }

  /** A whole state from anywhere: remembered and shown when it is newer. Returns it. */
  #learn(state, from) {
    const known = this.#known.get(key(state.session_id));
    const completes = known?.partial && !isNewer(known.state, state);
    if (completes || isNewer(state, known?.state)) this.#remember(state, false, from);
    return state;
  }

  /**
   * A part of a state, which the push completes. That of a switch is shown at once; without the
   * participants it would show their old times, and is only kept as the newest version.
   */
  #learnPart(part) {
    const id = key(part.session_id);
    const known = this.#known.get(id)?.state;
    if (known && sameLife(known, part) && isNewer(part, known)) {
      const state = part.participants ? withSwitch(known, part) : { ...known, ...part };
      this.#remember(state, true, part.participants && 'REST');
    }
    for (const watch of this.#watches) {
      if (key(watch.sessionId) !== id || watch.connected) continue;
      this.#read(id).catch(() => {}); // no push will come to complete it: best effort
      break;
    }
    return part;
  }

  /** A change on top of a whole state; false when that is not here, true also for an old one. */
  #apply(sessionId, delta) {
    const base = this.#newestWhole(sessionId);
    if (!base || base.epoch !== delta.epoch || base.version < delta.previous_version) return false;
    if (base.version >= delta.version) return true;
    this.#learn(withDelta(base, delta), delta.type);
    return true;
  }

  /** The newest state of which everything is known. */
  #newestWhole(sessionId) {
    const known = this.#known.get(key(sessionId));
    return known?.partial ? known.base : known?.state;
  }

  #isLarge(sessionId) {
    return this.#newestWhole(sessionId)?.participants?.length > LARGE;
  }

  /** Whether its changes come in small pieces, so that an answer need not show everybody. */
  #follows(sessionId) {
    const id = key(sessionId);
    return (
      this.#isLarge(id) && [...this.#watches].some((w) => key(w.sessionId) === id && w.follows)
    );
  }

  /** The whole state that a push makes of a part; null when none comes. */
  async #completed(part) {
    const until = this.#now() + PUSH_MS;
    for (;;) {
      const whole = this.#whole(part.session_id);
      if (whole && sameLife(whole, part) && whole.version >= part.version) return whole;
      const left = until - this.#now();
      if (left <= 0 || !this.#follows(part.session_id)) return null;
      await new Promise((learned) => {
        const timer = setTimeout(learned, left);
        this.#waiting.add(() => {
          clearTimeout(timer);
          learned();
        });
      });
    }
  }

  #remember(state, partial, from) {
    const id = key(state.session_id);
    const base = this.#newestWhole(id);
    const watched = (other) => [...this.#watches].some((w) => key(w.sessionId) === other);
    this.#known.delete(id); // to the end of the order of age
    this.#known.set(id, partial ? { state, partial, base } : { state, partial });
    if (this.#known.size > KNOWN) {
      for (const other of this.#known.keys()) {
        if (other === id || watched(other)) continue;
        this.#known.delete(other);
        break;
      }
    }
    for (const watch of from ? [...this.#watches] : [])
      if (key(watch.sessionId) === id) watch.show(state, from);
    if (partial) return;
    for (const learned of this.#waiting) learned();
    this.#waiting.clear();
  }

  async #command(verb, sessionId, options = {}, request = {}) {
    const before =
      options.state ?? this.#known.get(key(sessionId))?.state ?? (await this.get(sessionId));
    const body = {
      ...request.body,
      expected_version: options.expectedVersion ?? before.version,
    };
    if (verb === 'switch') {
      const current = options.currentParticipantId ?? before.active_participant_id;
      if (current) body.current_participant_id = current;
      if (options.nextParticipantId !== undefined)
        body.next_participant_id = options.nextParticipantId;
    }
    return this.#repeat(this.#call(verb, sessionId, options, request, before, body));
  }

  /** What tries a command once, and knows what its earlier tries have come to. */
  #call(verb, sessionId, options, request, before, body) {
    const call = {
      sessionId,
      spec: COMMANDS[verb],
      method: request.method ?? 'POST',
      path: this.#path(sessionId, request.path ?? `/${verb}`),
      participantId: request.participantId,
      before,
      body,
      key: options.idempotencyKey ?? uuid(),
      minimal: options.minimal === true,
      brief: options.minimal ?? this.#follows(sessionId),
      lost: false,
      aims: 0,
      fixed: options.expectedVersion !== undefined || options.idempotencyKey !== undefined,
    };
    return () => this.#try(call);
  }

  async #try(call) {
    const headers = { 'Idempotency-Key': call.key };
    if (call.brief) headers.Prefer = 'return=minimal';
    for (;;) {
      try {
        const { data } = await this.#request(call.method, call.path, call.body, headers);
        return await this.#took(call, data);
      } catch (e) {
        if (LOST.has(e.status)) {
          call.lost = true;
          throw e;
        }
        const settled = await this.#settle(call, e);
        if (settled) return settled;
        headers['Idempotency-Key'] = call.key;
      }
    }
  }

  /** A success: a whole state, a part of one, or less than was asked for. */
  async #took(call, data) {
    if (data.participants && data.sync_mode) return this.#learn(data, 'REST');
    this.#learnPart(data);
    if (data.participants || call.minimal) return data;
    // Of a large session, they come by a push; a repeated answer never has them.
    return (call.brief && (await this.#completed(data))) || this.#read(call.sessionId);
  }

  /** A refusal: the state if it has happened, null to send it again, else it throws. */
  async #settle(call, refusal) {
    const { spec, before, body } = call;
    const stale = refusal.status === 409 && !call.fixed && call.aims < AIMS;
    if (!call.lost && !stale) throw refusal;
    const now = await this.#read(call.sessionId);
    const same = sameLife(now, before);
    const aimed = before.version === (call.first ?? body.expected_version);
    const possible = aimed && spec.from.includes(before.status);
    const who = call.participantId;
    if (call.lost && same && possible && spec.happened(now, before, body, who)) return now;
    const open = same && spec.from.includes(now.status) && spec.open(now, before, body, who);
    if (open && stale && now.version !== body.expected_version) {
      call.first ??= body.expected_version;
      body.expected_version = now.version;
      call.key = uuid(); // another request
      call.aims += 1;
      return null;
    }
    const untouched = same && now.version === body.expected_version;
    if (!call.lost || open || untouched) throw refusal;
    throw new SyncKairosError({
      ...refusal,
      code: 'OUTCOME_UNKNOWN',
      message: 'The answer was lost, and whether it happened cannot be told any more',
      cause: refusal,
    });
  }

  /** Repeat what got lost, within bounds. */
  async #repeat(action) {
    const until = this.#now() + this.#retryForMs;
    for (let n = 0; ; n++) {
      try {
        return await action();
      } catch (e) {
        if (!LOST.has(e.status)) throw e;
        const asked = (e.retryAfterMs ?? 0) * (1 + Math.random() / 4);
        const wait = Math.max(asked, backoff(n, 2000));
        if (this.#now() + wait > until) throw e;
        this.#onRetry({ error: e, delayMs: wait });
        await sleep(wait);
      }
    }
  }

  async #authorization() {
    const token = await this.#token?.();
    return token ? { Authorization: `Bearer ${token}` } : {};
  }

  /** One HTTP exchange: the parsed body (null for 304), or a SyncKairosError. */
  async #request(method, path, body, more = {}) {
    const headers = { ...more, ...(await this.#authorization()) };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), this.#timeoutMs);
    const sent = this.#now();
    try {
      const response = await this.#fetch(`${this.#base}/v1${path}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: 'no-store',
        signal: abort.signal,
      });
      const received = this.#now();
      const text = await response.text();
      this.#clock.addStamp(sent, Number(response.headers.get('server-time') ?? NaN), received);
      return this.#parse(response, text);
    } catch (e) {
      if (e instanceof SyncKairosError) throw e;
      const message = abort.signal.aborted
        ? 'The server did not answer in time'
        : 'The server cannot be reached';
      throw new SyncKairosError({ status: 0, code: 'NETWORK_ERROR', message, cause: e });
    } finally {
      clearTimeout(timer);
    }
  }

  #parse(response, text) {
    if (response.status === 304) return null;
    let answer;
    try {
      answer = text === '' ? {} : JSON.parse(text);
    } catch (e) {
      if (response.ok) throw e; // cut off on the way: lost
      answer = {};
    }
    if (response.ok) return answer;
    const wait = Number(response.headers.get('retry-after') ?? NaN);
    const { code, message, details, retry_after_seconds: seconds } = answer.error ?? {};
    throw new SyncKairosError({
      status: response.status,
      code: code ?? `HTTP_${response.status}`,
      message: message ?? `The server answered ${response.status}`,
      details,
      retryAfterMs: Number.isFinite(wait)
        ? wait * 1000
        : Number.isFinite(seconds)
          ? seconds * 1000
          : undefined,
      requestId: response.headers.get('x-request-id') ?? undefined,
    });
  }
}
