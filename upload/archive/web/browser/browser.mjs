// SPDX-License-Identifier: AGPL-3.0-or-later

// What an auditor does, in a real browser. Run by TestBrowser, which serves a
// sample store and says where (CASTGATE_PAGE, a JSON object).

import assert from 'node:assert/strict';
import { readFileSync, appendFileSync, mkdirSync } from 'node:fs';
import { chromium } from 'playwright-core';

const given = JSON.parse(process.env.CASTGATE_PAGE);
const { url, token, ids, shots, github } = given;
mkdirSync(shots, { recursive: true });

const browser = await chromium.launch({
  executablePath: given.chromium,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

// Everything that a page complains about, and every address that it asks for.
const complaints = [];
const strangers = new Set();
let expectRefusal = false;

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, ...options });
  context.setDefaultTimeout(15000);
  const page = await context.newPage();
  page.on('console', (m) => {
    const refused = expectRefusal && /status of 40[34]/.test(m.text());
    if (['error', 'warning'].includes(m.type()) && !refused) complaints.push(`${page.url()}: ${m.type()}: ${m.text()}`);
  });
  page.on('pageerror', (e) => complaints.push(`${page.url()}: ${e.message}`));
  page.on('dialog', (d) => { complaints.push(`a dialog: ${d.message()}`); d.dismiss(); });
  page.on('request', (r) => {
    const u = new URL(r.url());
    if (!['data:', 'blob:'].includes(u.protocol) && u.origin !== url && u.origin !== github) strangers.add(r.url());
  });
  return page;
}

async function signIn(page) {
  await page.goto(`${url}/`);
  await page.fill('#token', token);
  await page.click('form[action="/login"] button');
  await page.waitForSelector('table.list');
}

const shot = (page, name) => page.screenshot({ path: `${shots}/${name}.png` });
const ready = (page) => page.waitForSelector('#show[data-ready="yes"]');
const nowAt = (page) => page.evaluate(() => Number(document.getElementById('show').dataset.now));
const screenText = (page) => page.evaluate(() => document.getElementById('player').textContent);
const until = (page, fn, arg) => page.waitForFunction(fn, arg, { timeout: 20000 });
const showsText = (page, text) => until(page, (t) => document.getElementById('player').textContent.replace(/\s+/g, ' ').includes(t), text);

const steps = [];
const step = (name, run) => steps.push([name, run]);
const main = await open();

step('sign-in: a wrong token is refused, the right one leads to where one wanted', async () => {
  expectRefusal = true;
  await main.goto(`${url}/?host=db1`);
  assert.match(main.url(), /\/login\?next=/);
  await shot(main, 'sign-in');
  await main.fill('#token', 'not the token at all');
  await main.click('form[action="/login"] button');
  await main.waitForSelector('[role=alert]');
  expectRefusal = false;
  await main.fill('#token', token);
  await main.click('form[action="/login"] button');
  await main.waitForSelector('table.list');
  assert.match(main.url(), /\?host=db1$/);
});

step('list: newest first, badges, pages', async () => {
  await main.goto(`${url}/`);
  const rows = await main.$$eval('table.list tbody tr', (r) => r.map((x) => x.innerText));
  assert.equal(rows.length, 50);
  const began = rows.map((r) => r.match(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/)[0]);
  assert.deepEqual(began, began.toSorted().reverse());
  const waiting = rows.findIndex((r) => /waiting/.test(r));
  assert.ok(waiting >= 0 && /live/.test(rows[waiting + 1]), 'live ones stand among the others');
  const badges = await main.$$eval('.badge', (b) => [...new Set(b.map((x) => x.textContent))]);
  for (const b of ['live', 'waiting', 'delivered', 'interrupted', 'sealed', 'unsigned']) assert.ok(badges.includes(b), `badge ${b} in ${badges}`);
  await main.click('.pages .next');
  const more = await main.$$eval('table.list tbody tr', (r) => r.length);
  assert.equal(more, 23);
});

