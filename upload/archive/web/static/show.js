// SPDX-License-Identifier: AGPL-3.0-or-later

// The page of one recording. What comes from a recording is put into the
// document as text (textContent), never as markup.

import { Hidden } from './hidden.js';
import { ownKeys, step } from './keys.js';
import { drawMap } from './map.js';
import { Transcript } from './transcript.js';

const show = document.getElementById('show');
const $ = (id) => document.getElementById(id);
const base = `/r/${show.dataset.ref}`;
const live = show.dataset.state === 'live';
const waiting = show.dataset.state === 'waiting';
const sealed = show.dataset.state === 'sealed';
const speeds = [0.5, 1, 2, 4, 8];

let player = null;
let playing = false;
let mode = live ? 'live' : waiting ? 'history' : 'recording'; // history: what has arrived, from its start
let outline = { duration: 0, first: 0, idle: [], activity: [], markers: [], lines: [], hidden: [], strings: false };
let map = null;
let transcript = null;

function clock(t) {
  const s = Math.max(0, Math.floor(t));
  const two = (n) => String(n).padStart(2, '0');
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

const wallClock = (t) => new Date((Number(show.dataset.start) + t) * 1000).toISOString().slice(11, 19) + ' UTC';
const shown = (t) => ($('wall').checked ? wallClock(t) : clock(t));

// --- the player. Its speed is fixed when it is made, so another speed is
// another player that starts where the last one was.

function source() {
  if (mode === 'live') return { driver: 'eventsource', url: `${base}/live`, bufferTime: 0 };
  if (mode === 'history') return { url: `${base}/cast` };
  return { url: `${base}/${$('reveal').checked ? 'reveal' : 'play'}/index.json`, format: 'segmented' };
}

function create(startAt, autoPlay) {
  show.dataset.mode = mode; // what makes no sense live is not shown then
  player?.dispose();
  $('player').replaceChildren();
  const options = { fit: 'both', autoPlay, controls: 'auto', preload: true };
  if (mode !== 'live') Object.assign(options, { startAt, speed: Number($('speed').value) });
  player = AsciinemaPlayer.create(source(), $('player'), options);
  setPlaying(false);
  // Not 'play': a player that is paused before it has begun can't be sought.
  player.addEventListener('playing', () => setPlaying(true));
  player.addEventListener('pause', () => setPlaying(false));
  player.addEventListener('ended', () => {
    setPlaying(false);
    if (mode === 'live') location.reload();
  });
  // Until something is played or sought the player shows a blank poster.
  if (mode === 'recording' && !autoPlay) return player.seek(startAt);
}

function setPlaying(yes) {
  playing = yes;
  $('b-play').textContent = yes ? 'Pause' : 'Play';
  show.dataset.playing = yes ? 'yes' : 'no';
}

async function now() {
  return player && mode !== 'live' ? Number(await player.getCurrentTime()) || 0 : 0;
}

async function seek(t) {
  if (!player || mode === 'live') return;
  await player.seek(Math.max(0, Math.min(t, outline.duration || t)));
  await tick();
}

async function toggle() {
  if (!player) return;
  await (playing ? player.pause() : player.play());
}

async function setSpeed(v) {
  $('speed').value = String(v);
  const was = playing;
  await create(await now(), was);
}

// setReveal shows what was written into control strings, or no longer.
async function setReveal() {
  const was = playing;
  await create(await now(), was);
}

// turnReveal is the key for it, where there are strings.
function turnReveal() {
  if (!outline.strings) return undefined;
  $('reveal').checked = !$('reveal').checked;
  return setReveal();
}

// tick shows where the player is, and jumps over idle times.
let ticking = false;
async function tick() {
  if (!player || mode === 'live' || ticking) return;
  ticking = true;
  try {
    const t = await now();
    $('now').textContent = shown(t);
    show.dataset.now = t.toFixed(3);
    map?.head(t);
    transcript?.follow(t);
    if (playing && $('skip').checked) {
      const idle = outline.idle.find(([from, to]) => t > from + 0.7 && t < to - 0.5);
      if (idle) await player.seek(idle[1] - 0.2);
    }
  } finally {
    ticking = false;
  }
}

// --- around the player

function link(t) {
  const u = new URL(location.href);
  u.searchParams.set('t', t.toFixed(1).replace(/\.0$/, ''));
  return u;
}

async function copyLink() {
  const u = link(await now());
  history.replaceState(null, '', u);
  const b = $('b-link');
  const label = b.textContent;
  try {
    await navigator.clipboard.writeText(u.href);
    b.textContent = 'Copied';
  } catch {
    b.textContent = 'In the address bar';
  }
  setTimeout(() => { b.textContent = label; }, 1500);
}

function jumpMarker(step, t) {
  const times = outline.markers.map((m) => m.t);
  const to = step > 0 ? times.find((m) => m > t + 0.05) : times.filter((m) => m < t - 0.5).pop();
  if (to !== undefined) return seek(to);
}

function listMarkers() {
  const list = $('markers');
  for (const m of outline.markers) {
    if (m.kind === 'exit') continue;
    const b = document.createElement('button');
    b.textContent = `${clock(m.t)} ${m.kind === 'resize' ? 'resized to ' : ''}${m.label}`;
    b.addEventListener('click', () => seek(m.t));
    const li = document.createElement('li');
    li.append(b);
    list.append(li);
  }
  list.hidden = !list.children.length;
}

async function verify() {
  const badge = $('proof-badge');
  badge.hidden = false;
  badge.className = 'badge checking';
  badge.textContent = 'checking…';
  try {
    const r = await fetch(`${base}/verify`);
    if (!r.ok) throw new Error(`the server answered ${r.status}`);
    const proof = await r.json();
    // "intact" is what hashes alone can tell; who made it, only a known key does.
    const word = proof.signed ? 'verified' : 'intact';
    badge.className = `badge ${proof.ok ? word : 'failed'}`;
    badge.textContent = proof.ok ? word : proof.claimed ? 'another host claims its id' : 'NOT as it was recorded';
    $('proof').replaceChildren(...(proof.items ?? []).map((i) => {
      const li = document.createElement('li');
      li.className = i.ok ? 'ok' : 'no';
      const name = document.createElement('strong');
      name.textContent = i.name;
      li.append(name, ` ${i.text}`);
      return li;
    }));
  } catch (e) {
    badge.className = 'badge failed';
    badge.textContent = `not checked: ${e.message}`;
  }
}

// --- keys

const faster = (n) => {
  const i = speeds.indexOf(Number($('speed').value)) + n;
  return mode !== 'live' && i >= 0 && i < speeds.length ? setSpeed(speeds[i]) : undefined;
};
const by = (seconds) => async () => seek((await now()) + seconds);
const minutes = (n) => async (shift) => by(shift ? n * 60 : n * 5)();
const marker = (n) => async () => jumpMarker(n, await now());

// stepTo goes on or back by an event; where the player is then, it says late.
const stepTo = (k) => () => {
  if (mode === 'live') return;
  step($('player'), k);
  setTimeout(tick, 50);
};

const actions = {
  ' ': toggle, ArrowLeft: minutes(-1), ArrowRight: minutes(1), ',': stepTo(','), '.': stepTo('.'), '[': marker(-1), ']': marker(1),
  '<': () => faster(-1), '>': () => faster(1), i: () => $('skip').click(), w: () => $('wall').click(), h: turnReveal, c: copyLink,
  '/': () => $('find').focus(), '?': () => $('keys').showModal(),
  f: () => (document.fullscreenElement ? document.exitFullscreen() : $('player').requestFullscreen()),
};
for (let tenth = 0; tenth < 10; tenth++) actions[tenth] = () => seek((tenth / 10) * outline.duration);

function listen() {
  $('b-play').addEventListener('click', toggle);
  $('b-link').addEventListener('click', copyLink);
  $('b-keys').addEventListener('click', () => $('keys').showModal());
  $('speed').addEventListener('change', () => setSpeed($('speed').value));
  $('wall').addEventListener('change', tick);
  $('reveal').addEventListener('change', setReveal);
  $('b-start')?.addEventListener('click', () => {
    mode = mode === 'live' ? 'history' : 'live';
    $('b-start').textContent = mode === 'live' ? 'Watch from the start' : 'Back to live';
    create(0, true);
  });
  ownKeys($('player'), actions, ['ArrowLeft', 'ArrowRight', ',', '.']);
  setInterval(tick, 200);
}

// fitPlayer gives the player the shape of its terminal, whose cells are about
// 0.6 by 1.33 of the size of its letters; style sheets bound its height.
function fitPlayer() {
  $('player').style.aspectRatio = `${show.dataset.cols * 0.6 + 1.5} / ${show.dataset.rows * 1.3333 + 1.5}`;
}

async function start() {
  $('b-verify')?.addEventListener('click', verify);
  if (!live && !waiting) verify();
  if (sealed) return;
  fitPlayer();
  listen();
  if (live || waiting) {
    transcript = new Transcript($('lines'), $('find'), $('found'), seek);
    transcript.note(live ? 'The transcript is made when the session has ended.' : 'The transcript is made when the recording has been delivered.');
    if (window.AsciinemaPlayer) create(0, live);
    return;
  }
  const r = await fetch(`${base}/play/outline.json`);
  if (!r.ok) {
    $('player').replaceChildren(Object.assign(document.createElement('p'), { className: 'preparing', textContent: 'The recording can not be shown.' }));
    return;
  }
  outline = await r.json();
  for (const k of ['idle', 'activity', 'markers', 'lines', 'hidden']) outline[k] ??= [];
  $('cut').hidden = !outline.cut;
  map = drawMap($('map'), outline, seek);
  transcript = new Transcript($('lines'), $('find'), $('found'), seek, (hits) => map.hits(hits));
  transcript.show(outline.lines, outline.more);
  listMarkers();
  new Hidden($('hidden'), outline, (t) => {
    $('player').scrollIntoView({ block: 'nearest' });
    return seek(t);
  });
  $('reveal-label').hidden = !outline.strings;
  // Where no moment is asked for, it opens on the first with something on it.
  const at = Math.min(show.dataset.at === '' ? outline.first : Number(show.dataset.at), outline.duration);
  if (window.AsciinemaPlayer) await create(at, false);
  await tick();
  show.dataset.ready = 'yes';
}

start();
