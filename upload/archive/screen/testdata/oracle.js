// SPDX-License-Identifier: AGPL-3.0-or-later
// Runs streams through @xterm/headless and prints what its screens show.
// stdin: [{cols, rows, parts: [{data: base64} | {cols, rows}]}], stdout: [state].
'use strict';
const { Terminal } = require('@xterm/headless');
const { Unicode11Addon } = require('@xterm/addon-unicode11');

function styles(line, cols) {
	let out = '';
	for (let x = 0; x < cols; x++) {
		const c = line.getCell(x);
		if (!c || c.getWidth() === 0 || c.getChars().trim() === '') continue;
		const colour = (kind, n) => kind === 'p' ? 'p' + n : kind === 'r' ? 'r' + n.toString(16) : '';
		const kind = (p, r) => p ? 'p' : r ? 'r' : '';
		const flags = [c.isBold(), c.isDim(), c.isItalic(), c.isUnderline(), c.isBlink(), c.isInverse(), c.isInvisible(), c.isStrikethrough()];
		out += x + ':' + colour(kind(c.isFgPalette(), c.isFgRGB()), c.getFgColor()) + '/' +
			colour(kind(c.isBgPalette(), c.isBgRGB()), c.getBgColor()) + '/' +
			flags.map((f, i) => f ? i : '').join('') + ' ';
	}
	return out;
}

function rows(buffer, from, to) {
	const out = [];
	for (let y = from; y < to; y++) out.push(buffer.getLine(y).translateToString(true).trimEnd());
	return out;
}

// Lines of the scrollback, joined where the terminal wrapped them.
function history(buffer) {
	const out = [];
	let part = '';
	for (let y = 0; y < buffer.baseY; y++) {
		const next = buffer.getLine(y + 1);
		const continued = next && next.isWrapped;
		part += buffer.getLine(y).translateToString(!continued);
		if (continued) continue;
		out.push(part.trimEnd());
		part = '';
	}
	return out;
}

// It parses in a timer: what it throws there would end the program.
let thrown = err => { throw err; };
process.on('uncaughtException', err => thrown(err));

async function run(stream) {
	const term = new Terminal({ cols: stream.cols, rows: stream.rows, scrollback: 100000, allowProposedApi: true });
	term.loadAddon(new Unicode11Addon());
	term.unicode.activeVersion = '11';
	for (const part of stream.parts) {
		if (part.data === undefined) term.resize(part.cols, part.rows);
		else await new Promise((done, fail) => {
			thrown = fail;
			term.write(Buffer.from(part.data, 'base64'), done);
		});
	}
	const b = term.buffer.active;
	const state = {
		text: rows(b, b.baseY, b.baseY + term.rows),
		styles: [],
		x: Math.min(b.cursorX, term.cols - 1), y: b.cursorY,
		alt: b.type === 'alternate',
		history: history(term.buffer.normal),
	};
	for (let y = 0; y < term.rows; y++) state.styles.push(styles(b.getLine(b.baseY + y), term.cols));
	term.dispose();
	return state;
}

(async () => {
	const streams = JSON.parse(require('fs').readFileSync(0));
	const states = [];
	for (const s of streams) {
		// It throws on some streams: these say nothing about ours.
		states.push(await run(s).catch(err => ({ failed: String(err) })));
	}
	process.stdout.write(JSON.stringify(states));
})();