step('a list says what it leaves out', async () => {
  await main.goto(`${url}/`);
  assert.match(await main.innerText('.note'), /^\d+ recordings of the last 30 days name no person, on db1, web1, web2: /);
  const own = await open();
  await own.goto(`${url}/`);
  await own.fill('#token', given.own);
  await own.click('form[action="/login"] button');
  await own.waitForSelector('table.list');
  const users = await own.$$eval('table.list .what', (r) => [...new Set(r.map((x) => x.querySelector('.gh')?.textContent))]);
  assert.deepEqual(users, ['@octocat']);
  assert.match(await own.innerText('.note'), /^You see the sessions whose recordings name @octocat/);
  await shot(own, 'own');
  await own.evaluate(() => document.querySelector('.note').scrollIntoView());
  await shot(own, 'own-note');
  await own.context().close();
});

step('filter: in the address, removed one by one', async () => {
  await main.goto(`${url}/`);
  await main.fill('input[name=user]', 'deploy');
  await main.selectOption('select[name=state]', 'delivered');
  await main.click('.filters button');
  await main.waitForURL(/user=deploy/);
  const users = await main.$$eval('table.list .what strong', (r) => [...new Set(r.map((x) => x.textContent))]);
  assert.deepEqual(users, ['deploy']);
  await shot(main, 'filter');
  await main.click('.chips a:has-text("deploy")');
  await main.waitForURL((u) => !u.search.includes('deploy') && u.search.includes('delivered'));
});

step('search: hits open the player at that second', async () => {
  await main.fill('#quick', 'sever_name');
  await main.press('#quick', 'Enter');
  await main.waitForSelector('.hit li');
  await shot(main, 'search');
  const href = await main.getAttribute('.hit li a', 'href');
  const t = Number(new URL(href, url).searchParams.get('t'));
  assert.ok(t > 1, href);
  await main.click('.hit li a');
  await ready(main);
  await until(main, (want) => Math.abs(Number(document.getElementById('show').dataset.now) - want) < 1, t);
  await showsText(main, 'sever_name');
});

step('play, pause, speed', async () => {
  await main.goto(`${url}/r/${ids.main}`);
  await ready(main);
  await main.click('#b-play');
  await until(main, () => Number(document.getElementById('show').dataset.now) > 1.5);
  await main.click('#b-play');
  await until(main, () => document.getElementById('show').dataset.playing === 'no');
  const t = await nowAt(main);
  await main.selectOption('#speed', '4');
  await until(main, (was) => Math.abs(Number(document.getElementById('show').dataset.now) - was) < 0.5, t);
  await main.click('#b-play');
  await until(main, (was) => Number(document.getElementById('show').dataset.now) > was + 3, t);
  await main.click('#b-play');
});

step('idle times are skipped', async () => {
  await main.goto(`${url}/r/${ids.main}?t=11`);
  await ready(main);
  const outline = await (await main.request.get(`${url}/r/${ids.main}/play/outline.json`)).json();
  const idle = outline.idle.find(([a, b]) => b - a > 40);
  assert.ok(idle, 'an idle time of 42 s');
  await main.goto(`${url}/r/${ids.main}?t=${idle[0] - 0.5}`);
  await ready(main);
  const began = Date.now();
  await main.click('#b-play');
  await until(main, (end) => Number(document.getElementById('show').dataset.now) > end, idle[1]);
  assert.ok(Date.now() - began < 20000, 'the idle time was sat through');
  await main.click('#b-play');
});

step('seek: on the mini-map, by key, by a line of the transcript; the same screen each way', async () => {
  await main.goto(`${url}/r/${ids.main}?t=1:00`);
  await ready(main);
  await until(main, () => Math.abs(Number(document.getElementById('show').dataset.now) - 60) < 1);
  await showsText(main, 'sever_name');
  const box = await main.locator('#map').boundingBox();
  await main.mouse.click(box.x + box.width * 0.98, box.y + 10);
  await showsText(main, 'product/4711');
  await main.locator('h1').click();
  await main.keyboard.press('1');
  await until(main, () => Number(document.getElementById('show').dataset.now) < 12);
  await main.click('#lines li:has-text("successful")');
  await showsText(main, 'is successful');
  await until(main, () => document.querySelector('#lines li.now')?.textContent.includes('successful'));
  await shot(main, 'player');
});

step('find in the transcript', async () => {
  await main.locator('h1').click();
  await main.keyboard.press('/');
  await main.keyboard.type('GET /cart');
  await until(main, () => document.getElementById('found').textContent === '10 lines');
  await main.keyboard.press('Enter');
  await until(main, () => document.getElementById('found').textContent === '1 of 10');
  await showsText(main, '/cart');
  await main.keyboard.press('Escape');
});

