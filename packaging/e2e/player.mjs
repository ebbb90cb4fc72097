// SPDX-License-Identifier: AGPL-3.0-or-later

// Plays the recording given as second argument with asciinema-player, whose
// dist directory is the first, as its own worker does it (that part needs no
// browser), and writes what it hands to its terminal to stdout.

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [dist, file] = process.argv.slice(2);
const shown = [];
let ended;
const end = new Promise((resolve, reject) => { ended = { resolve, reject }; });
globalThis.onmessage = undefined; // a worker has one
globalThis.postMessage = (m) => {
  if (m.error) ended.reject(new Error(JSON.stringify(m.error)));
  if (m.method !== 'onEvent') return;
  const { name, event } = m.params;
  if (name === 'output') shown.push(...event);
  if (name === 'error') ended.reject(new Error(JSON.stringify(event)));
  if (name === 'ended') ended.resolve();
};
await import(pathToFileURL(`${dist}/worker.js`).href);

let id = 0;
const call = (method, params) => globalThis.onmessage({ data: { id: id++, method, params } });
const tell = (method, params) => globalThis.onmessage({ data: { method, params } });
await tell('new', [{ data: readFileSync(file, 'utf8') }, { speed: 1e6 }]);
for (const name of ['output', 'error', 'ended']) await tell('addEventListener', [name]);
await tell('terminalReady');
await call('init');
await call('play');
await end;
for (const text of shown) process.stdout.write(text);
