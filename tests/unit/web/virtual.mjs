/**
 * virtual.mjs - a world for the client without waiting: timers and performance.now() that only
 * move in run(), a server of one session that can lose requests and answers, and sockets to it.
 */
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { SyncKairosError } from '../../../web/synckairos.js';

globalThis.crypto ??= webcrypto; // a global only since Node 20

const realSetTimeout = globalThis.setTimeout;
const realClearTimeout = globalThis.clearTimeout;

export class World {
  constructor() {
    this.local = 1000; // the client's monotonic clock, ms
    this.serverOffset = 1_800_000_000_000; // server time = local + this
    this.timers = new Map();
    this.nextTimer = 1;
    globalThis.setTimeout = (action, ms = 0) => {
      this.timers.set(this.nextTimer, { at: this.local + Math.max(0, ms), action });
      return this.nextTimer++;
    };
    globalThis.clearTimeout = (id) => this.timers.delete(id);
  }

  close() {
    globalThis.setTimeout = realSetTimeout;
    globalThis.clearTimeout = realClearTimeout;
  }

  now = () => this.local;

  serverNow() {
    return this.local + this.serverOffset;
  }

  /** Let `ms` pass: timers fire in their order, and what they start is carried on. */
  async run(ms) {
    const end = this.local + ms;
    for (;;) {
      await settled();
      const due = [...this.timers].filter(([, t]) => t.at <= end);
      if (due.length === 0) break;
      due.sort(([, a], [, b]) => a.at - b.at);
      const [id, timer] = due[0];
      this.timers.delete(id);
      this.local = Math.max(this.local, timer.at);
      timer.action();
    }
    this.local = end;
    await settled();
  }

  wait(ms) {
    return new Promise((done) => globalThis.setTimeout(done, ms));
  }

  /** Run until the promise has settled; its value, or the error. */
  async done(promise, ms = 30000) {
    let result;
    promise.then(
      (value) => (result = { value }),
      (error) => (result = { error }),
    );
    for (let t = 0; t < ms && !result; t += 50) await this.run(50);
    assert.ok(result, 'still pending');
    if (result.error) throw result.error;
    return result.value;
  }

  /** The SyncKairosError that the promise ends with. */
  async rejected(promise) {
    try {
      await this.done(promise);
    } catch (e) {
      assert.ok(e instanceof SyncKairosError, e.stack);
      return e;
    }
    assert.fail('it resolved');
  }
}

/** Give promises a chance until nothing moves any more. */
function settled() {
  return new Promise((done) => {
    let turns = 20;
    const turn = () => (--turns > 0 ? setImmediate(turn) : done());
    turn();
  });
}

export const S = '6f1d2c3b-4a5e-4f60-8a7b-9c0d1e2f3a4b';
export const A = '11111111-1111-4111-8111-111111111111';
export const B = '22222222-2222-4222-8222-222222222222';

/** One session with two players: enough of the contract to judge repeated commands. */
export class Server {
  constructor(world, { upMs = 5, downMs = 5 } = {}) {
    this.world = world;
    this.upMs = upMs;
    this.downMs = downMs;
    this.requests = [];
    this.faults = []; // for the next POSTs: 'request', 'answer', 503, or a function
    this.state = null;
    this.applied = [];
    this.idempotent = false; // whether it knows Idempotency-Key
    this.verdicts = new Map();
  }

  iso(ms) {
    return new Date(ms).toISOString();
  }

  create(body) {
    this.state = {
      session_id: body.session_id,
      sync_mode: 'per_participant',
      status: 'pending',
      version: 1,
      epoch: '0gk3m9x1abc-qq0z.000000001',
      participants: body.participants.map((p) => ({
        ...p,
        allotted_ms: p.total_time_ms,
        time_used_ms: 0,
        time_remaining_ms: p.total_time_ms,
        cycle_count: 0,
        is_active: false,
        has_expired: false,
      })),
      active_participant_id: null,
      cycle_number: 0,
      cycle_started_at: null,
      session_started_at: null,
      paused_at: null,
      paused_total_ms: 0,
    };
  }

