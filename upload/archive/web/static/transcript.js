// SPDX-License-Identifier: AGPL-3.0-or-later

// The transcript beside the player: a click on a line jumps to when it was
// written, the line of this moment is marked, and words can be looked for.

function clock(t) {
  const s = Math.floor(t);
  const two = (n) => String(n).padStart(2, '0');
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

export class Transcript {
  constructor(list, find, found, seek, onHits = () => {}) {
    Object.assign(this, { list, find, found, seek, onHits, lines: [], items: [], at: -1, hit: -1, hits: [], touched: 0 });
    list.addEventListener('click', (e) => {
      const i = this.items.indexOf(e.target.closest('li'));
      if (i >= 0 && !String(getSelection())) seek(this.lines[i].t);
    });
    // Whoever scrolls reads: the list stays where it is for a while.
    for (const ev of ['wheel', 'touchmove', 'keydown']) list.addEventListener(ev, () => { this.touched = Date.now(); }, { passive: true });
    find.addEventListener('input', () => this.look());
    find.addEventListener('keydown', (e) => {
      if (e.key === 'Enter') this.next(e.shiftKey ? -1 : 1);
      if (e.key === 'Escape') { find.value = ''; this.look(); find.blur(); }
    });
  }

  note(text) {
    const li = document.createElement('li');
    const t = document.createElement('span');
    t.className = 'x muted';
    t.textContent = text;
    li.append(document.createElement('span'), t);
    this.list.replaceChildren(li);
  }

  show(lines, more) {
    this.lines = lines;
    if (!lines.length) return this.note('No text was shown.');
    this.items = lines.map((l) => {
      const li = document.createElement('li');
      const t = document.createElement('span');
      t.className = 't';
      t.textContent = clock(l.t);
      const x = document.createElement('span');
      x.className = 'x';
      x.textContent = l.text;
      li.append(t, x);
      if (l.hidden) {
        const how = document.createElement('span');
        how.className = 'badge hidden-how';
        how.textContent = l.hidden;
        li.classList.add('was-hidden');
        li.insertBefore(how, x);
      }
      return li;
    });
    this.list.replaceChildren(...this.items);
    if (more) {
      const li = document.createElement('li');
      li.append(document.createElement('span'), 'There is more: the text download has all.');
      this.list.append(li);
    }
  }

  // follow marks the last line that had been written at t.
  follow(t) {
    let low = 0;
    let high = this.lines.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.lines[mid].t <= t + 0.05) low = mid + 1;
      else high = mid;
    }
    const i = low - 1;
    if (i === this.at) return;
    this.items[this.at]?.classList.remove('now');
    this.items[i]?.classList.add('now');
    this.at = i;
    if (i >= 0 && Date.now() - this.touched > 4000) this.scrollTo(i);
  }

  scrollTo(i) {
    const li = this.items[i];
    const box = this.list;
    const top = li.offsetTop;
    if (top < box.scrollTop + 20 || top > box.scrollTop + box.clientHeight - 60) box.scrollTop = top - box.clientHeight / 2;
  }

  look() {
    const word = this.find.value.toLowerCase();
    this.hits = [];
    this.hit = -1;
    this.items.forEach((li, i) => {
      const x = li.lastChild;
      const text = this.lines[i].text;
      const at = word ? text.toLowerCase().indexOf(word) : -1;
      li.classList.toggle('off', word !== '' && at < 0);
      if (at < 0) { x.textContent = text; return; }
      const mark = document.createElement('mark');
      mark.textContent = text.slice(at, at + word.length);
      x.replaceChildren(text.slice(0, at), mark, text.slice(at + word.length));
      this.hits.push(i);
    });
    this.found.textContent = word ? `${this.hits.length} ${this.hits.length === 1 ? 'line' : 'lines'}` : '';
    this.onHits(this.hits.map((i) => this.lines[i].t));
  }

  next(step) {
    if (!this.hits.length) return;
    this.hit = (this.hit + step + this.hits.length) % this.hits.length;
    this.seek(this.lines[this.hits[this.hit]].t);
    this.found.textContent = `${this.hit + 1} of ${this.hits.length}`;
  }
}
