/** synckairos.d.ts: it compiles, it says what people do with the client, and it misses nothing. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as client from '../../../web/synckairos.js';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const types = readFileSync(here('../../../web/synckairos.d.ts'), 'utf8');

test('what people write against the types compiles, and mistakes do not', () => {
  const options = '--noEmit --strict --target es2022 --module es2022 --moduleResolution node --lib es2022,dom';
  try {
    execFileSync('tsc', [...options.split(' '), here('types.ts')], { stdio: 'pipe' });
  } catch (e) {
    assert.fail(`${e.message}\n${e.stdout}`);
  }
});

test('every export, method and getter has a type', () => {
  for (const [name, value] of Object.entries(client)) {
    assert.match(types, new RegExp(`export (?:class|function) ${name}\\b`));
    const own = Object.getOwnPropertyNames(value.prototype ?? {}).filter((m) => m !== 'constructor');
    for (const method of own) assert.match(types, new RegExp(`^  ${method}[(<]`, 'm'), `${name}.${method}`);
  }
});