step('deep link', async () => {
  const page = await open({ permissions: ['clipboard-read', 'clipboard-write'] });
  await signIn(page);
  await page.goto(`${url}/r/${ids.main}?t=20`);
  await ready(page);
  await page.keyboard.press('c');
  await page.waitForURL(/t=20/);
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, `${url}/r/${ids.main}?t=20`);
  await page.context().close();
});

step('a large recording: any seek fetches a segment or two, none larger than the others', async () => {
  const page = await open();
  await signIn(page);
  let fetched = [];
  page.on('response', (r) => { if (/play\/s\d+\.json/.test(r.url())) fetched.push(r.body().then((b) => b.length)); });
  await page.goto(`${url}/r/${ids.large}`);
  await ready(page);
  const total = (await (await page.request.get(`${url}/r/${ids.large}/play/index.json`)).json()).duration;
  const rows = Number(ids.largeRows);
  await page.locator('h1').click();
  for (const tenth of [9, 1, 5, 2, 8]) {
    fetched = [];
    await page.keyboard.press(String(tenth));
    await until(page, (want) => {
      const seen = [...document.getElementById('player').textContent.matchAll(/row (\d{9})/g)].map((m) => Number(m[1]));
      return seen.length && Math.abs(Math.max(...seen) - want) <= 2;
    }, (rows * tenth) / 10);
    assert.ok(Math.abs((await nowAt(page)) - (total * tenth) / 10) < 1);
    const sizes = await Promise.all(fetched);
    assert.ok(sizes.length <= 2 && sizes.every((n) => n < 400_000), `to ${tenth}0 %: ${sizes} bytes`);
  }
  await page.context().close();
});

step('verified, and the proof is told', async () => {
  await main.goto(`${url}/r/${ids.main}`);
  await until(main, () => document.getElementById('proof-badge').textContent === 'verified');
  const proof = await main.innerText('#proof');
  for (const want of [/signature by key SHA256:.* of host "web1.example.org"/, /recording is the one of the manifest/, /chain the first of this host/]) assert.match(proof, want);
  await main.goto(`${url}/?host=web1.example.org`);
  assert.match(await main.innerText('table.list .state'), /delivered\s+verified/);
  await main.goto(`${url}/`);
  await shot(main, 'list');
});

step('hostile text is text', async () => {
  await main.goto(`${url}/r/${ids.hostile}`);
  await ready(main);
  await main.keyboard.press('9');
  await showsText(main, '<script>alert(1)</script>');
  assert.equal(await main.$$eval('img, main script', (x) => x.length), 0);
  assert.match(await main.innerText('#lines'), /<script>alert\(1\)<\/script>/);
  await main.goto(`${url}/search?q=alert`);
  await main.waitForSelector('.hit');
  assert.equal(await main.$$eval('img, main script', (x) => x.length), 0);
});

step('hidden text: listed, a click jumps there, strings shown as text, by key as well', async () => {
  await main.goto(`${url}/r/${ids.hidden}`);
  await ready(main);
  const lines = await main.$$eval('#hidden-lines li', (l) => l.map((x) => x.textContent));
  for (const want of [/control string\$ rm -rf/, /concealedcurl -s/, /erasedshred -u/, /rubbed out.*passwd root/]) assert.ok(lines.some((l) => want.test(l)), `${want} in ${lines}`);
  assert.match(await main.textContent('#lines'), /\[image, sixel, 1\.3 MB\]/);
  assert.ok(!(await screenText(main)).includes('rm -rf'));
  await main.selectOption('#hidden-how', 'control string');
  await until(main, () => document.getElementById('hidden-count').textContent === '3 lines');
  await main.click('#hidden-lines button:has-text("removed")');
  await until(main, () => Number(document.getElementById('show').dataset.now) > 5);
  const at = await nowAt(main);
  assert.ok(!(await screenText(main)).includes('rm -rf'));
  await main.check('#reveal');
  await showsText(main, 'rm -rf /srv/backup removed 4096 files');
  await until(main, (was) => Math.abs(Number(document.getElementById('show').dataset.now) - was) < 0.5, at);
  await main.evaluate(() => scrollTo(0, 0));
  await shot(main, 'hidden-strings');
  for (const place of ['#player .ap-term-text', '#b-play', '#reveal', '#hidden-lines']) {
    const was = await main.isChecked('#reveal');
    await main.locator(place).first().focus();
    await main.keyboard.press('h');
    await until(main, ([on, t]) => document.getElementById('reveal').checked === on && document.getElementById('player').textContent.includes('rm -rf') === on
      && Math.abs(Number(document.getElementById('show').dataset.now) - t) < 0.5, [!was, at]);
  }
  await main.locator('h1').click();
  await main.keyboard.press('h');
  await until(main, () => !document.getElementById('reveal').checked && !document.getElementById('player').textContent.includes('rm -rf'));
  await main.selectOption('#hidden-how', '');
  await main.locator('#hidden-lines').focus();
  await main.keyboard.press('Tab');
  assert.equal(await main.evaluate(() => document.activeElement.closest('#hidden-lines') !== null), true);
  await main.keyboard.press('Enter');
  await until(main, (was) => Math.abs(Number(document.getElementById('show').dataset.now) - was) > 0.5, at);
  await main.setViewportSize({ width: 1440, height: 1500 });
  await main.evaluate(() => scrollTo(0, 0));
  await shot(main, 'hidden-text');
  await main.setViewportSize({ width: 1440, height: 900 });
  await main.goto(`${url}/r/${ids.main}`);
  await ready(main);
  assert.equal(await main.isVisible('#reveal-label'), false);
});

