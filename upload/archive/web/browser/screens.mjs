// SPDX-License-Identifier: AGPL-3.0-or-later

// What the player shows at given moments, cell by cell, played and sought. Run
// by TestBrowserShowsTheScreen, which says what castgate's own screen had
// (in the file CASTGATE_GIVEN).

import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const given = JSON.parse(readFileSync(process.env.CASTGATE_GIVEN, 'utf8'));
const browser = await chromium.launch({
  executablePath: given.chromium,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
page.setDefaultTimeout(30000);
page.on('pageerror', (e) => { console.log(`FAIL the page: ${e.message}`); process.exitCode = 1; });

// In the page, before all else: the player that it makes can be reached.
await page.addInitScript(() => {
  let made;
  Object.defineProperty(window, 'AsciinemaPlayer', {
    configurable: true,
    get: () => made,
    set: (v) => {
      const { create } = v;
      made = { ...v, create: (...a) => (window.player = create(...a)) };
    },
  });

  const frame = () => new Promise((done) => { requestAnimationFrame(() => done()); });

  // cells is the screen: for each row its characters, "" for the second half of
  // a wide one: rows, which should be there, tells which marks belong to one cell.
  // What the player draws as a shape is no text, and its cell is blank here.
  window.cells = (rows) => [...document.querySelectorAll('#player .ap-line')].map((line, y) => {
    const row = Array(rows[y]?.length ?? 0).fill(' ');
    for (const span of line.children) {
      let x = Number(span.style.getPropertyValue('--offset'));
      for (let rest = span.textContent; rest;) {
        const want = rows[y]?.[x];
        row[x] = want && rest.startsWith(want) ? want : String.fromCodePoint(rest.codePointAt(0));
        rest = rest.slice(row[x++].length);
        while (rows[y]?.[x] === '') row[x++] = '';
      }
    }
    return row;
  });

  // differs names the first cell that is not as it should be.
  const shape = /^[\u2500-\u259f\u25a0-\u25ff\ue0b0-\ue0bf]|^[\u{1fb00}-\u{1fbff}]/u;
  window.differs = (rows) => {
    const got = window.cells(rows);
    if (got.length !== rows.length) return `${got.length} rows, want ${rows.length}`;
    for (const [y, want] of rows.entries()) {
      for (const [x, c] of want.entries()) {
        if (got[y][x] === c || (got[y][x] === ' ' && shape.test(c))) continue;
        return `row ${y}, column ${x}: ${JSON.stringify(got[y][x])}, want ${JSON.stringify(c)}\n  got ${JSON.stringify(got[y].join('').trimEnd())}\n want ${JSON.stringify(want.join('').trimEnd())}`;
      }
    }
    return '';
  };

  window.sought = async ({ at, rows }) => {
    await window.player.seek(at);
    for (let i = 0; i < 60; i++) {
      await frame();
      if (i > 1 && window.differs(rows) === '') return '';
    }
    return window.differs(rows);
  };

  // played plays from the start and looks when a moment, before and after which
  // nothing happens, is there. What was not looked at is not among the answers,
  // nor what was looked at on a machine too busy to show it in time.
  window.played = async (moments) => {
    const answers = {};
    const patience = performance.now() + 120_000; // more than twice what it takes
    await window.player.seek(0);
    await window.player.play();
    let t = 0;
    for (let over = false; !over;) {
      await frame();
      const late = Number(await window.player.getCurrentTime()) - t > 0.1;
      t = Number(await window.player.getCurrentTime());
      if (late) continue;
      const m = moments.find(({ at }) => t > at - 0.2 && t < at + 0.35);
      if (m && answers[m.at] !== '') {
        const now = window.differs(m.rows);
        if (now === '' || t > m.at) answers[m.at] = now;
      }
      over = t >= moments.at(-1).at + 0.4 || performance.now() > patience;
    }
    await window.player.pause();
    return answers;
  };
});

await page.goto(`${given.url}/`);
await page.fill('#token', given.token);
await page.click('form[action="/login"] button');
await page.waitForSelector('table.list');

let looks = 0;
const wrong = (name, how, at, why) => {
  if (why === '') return;
  process.exitCode = 1;
  console.log(`FAIL ${name}, ${how} to ${at}: ${why}`);
};

for (const { name, id, moments } of given.recordings) {
  await page.goto(`${given.url}/r/${id}`);
  await page.waitForSelector('#show[data-ready="yes"]');
  if (await page.isChecked('#skip')) await page.uncheck('#skip');
  await page.selectOption('#speed', '2');
  await page.waitForFunction(() => window.player && document.querySelector('#player .ap-line'));
  // Back and forth: from each moment to another that is not the next.
  const hops = moments.map((m, i) => moments[(i * 7 + 3) % moments.length]);
  for (const m of [...hops, ...moments]) {
    wrong(name, 'sought', m.at, await page.evaluate((x) => window.sought(x), m));
    looks++;
  }
  const answers = await page.evaluate((x) => window.played(x), moments);
  for (const [at, why] of Object.entries(answers)) wrong(name, 'played', at, why);
  const seen = Object.keys(answers).length;
  if (seen * 2 < moments.length) wrong(name, 'played', 'the end', `only ${seen} of ${moments.length} moments were looked at`);
  looks += seen;
  for (const m of [moments[0], moments[Math.floor(moments.length / 2)], moments.at(-1)]) {
    await page.goto(`${given.url}/r/${id}?t=${m.at}`);
    await page.waitForSelector('#show[data-ready="yes"]');
    let why = 'x';
    for (let i = 0; i < 40 && why !== ''; i++) {
      await page.waitForTimeout(50);
      why = await page.evaluate((rows) => window.differs(rows), m.rows);
    }
    wrong(name, 'opened', m.at, why);
    looks++;
  }
  console.log(`ok   ${name}: ${moments.length} moments`);
}
console.log(`${looks} screens compared`);
await browser.close();
