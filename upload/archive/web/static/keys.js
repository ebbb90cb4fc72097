// SPDX-License-Identifier: AGPL-3.0-or-later

// The one owner of keys. Every key that is pressed anywhere on the page comes
// here first, and what is acted on goes no further: the player has keys of its
// own, most of them the same ones, and would act a second time.

const text = 'textarea, select, input:not([type="checkbox"])';
const pressed = 'button, a, summary, input[type="checkbox"]'; // what space or enter works

// elsewhere: the key is meant for a field, a dialog, a button or the browser.
function elsewhere(e) {
  if (e.ctrlKey || e.altKey || e.metaKey || e.isComposing || document.querySelector('dialog[open]')) return true;
  return Boolean(e.target.closest?.(text)) || ((e.key === ' ' || e.key === 'Enter') && Boolean(e.target.closest?.(pressed)));
}

// patience is how long a press waits for what the one before it began. A player
// that never answers must not keep all keys to itself.
const patience = 1000;
const late = () => new Promise((done) => { setTimeout(done, patience); });

// ownKeys does what actions says for a key, one press after the other: what a
// press does depends on where the one before it has led. A key that is held
// down repeats only those actions that are in repeats.
export function ownKeys(player, actions, repeats) {
  let last = Promise.resolve();
  addEventListener('keydown', (e) => {
    // What the page itself sends to the player is not pressed by anybody.
    if (!e.isTrusted || elsewhere(e)) return;
    const act = actions[e.key];
    // Escape is left to the player, in which it closes what lies over the screen.
    if (act || (player.contains(e.target) && e.key !== 'Escape' && e.key !== 'Tab')) e.stopImmediatePropagation();
    if (!act) return;
    e.preventDefault();
    if (e.repeat && !repeats.includes(e.key)) return;
    const { shiftKey } = e;
    last = last.then(() => Promise.race([act(shiftKey), late()])).catch((err) => console.error(err));
  }, { capture: true });
}

// step has the player go one event on or back, for which it has a key only.
export function step(player, key) {
  player.querySelector('.ap-wrapper')?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
}