step('a search can leave out what was hidden', async () => {
  await main.goto(`${url}/search?q=shred`);
  assert.match(await main.innerText('.hit'), /erased/);
  await shot(main, 'hidden-search');
  await main.check('.only input');
  await main.click('.search button');
  await main.waitForURL(/visible=1/);
  assert.match(await main.innerText('main'), /No screen of a recording/);
});

step('sealed: says who could open it', async () => {
  await main.goto(`${url}/r/${ids.sealed}`);
  assert.match(await main.innerText('section.sealed'), /alice@security/);
  await until(main, () => document.getElementById('proof-badge').textContent === 'verified');
});

step('live: joins, goes on without a gap, from the start, ends', async () => {
  const page = await open();
  await signIn(page);
  await page.goto(`${url}/r/${ids.live}`);
  await showsText(page, 'tail -f');
  appendFileSync(ids.livePath, '[0.5, "o", "first line that came later\\r\\n"]\n[0.1, "o", "second \\u001b[1;33mline\\u001b[0m\\r\\n"]\n');
  await showsText(page, 'second line');
  assert.equal((await screenText(page)).split('first line that came later').length, 2);
  await shot(page, 'live');
  await page.click('#b-start');
  await showsText(page, 'alice@web1');
  await page.click('#b-start');
  await showsText(page, 'second line');
  await page.context().close();
});

step('waiting: what has arrived can be played', async () => {
  await main.goto(`${url}/r/${ids.waiting}`);
  assert.match(await main.innerText('.banner:not([hidden])'), /has not been delivered/);
  await main.locator('h1').click();
  await main.keyboard.press(' ');
  await showsText(main, 'up 41 days');
});

