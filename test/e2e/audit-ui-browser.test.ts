/** The live page in a real browser: follows a guest, allows what it was denied, and is nobody else's. */

import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { until } from './lifecycle/conditions.ts';
import { createOrigins, type Origins } from './origins.ts';
import { createWorld, outputOf, type World } from './sand.ts';
import { type ServedPage, servePage } from './served-page.ts';

const CHROMIUM = '/usr/bin/chromium';
/** A path that would be an element, were it not text. */
const HOSTILE = '<img/src=x/onerror=alert(1)>';
/** Of every wait in the browser, on a loaded machine. */
const SOON = { timeout: 40_000 };
/** Of one test: a guest, a page server and a browser come up in it. */
const WHOLE_MS = 180_000;

let origins: Origins;
let world: World;
let ui: ServedPage | null = null;
beforeAll(async () => {
  origins = await createOrigins();
});
afterAll(() => origins.close());
beforeEach(() => {
  world = createWorld();
});
afterEach(async () => {
  await ui?.end();
  ui = null;
  world.remove();
});

async function serve(args: readonly string[] = []): Promise<URL> {
  ui = await servePage(world, args);
  return ui.link;
}

describe.skipIf(!existsSync(CHROMIUM))('in a browser (Debian’s chromium)', { timeout: WHOLE_MS }, () => {
  let browser: Browser;
  beforeAll(async () => {
    const { chromium } = await import('playwright-core');
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  });
  afterAll(() => browser.close());

  /** Opens the link; whatever the page complains of ends up in the list. */
  async function open(link: URL, complaints: string[]): Promise<Page> {
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(SOON.timeout);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(link.href);
    await page.waitForSelector('#events[data-state=read]');
    return page;
  }

  it('follows a guest, allows what it was denied once patch and difference were shown, and the guest goes by it', async () => {
    const folder = join(world.root, 'policies');
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    const policy = join(folder, 'p.yaml');
    const text = `version: 1\nrules:\n  # ours\n  - {allow: raw.origin.test, tcp: [${origins.tcpPort}], addresses: [127.0.0.0/8]}\n`;
    writeFileSync(policy, text);
    const guest = world.start([
      ...['run', '--name', 'web', '--policy', policy, '--dns-upstream', `127.0.0.1:${origins.dnsPort}`, '--'],
      ...[
        'sh',
        '-c',
        'while read -r url; do curl -sS -m 5 --globoff --path-as-is "$url" 2>&1 | head -1; done',
      ],
    ]);
    const output = outputOf(guest, null);
    try {
      await until('the guest runs', () => existsSync(join(world.root, 'state/sand/guests/web')));
      const link = await serve(['web']);
      const complaints: string[] = [];
      const page = await open(link, complaints);
      expect(page.url()).not.toContain('token');
      await page.waitForSelector('#live-state:text("Live")');
      // What is asked for now comes to the page by itself, what a hostile guest asks for among it.
      guest.stdin?.write(`https://denied.origin.test/\nhttp://evil.origin.test/${HOSTILE}\n`);
      const row = page.locator('.row', { hasText: 'denied.origin.test' }).first();
      await row.click();
      await page.click('[data-action=allow]');
      await page.waitForSelector('#rule-patch');
      expect(await page.textContent('#rule-patch')).toContain('+  - allow: denied.origin.test');
      expect(await page.textContent('#rule-difference')).toContain(
        'now allowed: https to denied.origin.test:443',
      );
      expect(readFileSync(policy, 'utf8')).toBe(text);
      await page.click('#rule-write');
      expect(await page.textContent('dialog:has(#rule-written)')).toContain('web goes by it now.');
      expect(readFileSync(policy, 'utf8')).toBe(`${text}  - allow: denied.origin.test\n`);
      await page.click('#rule-close');
      expect(ui?.sand.stderr()).toContain(`written: ${policy}`);
      guest.stdin?.write('https://denied.origin.test/\n');
      guest.stdin?.end();
      await page.waitForSelector('#live-state:text("This run has ended")');
      await output;
      // Every line of the log is on the page once, in order, though it came in pieces.
      const logged = (await world.events()).filter(({ kind }) => kind !== 'close').length;
      await expect.poll(() => page.textContent('#totals')).toContain('denied');
      await page.click('#muted');
      expect(await page.textContent('#count')).toMatch(new RegExp(`^${logged} events`));
      expect(await page.locator('.row', { hasText: HOSTILE }).count()).toBe(1);
      expect(await page.locator('img').count()).toBe(0);
      expect(complaints).toEqual([]);
      await page.context().close();
    } finally {
      guest.stdin?.end();
      guest.kill('SIGTERM');
      await output;
    }
  });

  it('shows the page to nobody who comes with the link a second time, nor to another page of the same browser', async () => {
    await world.sand(['run', '--', 'true']);
    const link = await serve();
    const complaints: string[] = [];
    const page = await open(link, complaints);
    const { origin, pathname } = new URL(page.url());
    // A guest's published port is another port of the same site: its page is sent the browser's cookies for 127.0.0.1.
    const neighbour = createServer((request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(`cookies: ${request.headers.cookie ?? 'none'}`);
    });
    neighbour.listen({ port: 0, host: '127.0.0.1' });
    await once(neighbour, 'listening');
    const { port } = neighbour.address() as AddressInfo;
    try {
      const other = await page.context().newPage();
      await other.goto(`http://127.0.0.1:${port}/`);
      expect(await other.textContent('body')).toBe('cookies: none');
      const seen = await other.evaluate(async (url) => {
        try {
          const answer = await fetch(url, { credentials: 'include', mode: 'no-cors' });
          return `${answer.type} ${await answer.text()}`;
        } catch (error) {
          return String(error);
        }
      }, `${origin}${pathname}`);
      expect(seen).not.toMatch(/events|data-page/);
      const led = other.waitForResponse(`${origin}${pathname}`);
      await other.evaluate((url) => {
        Reflect.get(globalThis, 'location').href = url;
      }, `${origin}${pathname}`);
      expect((await led).status()).toBe(403);
    } finally {
      neighbour.close();
      neighbour.closeAllConnections();
    }
    const again = await (await browser.newContext()).newPage();
    expect((await again.goto(link.href))?.status()).toBe(403);
    await ui?.sand.printed('a second time');
    expect(complaints).toEqual([]);
    for (const context of browser.contexts()) await context.close();
  });
});
