// The text format of Prometheus, and what can be reckoned from two readings of it. Names are given
// without "synckairos_". What was not there is null, never 0.

const LINE = /^synckairos_([a-z_]+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-z_]+)="([^"]*)"/g;

/** One reading: {at (ms), samples: Map of name -> [{labels, value}]}. */
export function read(text, at) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = LINE.exec(line);
    if (!found) continue;
    const labels = Object.fromEntries([...(found[2] ?? '').matchAll(LABEL)].map((m) => [m[1], m[2]]));
    if (!samples.has(found[1])) samples.set(found[1], []);
    samples.get(found[1]).push({ labels, value: Number(found[3]) });
  }
  return { at, samples };
}

/** Sum over all labels (of those that `of` takes). */
export function sum(reading, name, of = () => true) {
  const found = reading?.samples.get(name)?.filter((s) => of(s.labels));
  return found?.length ? found.reduce((total, s) => total + s.value, 0) : null;
}

// A counter only falls when its file was made anew: then it began at 0.
function rise(from, to, name, of) {
  const b = sum(to, name, of);
  if (b === null) return null;
  const a = sum(from, name, of) ?? 0;
  return b >= a ? b - a : b;
}

/** Rise per second. */
export function rate(from, to, name, of) {
  const rose = rise(from, to, name, of);
  return rose === null || to.at <= from.at ? null : rose / ((to.at - from.at) / 1000);
}

/** How much of the rise is of those that `of` takes; null when nothing rose. */
export function share(from, to, name, of) {
  const all = rise(from, to, name);
  return all ? (rise(from, to, name, of) ?? 0) / all : null;
}

/** The q-quantile of a histogram's rise, between two bounds as if evenly spread; null: nothing happened. */
export function quantile(from, to, name, q) {
  const bounds = [...new Set((to?.samples.get(`${name}_bucket`) ?? []).map((s) => s.labels.le))];
  const below = bounds.map((le) => [le === "+Inf" ? Infinity : Number(le), rise(from, to, `${name}_bucket`, (l) => l.le === le)]);
  below.sort((a, b) => a[0] - b[0]);
  const all = below.at(-1)?.[1];
  if (!all) return null;
  let bottom = 0, under = 0;
  for (const [bound, n] of below) {
    if (n >= q * all) return bound === Infinity ? bottom : bottom + (bound - bottom) * ((q * all - under) / (n - under || 1));
    bottom = bound;
    under = n;
  }
  return bottom;
}
