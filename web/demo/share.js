/** share.js - the dialog with the link to what this page shows. */

import { h } from './dom.js';

/** Puts the dialog into the page; returns what opens it. */
export function shareDialog(heading, text) {
  const link = h('input', { id: 'link', type: 'text', readOnly: true, ariaLabel: 'Link' });
  const copy = h('button', { id: 'copy', className: 'primary', type: 'button' }, 'Copy link');
  const open = h('a', { id: 'open', className: 'button', target: '_blank', rel: 'noopener' });
  open.textContent = 'Open a second window';
  copy.addEventListener('click', async () => {
    link.select();
    try {
      await navigator.clipboard.writeText(link.value);
    } catch {
      document.execCommand('copy'); // plain http has no clipboard
    }
    copy.textContent = 'Copied';
    setTimeout(() => (copy.textContent = 'Copy link'), 2000);
  });
  const title = h('h2', { id: 'share-title' }, heading);
  const row = h('div', { className: 'row' }, copy, open, h('button', { value: 'close' }, 'Close'));
  const form = h('form', { method: 'dialog' }, title, h('p', {}, text), link, row);
  const dialog = h('dialog', { id: 'share-dialog' }, form);
  dialog.setAttribute('aria-labelledby', 'share-title');
  document.body.append(dialog);
  return () => {
    link.value = open.href = location.href;
    dialog.showModal();
    link.select();
  };
}