step('downloads: cast, text, single page; the page works alone', async () => {
  await main.goto(`${url}/r/${ids.main}`);
  const get = async (text) => {
    const [d] = await Promise.all([main.waitForEvent('download', { timeout: 20000 }), main.click(`.downloads a:has-text("${text}")`)]);
    const path = await d.path();
    return [d.suggestedFilename(), path, readFileSync(path, 'utf8')];
  };
  const [castName, , cast] = await get('Recording');
  assert.equal(castName, `${ids.main}.cast`);
  assert.match(cast, /^\{"version":3,/);
  const [, , text] = await get('Transcript');
  assert.match(text, /unknown directive "sever_name"/);
  const [, , html] = await get('Single page');
  const alone = await open({ offline: true });
  const asked = [];
  alone.on('request', (r) => asked.push(r.url()));
  const file = `${shots}/single.html`;
  (await import('node:fs')).writeFileSync(file, html);
  await alone.goto(`file://${file}`);
  await alone.waitForSelector('#player .ap-player, #player .ap-wrapper');
  await until(alone, () => document.querySelector('#player .ap-term-text').textContent.trim() !== ''); // before it is played
  await alone.click('#player');
  await until(alone, () => document.querySelector('#player').innerText.includes('nginx'));
  assert.deepEqual(asked.filter((u) => !u.startsWith('file:') && !u.startsWith('data:') && !u.startsWith('blob:')), []);
  for (const u of [...strangers]) if (u.startsWith('file:')) strangers.delete(u);
  await shot(alone, 'single');
  await alone.context().close();
});

step('every look is on the page', async () => {
  await main.goto(`${url}/r/${ids.main}`);
  const watched = await main.innerText('.watched');
  for (const w of ['view', 'play', 'read', 'download html', 'local']) assert.match(watched, new RegExp(w), watched);
});

// press presses a key where the focus is and waits until it has been acted on.
async function press(page, key) {
  await page.keyboard.press(key);
  await page.waitForTimeout(250); // the clock of the page is read five times a second
}

const state = (page) => page.evaluate(() => ({
  now: Number(document.getElementById('show').dataset.now), playing: document.getElementById('show').dataset.playing,
  speed: document.getElementById('speed').value, skip: document.getElementById('skip').checked, wall: document.getElementById('wall').checked,
  reveal: document.getElementById('reveal').checked,
  dialogs: document.querySelectorAll('dialog[open]').length + document.querySelectorAll('.ap-overlay-help').length,
  full: Boolean(document.fullscreenElement), focus: document.activeElement.id, url: location.search,
}));

// What each key of the dialog does, once: from 30 % of the recording, paused.
const near = (a, b) => assert.ok(Math.abs(a - b) < 0.3, `at ${a}, not at ${b}`);
const keys = {
  ' ': async (page, was) => { assert.equal((await state(page)).playing, 'yes'); await press(page, ' '); assert.equal((await state(page)).playing, 'no'); near(was.now, was.now); },
  ArrowLeft: async (page, was) => near((await state(page)).now, was.now - 5),
  ArrowRight: async (page, was) => near((await state(page)).now, was.now + 5),
  'Shift+ArrowLeft': async (page, was) => near((await state(page)).now, Math.max(0, was.now - 60)),
  'Shift+ArrowRight': async (page, was, total) => near((await state(page)).now, Math.min(total, was.now + 60)),
  '.': async (page, was) => { const { now } = await state(page); assert.ok(now > was.now && now < was.now + 60, `from ${was.now} to ${now}`); },
  ',': async (page, was) => { const { now } = await state(page); assert.ok(now < was.now && now > was.now - 60, `from ${was.now} to ${now}`); },
  '[': async (page, was) => assert.ok((await state(page)).now <= was.now),
  ']': async (page, was) => assert.ok((await state(page)).now > was.now),
  0: async (page) => near((await state(page)).now, 0),
  9: async (page, was, total) => near((await state(page)).now, 0.9 * total),
  '<': async (page) => assert.equal((await state(page)).speed, '0.5'),
  '>': async (page) => assert.equal((await state(page)).speed, '2'),
  i: async (page, was) => assert.equal((await state(page)).skip, !was.skip),
  w: async (page, was) => assert.equal((await state(page)).wall, !was.wall),
  h: async (page, was) => { const { reveal, now } = await state(page); assert.equal(reveal, false); near(now, was.now); }, // no strings here; where there are some, see hidden text
  '/': async (page) => assert.equal((await state(page)).focus, 'find'),
  c: async (page, was) => near(Number(new URLSearchParams((await state(page)).url).get('t')), was.now),
  f: async (page) => { assert.ok((await state(page)).full); await press(page, 'f'); assert.ok(!(await state(page)).full); },
  '?': async (page) => { assert.equal((await state(page)).dialogs, 1); await press(page, 'Escape'); assert.equal((await state(page)).dialogs, 0); },
};

step('keys: each does what the dialog says, once, wherever the focus is', async () => {
  const page = await open({ permissions: ['clipboard-read', 'clipboard-write'] });
  await signIn(page);
  await page.goto(`${url}/r/${ids.main}`);
  await ready(page);
  const total = (await (await page.request.get(`${url}/r/${ids.main}/play/index.json`)).json()).duration;
  const named = await page.$$eval('#keys kbd', (k) => k.map((x) => x.textContent));
  const names = { space: ' ', '←': 'ArrowLeft', '→': 'ArrowRight', shift: 'Shift+ArrowLeft' };
  for (const n of named) assert.ok(keys[names[n] ?? n], `the dialog names ${n}, which is not tried`);
  const places = {
    body: () => page.evaluate(() => document.activeElement.blur()),
    player: () => page.focus('#player .ap-term-text'),
    button: () => page.focus('#b-play'),
  };
  for (const [place, focus] of Object.entries(places)) {
    for (const [key, check] of Object.entries(keys)) {
      await page.evaluate(() => document.activeElement.blur());
      if ((await state(page)).speed !== '1') await page.selectOption('#speed', '1');
      await page.evaluate(() => document.activeElement.blur());
      await press(page, '3');
      await until(page, (t) => Math.abs(Number(document.getElementById('show').dataset.now) - t) < 0.3, 0.3 * total);
      const was = await state(page);
      await focus();
      await press(page, key);
      try {
        await check(page, was, total);
      } catch (e) {
        throw new Error(`${JSON.stringify(key)} with the focus on the ${place}: ${e.message}`);
      }
    }
  }
  await page.focus('#find');
  const was = await state(page);
  for (const key of Object.keys(keys)) await page.keyboard.press(key);
  await page.waitForTimeout(500);
  // Arrows move in the field, so the letters are in another order.
  const typed = [...await page.inputValue('#find')].toSorted().join('');
  assert.equal(typed, Object.keys(keys).filter((k) => k.length === 1).toSorted().join(''));
  assert.deepEqual({ ...await state(page), now: 0 }, { ...was, now: 0 });
  near((await state(page)).now, was.now);
  await page.context().close();
});

step('a key that is held down, and one after another', async () => {
  const page = await open();
  await signIn(page);
  await page.goto(`${url}/r/${ids.main}?t=10`);
  await ready(page);
  for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowRight');
  await until(page, () => Math.abs(Number(document.getElementById('show').dataset.now) - 30) < 0.3);
  for (let i = 0; i < 40; i++) await page.keyboard.press('.');
  await page.keyboard.press('0');
  await until(page, () => Number(document.getElementById('show').dataset.now) < 0.3);
  await page.context().close();
});

step('opens on a moment with something on it', async () => {
  const page = await open();
  await signIn(page);
  await page.goto(`${url}/r/${ids.main}`);
  await ready(page);
  await until(page, () => document.querySelector('#player .ap-term-text').textContent.trim() !== '');
  assert.ok(await nowAt(page) < 5);
  await page.goto(`${url}/r/${ids.main}?t=0`);
  await ready(page);
  assert.equal(await nowAt(page), 0);
  await page.goto(`${url}/r/${ids.main}?t=5:00:00`);
  await ready(page);
  const { duration } = await (await page.request.get(`${url}/r/${ids.main}/play/index.json`)).json();
  assert.ok(Math.abs(await nowAt(page) - duration) < 0.01);
  await page.reload();
  const end = (await page.innerText('.watched li:nth-child(2)')).match(/view at ([0-9.]+) s/);
  assert.ok(end && Math.abs(end[1] - duration) < 0.01, end);
  await page.context().close();
});

step('one visit is one line', async () => {
  await main.goto(`${url}/r/${ids.interrupted}`);
  await ready(main);
  await main.goto(`${url}/r/${ids.interrupted}`);
  const lines = await main.$$eval('.watched li', (l) => l.map((x) => x.innerText));
  assert.equal(lines.length, 2, lines.join(' | '));
  for (const w of ['view', 'play', 'read']) assert.match(lines[1], new RegExp(w));
});

step('what is used most is on the first screen', async () => {
  for (const id of [ids.main, ids.interrupted]) {
    await main.goto(`${url}/r/${id}?t=60`);
    await ready(main);
    for (const part of ['#player', '#map', '#b-play', '#speed', '#b-keys']) {
      const box = await main.locator(part).boundingBox();
      assert.ok(box.y >= 0 && box.y + box.height <= 900, `${part} ends at ${box.y + box.height}`);
    }
  }
});

step('states catch the eye only where they mean something', async () => {
  await main.goto(`${url}/`);
  const back = (state) => main.$eval(`.badge.${state}`, (b) => getComputedStyle(b).backgroundColor);
  assert.equal(await back('delivered'), 'rgba(0, 0, 0, 0)');
  for (const s of ['live', 'waiting', 'interrupted', 'sealed', 'unsigned']) assert.notEqual(await back(s), 'rgba(0, 0, 0, 0)', s);
});

const axe = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

async function faultless(page, what) {
  await page.evaluate(axe);
  const faults = await page.evaluate(() => window.axe.run(document).then((r) => r.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')}`)));
  assert.deepEqual(faults, [], what);
}

step('axe finds no fault, light, dark, on a phone', async () => {
  for (const options of [{}, { colorScheme: 'dark' }, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }]) {
    const page = await open(options);
    await page.goto(`${url}/`);
    await faultless(page, 'sign-in');
    await signIn(page);
    for (const path of ['/', '/?user=deploy', '/search?q=nginx', `/r/${ids.main}?t=60`, `/r/${ids.hostile}`, `/r/${ids.hidden}`, `/r/${ids.sealed}`, `/r/${ids.interrupted}`]) {
      await page.goto(url + path);
      if (/^.r/.test(path) && !path.includes(ids.sealed)) await ready(page);
      if (path.startsWith('/r/')) await until(page, () => !/checking/.test(document.getElementById('proof-badge').className));
      await faultless(page, `${path} ${JSON.stringify(options)}`);
    }
    await page.context().close();
  }
});

step('keyboard alone', async () => {
  await main.goto(`${url}/`);
  await main.keyboard.press('Tab');
  assert.equal(await main.evaluate(() => document.activeElement.className), 'skip');
  await main.goto(`${url}/r/${ids.main}`);
  await ready(main);
  await main.keyboard.press(' ');
  await until(main, () => document.getElementById('show').dataset.playing === 'yes');
  await main.keyboard.press(' ');
  await until(main, () => document.getElementById('show').dataset.playing === 'no');
  await main.keyboard.press('?');
  await main.waitForSelector('#keys[open]');
  await shot(main, 'keys');
  await main.keyboard.press('Escape');
  await main.waitForSelector('#keys', { state: 'hidden' });
  await main.keyboard.press(']');
  await until(main, () => Number(document.getElementById('show').dataset.now) > 40);
});

step('dark', async () => {
  const page = await open({ colorScheme: 'dark' });
  await signIn(page);
  await shot(page, 'list-dark');
  await page.goto(`${url}/r/${ids.main}?t=60`);
  await ready(page);
  await showsText(page, 'sever_name');
  await shot(page, 'player-dark');
  await page.context().close();
});

step('phone: nothing is wider than the screen', async () => {
  const page = await open({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  await signIn(page);
  for (const [path, name] of [['/', 'phone-list'], [`/r/${ids.main}?t=60`, 'phone-player'], [`/r/${ids.hidden}`, 'phone-hidden'], ['/search?q=nginx', 'phone-search']]) {
    await page.goto(url + path);
    if (name === 'phone-player') { await ready(page); await showsText(page, 'sever_name'); }
    await shot(page, name);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${name} is ${wide}px too wide`);
    assert.ok(await page.isVisible('#quick'), 'the search box');
  }
  await page.goto(`${url}/`);
  assert.ok(!await page.isVisible('.filters'));
  assert.ok((await page.locator('table.list tr').nth(1).boundingBox()).y < 300, 'the list is on the first screen');
  await page.tap('.fold summary');
  await page.fill('input[name=user]', 'deploy');
  await page.tap('.filters button');
  await page.waitForURL(/user=deploy/);
  assert.ok(await page.isVisible('.filters'), 'filters that are set are seen');
  await page.context().close();
});

step('sign-out ends the session', async () => {
  await main.goto(`${url}/`);
  await main.click('button:has-text("Sign out")');
  await main.waitForURL(/login/);
  await main.goto(`${url}/r/${ids.main}`);
  assert.match(main.url(), /\/login\?next=/);
});

let failed = 0;
for (const [name, run] of steps) {
  if (given.only && !name.includes(given.only) && !name.startsWith('sign-in')) continue;
  const began = Date.now();
  try {
    complaints.length = 0;
    await run();
    assert.deepEqual(complaints, [], 'the console is clean');
    console.log(`ok   ${name} (${Date.now() - began} ms)`);
  } catch (e) {
    failed++;
    console.log(`FAIL ${name}: ${e.message}\n${(e.stack.match(/browser\.mjs:\d+/g) ?? []).join(' ')}`);
    await shot(main, `fail-${failed}`);
  }
}
if (strangers.size) {
  failed++;
  console.log(`FAIL requests to other origins: ${[...strangers].join(' ')}`);
}
await browser.close();
process.exitCode = failed ? 1 : 0;
