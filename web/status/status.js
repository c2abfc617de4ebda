// The operator's page: asks /metrics every two seconds, keeps the last five minutes, and draws them.
import { read, rate, share, quantile, sum } from './samples.js';
import { chart } from './chart.js';

const EVERY_MS = 2000;
const KEPT = 150;
const WINDOW = 5; // samples that a rate looks back

const count = (v) => (v >= 1e6 ? `${(v / 1e6).toFixed(1)} M` : v >= 1e4 ? `${(v / 1e3).toFixed(1)} k` : v >= 100 || Number.isInteger(v) ? `${Math.round(v)}` : v.toFixed(1));
const perSecond = (v) => `${count(v)}/s`;
const ms = (v) => (v >= 1000 ? `${(v / 1000).toFixed(1)} s` : `${v < 10 ? v.toFixed(1) : Math.round(v)} ms`);
const percent = (v) => `${(100 * v).toFixed(v < 0.1 ? 2 : 0)} %`;
const bytes = (v) => (v >= 2 ** 30 ? `${(v / 2 ** 30).toFixed(1)} GiB` : `${(v / 2 ** 20).toFixed(1)} MiB`);
const seconds = (v) => (v >= 120 ? `${Math.round(v / 60)} min` : `${Math.round(v)} s`);

const between = (what) => (samples) => what(samples[Math.max(0, samples.length - 1 - WINDOW)], samples.at(-1));
const latest = (name) => (samples) => sum(samples.at(-1), name);

const errors = (labels) => /^5/.test(labels.status_code);
const charts = [
  { title: 'Requests', unit: perSecond, lines: { all: between((a, b) => rate(a, b, 'http_requests_total')) } },
  { title: 'Requests that fail', unit: percent, most: 0.01, lines: { '5xx': between((a, b) => share(a, b, 'http_requests_total', errors)) } },
  {
    title: 'Time of a request', unit: ms, lines: {
      p50: between((a, b) => quantile(a, b, 'http_request_duration_ms', 0.5)),
      p99: between((a, b) => quantile(a, b, 'http_request_duration_ms', 0.99)),
    },
  },
  {
    title: 'Time of a switch', unit: ms, lines: {
      p50: between((a, b) => quantile(a, b, 'switch_cycle_duration_ms', 0.5)),
      p99: between((a, b) => quantile(a, b, 'switch_cycle_duration_ms', 0.99)),
    },
  },
  { title: 'Refused by a limit', unit: perSecond, lines: { all: between((a, b) => rate(a, b, 'rate_limit_rejections_total')) } },
  { title: 'Sessions', unit: count, lines: { 'in Redis': latest('active_sessions') } },
  { title: 'WebSockets', unit: count, lines: { open: latest('websocket_connections') } },
  { title: 'Messages to WebSockets', unit: perSecond, lines: { queued: between((a, b) => rate(a, b, 'websocket_pushes_total')) } },
  {
    title: 'From commit to socket', unit: ms, lines: {
      p50: between((a, b) => quantile(a, b, 'push_delay_ms', 0.5)),
      p99: between((a, b) => quantile(a, b, 'push_delay_ms', 0.99)),
    },
  },
  {
    title: 'Lateness of the timekeeper', unit: ms, most: 250, lines: {
      p50: between((a, b) => quantile(a, b, 'timekeeper_lateness_ms', 0.5)),
      p99: between((a, b) => quantile(a, b, 'timekeeper_lateness_ms', 0.99)),
    },
  },
  { title: 'Changes not in PostgreSQL yet', unit: count, lines: { records: latest('db_write_queue_size') } },
  { title: 'Age of the oldest of them', unit: seconds, most: 300, lines: { age: latest('audit_backlog_age_seconds') } },
  { title: 'Written to PostgreSQL', unit: perSecond, lines: { records: between((a, b) => rate(a, b, 'audit_records_total')) } },
  { title: 'Memory of Redis', unit: bytes, lines: { used: latest('redis_memory_used_bytes'), audit: latest('audit_backlog_bytes') } },
  {
    title: 'Round trip of Redis', unit: ms, lines: {
      p50: between((a, b) => quantile(a, b, 'redis_round_trip_ms', 0.5)),
      p99: between((a, b) => quantile(a, b, 'redis_round_trip_ms', 0.99)),
    },
  },
  { title: 'Clients told anew', unit: perSecond, lines: {
    slow: between((a, b) => rate(a, b, 'websocket_slow_client_skips_total')),
    gaps: between((a, b) => rate(a, b, 'websocket_gaps_total')),
  } },
];

const lamps = [
  { title: 'Redis', name: 'redis_up', bad: 'Every request is answered 503 until it is back.' },
  { title: 'PostgreSQL', name: 'postgres_up', bad: 'Sessions go on; their audit trail waits in Redis.' },
  { title: 'Append-only file', name: 'redis_aof_ok', bad: 'Redis cannot write to its disk.' },
];

const samples = [];
const history = charts.map((c) => Object.fromEntries(Object.keys(c.lines).map((line) => [line, []])));
const grid = document.querySelector('#charts');
const drawn = charts.map((c) => grid.appendChild(chart(c)));
const row = document.querySelector('#lamps');
const lit = lamps.map((lamp) => {
  const item = row.appendChild(document.createElement('li'));
  item.append(Object.assign(document.createElement('b'), { textContent: lamp.title }), document.createElement('span'));
  return item;
});

function show(text) {
  document.querySelector('#word').textContent = text;
}

function light(sample) {
  lamps.forEach((lamp, k) => {
    const value = sum(sample, lamp.name);
    lit[k].dataset.state = value === null ? 'off' : value === 1 ? 'good' : 'bad';
    lit[k].lastChild.textContent = value === null ? 'not used' : value === 1 ? 'works' : lamp.bad;
  });
}

function draw() {
  charts.forEach((c, k) => {
    for (const [line, figure] of Object.entries(c.lines)) {
      const values = history[k][line];
      values.push(samples.length > 1 || c.unit === count || c.unit === bytes ? figure(samples) : null);
      if (values.length > KEPT) values.shift();
    }
    drawn[k].draw(history[k], KEPT);
  });
}

async function turn() {
  try {
    const answer = await fetch('/metrics', { cache: 'no-store', signal: AbortSignal.timeout(EVERY_MS * 2) });
    if (!answer.ok) throw new Error(`/metrics answers ${answer.status}`);
    samples.push(read(await answer.text(), performance.now()));
    if (samples.length > WINDOW + 2) samples.shift();
    light(samples.at(-1));
    draw();
    show(`The last five minutes, as of ${new Date().toLocaleTimeString()}`);
    document.body.classList.remove('stale');
  } catch (error) {
    show(`No figures since the last ones: ${error.message}`);
    document.body.classList.add('stale');
  }
  setTimeout(turn, EVERY_MS);
}

turn();