  /** Carry a command out; null or [status, code]. */
  apply(verb, body = {}) {
    const s = this.state;
    if (!s) return [404, 'SESSION_NOT_FOUND'];
    if (body.expected_version !== undefined && body.expected_version !== s.version)
      return [409, 'CONFLICT'];
    if (body.current_participant_id && body.current_participant_id !== s.active_participant_id)
      return [409, 'CONFLICT'];
    const now = this.world.serverNow();
    const from = { start: 'pending', switch: 'running', pause: 'running', resume: 'paused' };
    if (verb !== 'complete' && verb !== 'cancel' && s.status !== from[verb])
      return [400, 'INVALID_STATE_TRANSITION'];
    const act = {
      start: () =>
        Object.assign(s, {
          status: 'running',
          active_participant_id: A,
          session_started_at: this.iso(now),
          cycle_started_at: this.iso(now),
          cycle_number: 1,
        }),
      switch: () =>
        Object.assign(s, {
          active_participant_id:
            body.next_participant_id ?? (s.active_participant_id === A ? B : A),
          cycle_started_at: this.iso(now),
          cycle_number: s.cycle_number + 1,
        }),
      pause: () =>
        Object.assign(s, {
          status: 'paused',
          paused_at: this.iso(now),
          cycle_started_at: null,
        }),
      resume: () =>
        Object.assign(s, {
          status: 'running',
          paused_total_ms: s.paused_total_ms + now - Date.parse(s.paused_at),
          paused_at: null,
          cycle_started_at: this.iso(now),
        }),
      complete: () =>
        Object.assign(s, {
          status: 'completed',
          active_participant_id: null,
          cycle_started_at: null,
        }),
      cancel: () =>
        Object.assign(s, {
          status: 'cancelled',
          active_participant_id: null,
          cycle_started_at: null,
        }),
    };
    act[verb]();
    s.version += 1;
    this.applied.push(verb);
    return null;
  }

  /** Add, adjust, remove: the least of it. */
  participant(method, path, body, time) {
    const s = this.state;
    const refuse = () => answer(409, { error: { code: 'CONFLICT', message: 'refused' } }, time);
    if (body.expected_version !== s.version) return refuse();
    const p = s.participants.find((x) => path.endsWith(x.participant_id));
    if (method === 'DELETE' && p.participant_id === s.active_participant_id) return refuse();
    if (method === 'POST') s.participants.push({ ...body, allotted_ms: body.total_time_ms });
    else if (method === 'PATCH') p.total_time_ms += body.add_ms;
    else p.out = 'removed';
    s.version += 1;
    this.applied.push(method);
    return answer(200, { data: this.shown() }, time);
  }

  shown() {
    return { ...structuredClone(this.state), server_time: this.iso(this.world.serverNow()) };
  }

  fetch = async (url, { method, body: text, signal, headers = {} }) => {
    const { pathname: path, search } = new URL(url);
    const body = text === undefined ? undefined : JSON.parse(text);
    this.requests.push({ method, path, search, body, headers, at: this.world.now() });
    const fault = method === 'GET' ? undefined : this.faults.shift();
    await this.world.wait(this.upMs);
    if (signal.aborted || fault === 'request' || this.down) throw new TypeError('fetch failed');
    if (typeof fault === 'number')
      return answer(
        fault,
        { error: { code: 'STORE_UNAVAILABLE', message: 'busy' } },
        { 'retry-after': '1' },
      );
    const result = this.once(headers['Idempotency-Key'], () => this.handle(method, path, body));
    if (typeof fault === 'function') fault();
    await this.world.wait(this.downMs);
    if (signal.aborted || fault === 'answer') throw new TypeError('fetch failed');
    return result;
  };

  /** The first answer to a key, for every repetition. */
  once(key, handle) {
    if (!this.idempotent || key === undefined) return handle();
    if (!this.verdicts.has(key)) this.verdicts.set(key, handle());
    return this.verdicts.get(key);
  }

