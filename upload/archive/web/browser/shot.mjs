// SPDX-License-Identifier: AGPL-3.0-or-later

// A picture of a recording's page: shot.mjs ADDRESS TOKEN FILE. Used by the demo.

import { chromium } from 'playwright-core';

const [address, token, file] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(20000);
  await page.goto(new URL('/', address).href);
  await page.fill('#token', token);
  await page.click('form[action="/login"] button');
  await page.waitForSelector('table.list');
  await page.goto(address);
  await page.waitForSelector('#show[data-ready="yes"]');
  await page.waitForFunction(() => document.getElementById('player').textContent.includes('$'));
  await page.screenshot({ path: file });
} finally {
  await browser.close();
}
