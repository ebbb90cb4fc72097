// SPDX-License-Identifier: AGPL-3.0-or-later

// On a phone the filters would fill the first screen: there they are folded,
// unless one of them is set. The width is that of page.css.
const fold = document.querySelector('.fold');
const narrow = matchMedia('(max-width: 44rem)');
const set = document.querySelector('.chips');
const foldOrNot = () => { fold.open = !narrow.matches || Boolean(set); };
narrow.addEventListener('change', foldOrNot);
foldOrNot();