  handle(method, path, body) {
    const time = { 'server-time': String(Math.floor(this.world.serverNow())) };
    if (this.locked)
      return answer(401, {
        error: { code: 'UNAUTHENTICATED', message: 'Authentication required' },
      });
    if (path === '/v1/time') {
      const us = Math.floor(this.world.serverNow() * 1000);
      return answer(
        200,
        { timestamp_ms: Math.floor(us / 1000), receive_us: us, transmit_us: us },
        time,
      );
    }
    if (method === 'POST' && path === '/v1/sessions') {
      if (this.state) {
        const same = this.state.version === 1 && this.state.session_id === body.session_id;
        if (!same)
          return answer(409, { error: { code: 'SESSION_EXISTS', message: 'exists' } }, time);
        return answer(200, { data: this.shown() }, time);
      }
      this.create(body);
      this.applied.push('create');
      return answer(201, { data: this.shown() }, time);
    }
    if (path.endsWith('/participants') || path.includes('/participants/'))
      return this.participant(method, path, body, time);
    if (method === 'DELETE') {
      this.state = null;
      this.applied.push('delete');
      return answer(204, undefined, time);
    }
    if (path.endsWith('/poll') && this.current) return answer(304, undefined, time);
    if (path.endsWith('/batch'))
      return answer(200, { data: { sessions: [this.shown()], missing: [A] } }, time);
    if (method === 'GET') {
      if (!this.state)
        return answer(
          404,
          { error: { code: 'SESSION_NOT_FOUND', message: 'not found' } },
          time,
        );
      return answer(200, { data: this.shown() }, time);
    }
    const refused = this.apply(path.split('/').pop(), body);
    if (refused)
      return answer(
        refused[0],
        { error: { code: refused[1], message: 'refused' } },
        { ...time, 'x-request-id': 'r1' },
      );
    return answer(200, { data: this.shown() }, time);
  }
}

function answer(status, body, headers = {}) {
  return {
    ok: status < 300,
    status,
    headers: { get: (name) => headers[name.toLowerCase()] ?? null },
    text: async () => (body === undefined ? '' : JSON.stringify(body)),
  };
}

/** Sockets to `server`; each new one is in `all`. `refuse` makes them fail to open. */
export function sockets(world, server, { greet = true } = {}) {
  const all = [];
  class FakeSocket {
    readyState = 0;
    sent = [];
    constructor(url, protocols) {
      this.url = url;
      this.protocols = protocols;
      all.push(this);
      const refuse = all.refuse;
      world.wait(server.upMs + server.downMs).then(() => {
        if (this.readyState !== 0) return;
        if (refuse) return this.drop(1006, '');
        this.readyState = 1;
        if (!greet) return;
        this.push({
          type: 'CONNECTED',
          sessionId: S,
          timestamp: Math.floor(world.serverNow() - server.downMs),
        });
        this.sync();
      });
    }
    sync(type = 'STATE_SYNC') {
      if (!server.state)
        return this.push({
          type: 'ERROR',
          code: 'SESSION_NOT_FOUND',
          message: `Session ${S} not found`,
        });
      const s = server.shown();
      this.push({ type, sessionId: S, epoch: s.epoch, version: s.version, state: s });
    }
    push(message) {
      this.onmessage?.({ data: JSON.stringify(message) });
    }
    async send(text) {
      const m = JSON.parse(text);
      this.sent.push(m);
      if (m.type !== 'PING' || all.deaf) return;
      await world.wait(server.upMs);
      const us = Math.floor(world.serverNow() * 1000);
      await world.wait(server.downMs);
      if (this.readyState === 1)
        this.push({
          type: 'PONG',
          timestamp: Math.floor(us / 1000),
          client_timestamp: m.timestamp,
          receive_us: us,
          transmit_us: us,
          ...(server.away ? { store: 'unavailable' } : {}),
        });
    }
    drop(code, reason) {
      this.readyState = 3;
      this.onclose?.({ code, reason });
    }
    close() {
      this.readyState = 3;
    }
  }
  all.Class = FakeSocket;
  return all;
}
