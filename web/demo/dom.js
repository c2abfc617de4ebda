/** dom.js - elements by their id, and new ones. */

export const $ = (id) => document.getElementById(id);

/** An element with these properties and children; text is only ever text. */
export function h(tag, properties = {}, ...children) {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...children);
  return e;
}

/** Set a text, and leave it alone while it is the same. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
