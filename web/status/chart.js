// One small chart: a title, the value of now, and lines over time. SVG, sized by its box.

const SVG = 'http://www.w3.org/2000/svg';
const W = 300, H = 90;

function element(name, attributes = {}, space = null) {
  const made = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'text') made.textContent = value;
    else made.setAttribute(key, value);
  }
  return made;
}

/** The end of an axis that holds `v`: 1, 2 or 5 times a power of ten. */
export function axisEnd(v) {
  if (!(v > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].map((k) => k * power).find((end) => end >= v * 0.999);
}

/** Points of a line; a value that is not known interrupts it. */
export function path(values, kept, end) {
  let d = '', pen = false;
  values.forEach((v, k) => {
    if (v === null) {
      pen = false;
      return;
    }
    const x = W - (values.length - 1 - k) * (W / (kept - 1));
    d += `${pen ? "L" : "M"}${x.toFixed(1)} ${(H - (v / end) * (H - 4)).toFixed(1)}`;
    pen = true;
  });
  return d;
}

/** `most`: from there on the value is bad. The element has draw(history, kept). */
export function chart({ title, unit, most = Infinity }) {
  const box = element('section', { class: 'chart' });
  const now = element('p', { class: 'now' });
  const svg = element("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", "aria-hidden": "true" }, SVG);
  const top = element('span', { class: 'top' });
  const frame = element('div', { class: 'frame' });
  frame.append(svg, top);
  box.append(element('h2', { text: title }), now, frame);
  let lines = null;

  box.draw = (history, kept) => {
    const names = Object.keys(history);
    lines ??= names.map((_, k) => svg.appendChild(element("path", { class: `line line-${k}`, "vector-effect": "non-scaling-stroke" }, SVG)));
    const end = axisEnd(Math.max(...names.flatMap((n) => history[n].map((v) => v ?? 0))));
    names.forEach((n, k) => lines[k].setAttribute('d', path(history[n], kept, end)));
    top.textContent = unit(end);
    const values = names.map((n) => history[n].at(-1) ?? null);
    box.dataset.state = values.some((v) => v !== null && v > most) ? 'bad' : 'good';
    now.replaceChildren(...names.map((n, k) => {
      const one = element("span", { class: `value value-${k}` });
      one.append(element("b", { text: values[k] === null ? "–" : unit(values[k]) }), names.length > 1 || n === "5xx" ? ` ${n}` : "");
      return one;
    }));
  };
  return box;
}
