// SPDX-License-Identifier: AGPL-3.0-or-later

// The list of what was hidden: a click on a line jumps to its moment.

function clock(t) {
  const s = Math.floor(t);
  const two = (n) => String(n).padStart(2, '0');
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

function element(tag, cls, text) {
  const e = document.createElement(tag);
  e.className = cls;
  e.textContent = text;
  return e;
}

export class Hidden {
  constructor(section, outline, seek) {
    Object.assign(this, { lines: outline.hidden, more: outline.moreHidden, seek, list: section.querySelector('ol'), count: section.querySelector('p') });
    section.hidden = !this.lines.length;
    const how = section.querySelector('select');
    const ways = new Map();
    for (const l of this.lines) ways.set(l.hidden, (ways.get(l.hidden) ?? 0) + 1);
    how.append(new Option(`all (${this.lines.length})`, ''));
    for (const [way, n] of [...ways].sort()) how.append(new Option(`${way} (${n})`, way));
    how.addEventListener('change', () => this.show(how.value));
    this.show('');
  }

  show(way) {
    const lines = this.lines.filter((l) => !way || l.hidden === way);
    this.count.textContent = `${lines.length} ${lines.length === 1 ? 'line' : 'lines'}${this.more ? ', the first of more: the text download has all' : ''}`;
    this.list.replaceChildren(...lines.map((l) => {
      const b = document.createElement('button');
      b.append(element('span', 't', clock(l.t)), element('span', 'badge hidden-how', l.hidden), element('code', 'x', l.text));
      b.addEventListener('click', () => this.seek(l.t));
      const li = document.createElement('li');
      li.append(b);
      return li;
    }));
  }
}
