// SPDX-License-Identifier: AGPL-3.0-or-later

// The mini-map: how much happened when, idle times, markers, hits, and where
// the player is. It is also the way to seek.

const svg = 'http://www.w3.org/2000/svg';
const width = 960;
const height = 36;

function rect(cls, x, y, w, h) {
  const r = document.createElementNS(svg, 'rect');
  for (const [k, v] of Object.entries({ class: cls, x, y, width: w, height: h })) r.setAttribute(k, v);
  return r;
}

export function drawMap(el, outline, seek) {
  const total = outline.duration || 1;
  const x = (t) => (t / total) * width;
  for (const [from, to] of outline.idle) el.append(rect('idle', x(from), 0, Math.max(0.5, x(to) - x(from)), height));
  const w = width / Math.max(1, outline.activity.length);
  outline.activity.forEach((v, i) => {
    const h = (v / 100) * (height - 8);
    if (h > 0) el.append(rect('bar', i * w, height - h, Math.max(0.6, w - 0.7), h));
  });
  for (const m of outline.markers) el.append(rect(m.kind === 'exit' ? 'exit' : 'mark', x(m.t) - 1, 0, 2, m.kind === 'resize' ? 6 : 12));
  const hits = document.createElementNS(svg, 'g');
  const head = rect('head', 0, 0, 2, height);
  el.append(hits, head);

  const at = (e) => {
    const box = el.getBoundingClientRect();
    return Math.max(0, Math.min(1, (e.clientX - box.left) / box.width)) * outline.duration;
  };
  el.addEventListener('pointerdown', (e) => {
    el.setPointerCapture(e.pointerId);
    seek(at(e));
  });
  el.addEventListener('pointermove', (e) => { if (e.buttons & 1) seek(at(e)); });

  return {
    head: (t) => head.setAttribute('x', x(t) - 1),
    hits: (times) => hits.replaceChildren(...times.slice(0, 500).map((t) => rect('hit', x(t) - 1.5, 0, 3, 10))),
  };
}
