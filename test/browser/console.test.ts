import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type BrowserContext, chromium, type Locator, type Page } from 'playwright-core';
import { type ConsoleWorld, createConsoleWorld } from '../support/console-world.ts';
import { recorder } from '../support/puller-world.ts';
import { CHROMIUM, missingBrowser } from '../support/stack.ts';

/** Each ink with the paper under it. */
const COLOURS = `['ink', 'soft', 'busy', 'warn', 'bad', 'move'].map((name) =>
  [name, ...['--' + name, '--paper'].map((each) => getComputedStyle(document.documentElement).getPropertyValue(each).trim())])`;

/** Without them it talks to its maker. */
const QUIET = [
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

describe('the web console in a browser', { skip: missingBrowser() }, () => {
  let world: ConsoleWorld;
  let profile: string;
  let browser: BrowserContext;
  let page: Page;
  const troubles: string[] = [];
  before(async () => {
    world = await createConsoleWorld();
    profile = await mkdtemp(path.join(tmpdir(), 'console-browser-'));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      args: QUIET,
      viewport: { width: 1100, height: 900 },
    });
    page = await browser.newPage();
    page.on('pageerror', (error) => troubles.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') troubles.push(message.text());
    });
    await page.goto(world.page.url);
  });
  after(async () => {
    await browser?.close();
    await world?.stop();
    await rm(profile, { recursive: true, force: true });
  });

  const reach = async (control: Locator) => {
    for (let presses = 0; !(await hasFocus(control)); presses++) {
      assert.ok(presses < 20, `${String(control)} is not reached by the tab key`);
      await page.keyboard.press('Tab');
    }
  };
  const group = () => page.getByRole('region', { name: 'workers', exact: true });

  test('shows queues as a table: state, holder, lag', async () => {
    await page.getByText('live', { exact: true }).waitFor();
    const rows = group().getByRole('row');
    await rows.nth(3).waitFor();
    assert.deepEqual(await group().getByRole('columnheader').allTextContents(), [
      'Queue',
      'State',
      'Slot',
      'Holder',
      'Lag',
      'Committed of max',
    ]);
    const waiting = group().getByRole('row', { name: /orders\/broker-a\/1/ });
    assert.deepEqual((await waiting.getByRole('cell').allTextContents()).slice(0, 4), [
      'waiting',
      '0',
      '–',
      '5',
    ]);
    await group()
      .getByRole('img', { name: /Lag over the last .* now 5, at most 5/ })
      .waitFor();
  });

  test('follows a puller that takes the queue and empties it, and logs it', async () => {
    const seen = recorder();
    const puller = world.start(seen.handler, {
      queues: [{ topic: 'orders', brokerName: 'broker-a', queueId: 1 }],
      holder: 'puller-of-the-test',
    });
    const row = group().getByRole('row', { name: /orders\/broker-a\/1/ });
    await row.getByText('puller-o').waitFor();
    await row.getByRole('cell', { name: '0', exact: true }).nth(1).waitFor();
    await page.getByRole('log').getByText('orders/broker-a/1 taken by puller-o').waitFor();
    await puller.stop();
    await page.getByRole('log').getByText('released by puller-o').waitFor();
  });

  test('by keyboard alone: a pause that is thought better of, one that is meant, and its end', async () => {
    const pause = group().getByRole('button', { name: 'Pause workers' });
    await reach(pause);
    await page.keyboard.press('Enter');
    const asked = page.getByRole('dialog', { name: 'Pause workers?' });
    await asked.getByText('What is in flight is finished and committed.').waitFor();
    assert.equal(
      await hasFocus(asked.getByRole('button', { name: 'Cancel' })),
      true,
      'Enter alone does no harm',
    );
    await page.keyboard.press('Escape');
    await asked.waitFor({ state: 'hidden' });
    assert.deepEqual(await world.store.standingPauses(world.group), []);
    assert.equal(await hasFocus(pause), true, 'the focus is where it was');

    await page.keyboard.press('Enter');
    await reach(asked.getByLabel('For'));
    await page.keyboard.press('ArrowUp');
    await reach(asked.getByRole('button', { name: 'Pause' }));
    await page.keyboard.press('Enter');
    await asked.waitFor({ state: 'hidden' });
    const resume = group().getByRole('button', { name: /^Resume workers, paused until \d+:\d+/ });
    await resume.waitFor();
    assert.equal(await hasFocus(resume), true, 'it is the same button');
    await group()
      .getByRole('row', { name: /orders\/broker-a\/0/ })
      .getByRole('cell', { name: 'paused' })
      .waitFor();
    await page.getByRole('log').getByText('orders/broker-a/0 is paused').waitFor();
    const [standing] = await world.store.standingPauses(world.group);
    assert.equal(
      (standing?.until ?? 0) - (standing?.since ?? 0),
      600_000,
      'the ten minutes that were chosen',
    );

    await page.keyboard.press('Enter');
    const end = page.getByRole('dialog', { name: 'Resume workers?' });
    await end.getByText(/^Paused until .*: from the web console\./).waitFor();
    assert.equal(await end.getByLabel('For').isVisible(), false);
    await reach(end.getByRole('button', { name: 'Resume' }));
    await page.keyboard.press('Enter');
    await end.waitFor({ state: 'hidden' });
    await pause.waitFor();
    await group()
      .getByRole('row', { name: /orders\/broker-a\/0/ })
      .getByRole('cell', { name: 'idle' })
      .waitFor();
  });

  test('by keyboard alone: to the dead letters, one redriven, closed, and back where one was', async () => {
    const button = group().getByRole('button', { name: 'Dead letters: 3 stored, 3 not redriven' });
    await button.waitFor();
    await reach(button);
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Dead letters of workers' });
    await dialog.getByText('3 shown').waitFor();
    const body = dialog.locator('li pre').first();
    assert.equal(
      await body.textContent(),
      '{"orderId":0,"note":"<b>bold</b>"}',
      'what a message says is text, never HTML',
    );
    const before = world.broker.messages('orders').length;
    const redrive = dialog.getByRole('button', { name: /^Redrive [0-9A-F]+$/ }).first();
    await reach(redrive);
    await page.keyboard.press('Enter');
    await dialog.getByRole('status').getByText('1 sent back').waitFor();
    assert.equal(world.broker.messages('orders').length, before + 1);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    assert.equal(await hasFocus(button), true, 'the focus is where it was');
  });

  test('all at once', async () => {
    await group()
      .getByRole('button', { name: /^Dead letters/ })
      .click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Redrive all that wait' }).click();
    await dialog.getByRole('status').getByText('3 sent back').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await group().getByRole('button', { name: 'Dead letters: 3 stored, 0 not redriven' }).waitFor();
  });

  test('has names and roles for everything that one can use, and enough contrast in both colour schemes', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      const nameless = await page
        .locator('button, a, [role="img"], progress')
        .evaluateAll((nodes) =>
          nodes
            .filter((node) => !(node.getAttribute('aria-label') ?? node.textContent)?.trim())
            .map((node) => node.outerHTML),
        );
      assert.deepEqual(nameless, []);
      const pairs = (await page.evaluate(COLOURS)) as [string, string, string][];
      for (const [name, color, paper] of pairs)
        assert.ok(
          contrast(color, paper) >= 4.5,
          `${colorScheme} ${name}: ${contrast(color, paper)}`,
        );
    }
  });

  test('no error on the page in all of this', () => assert.deepEqual(troubles, []));
});

function hasFocus(locator: Locator): Promise<boolean> {
  return locator.evaluate((node) => node.matches(':focus'));
}

/** WCAG 2: relative luminances of two colours `#rrggbb`. */
function contrast(a: string, b: string): number {
  const luminance = (color: string) => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}
