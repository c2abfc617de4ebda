/** face.js - a round clock face: a ring that empties or fills, the time in it, a line below. */

import { write } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';

function circle(name) {
  const e = document.createElementNS(SVG, 'circle');
  for (const [key, value] of Object.entries({ class: name, cx: 50, cy: 50, r: 46, pathLength: 1 }))
    e.setAttribute(key, value);
  return e;
}

export class Face {
  #root;
  #time;
  #note;
  #ring;

  /** root: an element with a .time and a .note. */
  constructor(root) {
    this.#root = root;
    this.#time = root.querySelector('.time');
    this.#note = root.querySelector('.note');
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', '0 0 100 100');
    svg.setAttribute('aria-hidden', 'true');
    this.#ring = circle('ring');
    svg.append(circle('track'), this.#ring);
    root.prepend(svg);
  }

  get text() {
    return this.#time.textContent;
  }

  /** part: 0..1 of the ring; tone: '', 'low' or 'over'. */
  show({ text, part, tone = '', note }) {
    if (this.#time.textContent !== text) {
      this.#time.textContent = text;
      this.#root.style.setProperty('--chars', Math.max(4, text.length));
    }
    this.#root.dataset.tone = tone;
    this.#ring.style.strokeDashoffset = String(1 - Math.min(1, Math.max(0, part)));
    if (note !== undefined) write(this.#note, note);
  }
}
