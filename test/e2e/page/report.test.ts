/** The page of `sand audit report` in a real browser: what it shows, how it is used, and that no text of a guest runs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TopRow } from '../../../audit/top.ts';
import { sampleLines } from '../../../bench/sample-run.ts';
import { ALLOWED, close, connection, dns, linesOf, runEnd, runStart } from '../../audit/samples.ts';
import { createWorld, type World } from '../sand.ts';
import { openPage, startBrowser, WHY_NOT } from './browser.ts';

const LARGE = '20261121-201500-aaaa';
const HOSTILE = '20261121-201500-bbbb';
const EVENTS = 10_000;
/** Rows in sight and a few beyond, whatever the run. */
const MOST_ROWS = 60;
const MARKUP =
  '</script><script>window.ran=1</script><img src=x onerror="window.ran=1"><svg onload=window.ran=1>';
const TURNED = 'moc.elpmaxe\u202eexample.com';

if (WHY_NOT !== null) console.log(`skipped: the page in a browser: ${WHY_NOT}`);

describe.skipIf(WHY_NOT !== null)('the page of a run', () => {
  let world: World;
  let browser: Browser;
  const url = (run: string) => `file://${join(world.root, `${run}.html`)}`;

  beforeAll(async () => {
    world = createWorld();
    putRun(world, LARGE, [...sampleLines(LARGE, EVENTS)]);
    putRun(world, HOSTILE, hostileLines());
    for (const run of [LARGE, HOSTILE]) {
      const { code, stderr } = await world.sand([
        'audit',
        'report',
        run,
        '--html',
        url(run).slice('file://'.length),
      ]);
      expect([code, stderr]).toEqual([0, '']);
    }
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    world?.remove();
  });

  it('opens with ten thousand events, quietly, with few rows, and its numbers are those of audit top', async () => {
    const { page, said, asked } = await openPage(browser, url(LARGE));
    expect([said, asked]).toEqual([[], []]);
    expect(await page.locator('#grid .row').count()).toBeLessThan(MOST_ROWS);
    expect(await page.locator('*').count()).toBeLessThan(3_000);
    const { stdout } = await world.sand(['audit', 'top', LARGE, '--by', 'denied', '--json']);
    const { rows } = JSON.parse(stdout) as { readonly rows: readonly TopRow[] };
    await page.locator('#all-hosts > summary').click();
    const shown = await page
      .locator('#all-hosts-table tbody tr')
      .evaluateAll((found) => found.map((row) => [...row.children].map((cell) => cell.textContent ?? '')));
    expect(shown.map((cells) => cells.slice(0, 7))).toEqual(
      rows.map((row) =>
        [row.host, row.requests, row.denied, row.wouldBeDenied, row.failed, row.allowed, row.lookups].map(
          (value) => value.toLocaleString('en'),
        ),
      ),
    );
    const denied = rows.reduce((sum, row) => sum + row.denied, 0);
    expect(await page.locator('.tile.denied dd').textContent()).toBe(denied.toLocaleString('en'));
    const [, chart = ''] =
      /(\d+) denied/.exec((await page.getByRole('img').getAttribute('aria-label')) ?? '') ?? [];
    expect(Number(chart)).toBe(denied);
    await page.context().close();
  });

  it('is searched, filtered and linked to', async () => {
    const { page, said } = await openPage(browser, url(LARGE));
    const count = page.getByRole('status');
    const all = await count.textContent();
    await page.keyboard.press('/');
    await page.keyboard.type('gist.example');
    await page.waitForURL(/#q=gist\.example/);
    await expect.poll(() => count.textContent()).toMatch(/^67 of 8,0\d\d events$/);
    await page.getByRole('checkbox', { name: /^failed/ }).check();
    await expect.poll(() => count.textContent()).toMatch(/^0 of /);
    expect(await page.getByText('Nothing matches.').isVisible()).toBe(true);
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await expect.poll(() => count.textContent()).toBe(all);
    await page.locator('#from').fill('20:15:10');
    await page.locator('#to').fill('20:15:11');
    await page.keyboard.press('Enter');
    await page.getByLabel('Kind').selectOption('dns');
    await expect.poll(() => page.url()).toContain('from=2026-11-21T20%3A15%3A10.000Z');
    const narrowed = await count.textContent();
    expect(narrowed).not.toBe(all);
    expect(await page.locator('.brush').isVisible()).toBe(true);
    const linked = await openPage(browser, page.url());
    expect(await linked.page.getByRole('status').textContent()).toBe(narrowed);
    expect(await linked.page.locator('#from').inputValue()).toBe('20:15:10');
    expect([...said, ...linked.said]).toEqual([]);
    await linked.page.context().close();
    await page.context().close();
  });

  it('takes a time range by dragging over the chart', async () => {
    const { page } = await openPage(browser, url(LARGE));
    const box = await page.locator('.plot').boundingBox();
    if (box === null) throw new Error('no chart');
    await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40, { steps: 3 });
    await page.mouse.up();
    await expect.poll(() => page.url()).toMatch(/from=.*&to=/);
    const range = new URLSearchParams(new URL(page.url()).hash.slice(1));
    expect(Date.parse(range.get('to') ?? '')).toBeGreaterThan(Date.parse(range.get('from') ?? ''));
    await page.context().close();
  });

  it('is used by keyboard alone', async () => {
    const { page } = await openPage(browser, url(LARGE));
    await page.keyboard.press('Tab');
    expect(await focused(page)).toBe('Skip to the events');
    await page.keyboard.press('Enter');
    expect(await focused(page)).toBe('Events');
    await page.getByRole('grid').focus();
    const active = () => page.getByRole('grid').getAttribute('aria-activedescendant');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    expect(await active()).toBe('row-1');
    expect(await page.locator('#row-1').getAttribute('aria-selected')).toBe('true');
    await page.keyboard.press('End');
    const last = Number(await page.getByRole('grid').getAttribute('aria-rowcount')) - 2;
    await expect.poll(active).toBe(`row-${last}`);
    expect(await page.locator(`#row-${last}`).isVisible()).toBe(true);
    await page.keyboard.press('Home');
    await page.keyboard.press('Enter');
    expect(await focused(page)).toBe('telemetry.example.net:443');
    await page.keyboard.press('Escape');
    expect(await page.getByRole('grid').evaluate((grid) => grid.matches(':focus'))).toBe(true);
    await page.context().close();
  });

  it('tells of an event what decided it, where that stands, who asked, and what to paste', async () => {
    const { page } = await openPage(browser, `${url(LARGE)}#host=gist.example.com`);
    await page.locator('#row-0').click();
    const details = page.getByRole('complementary');
    const text = (await details.textContent()) ?? '';
    for (const part of [
      'a deny rule covers it, and deny beats allow',
      'Because: user content is no place to send a build to',
      '/srv/app/sand.policy.yaml:14',
      'node ./node_modules/vendor/postinstall.js',
      `sand why '${LARGE}#`,
    ])
      expect(text).toContain(part);
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.locator('#row-0').click();
    expect(await details.textContent()).toContain('- allow: telemetry.example.net');
    await page.context().close();
  });

  it('has landmarks, names and headings for who does not see it, and keeps within a narrow window', async () => {
    const { page } = await openPage(browser, url(LARGE), { width: 390, theme: 'dark' });
    for (const role of ['banner', 'main', 'search', 'complementary', 'grid', 'status'] as const)
      expect(await page.getByRole(role).count(), role).toBe(1);
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1);
    const unnamed = await page
      .locator('button, input, select')
      .evaluateAll((found) =>
        found.filter(
          (one) =>
            !('labels' in one && (one.labels as unknown as { length: number })?.length) &&
            one.textContent === '',
        ),
      );
    expect(unnamed).toEqual([]);
    const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
    expect(wide).toBeLessThanOrEqual(0);
    expect(await ground(page)).toBe('rgb(20, 23, 26)');
    const theme = page.getByRole('button', { name: /^Theme/ });
    await theme.click();
    expect([await theme.textContent(), await ground(page)]).toEqual(['Theme: light', 'rgb(255, 255, 255)']);
    await page.context().close();
  });

  it('runs nothing that a guest, a policy or a rule says, loads nothing, and shows what would turn text around', async () => {
    expect(readFileSync(url(HOSTILE).slice('file://'.length), 'utf8')).not.toMatch(/<img|<svg onload|\u202e/);
    const { page, said, asked } = await openPage(browser, url(HOSTILE));
    await page.locator('#all-hosts > summary').click();
    const rows = await page.locator('#grid .row').count();
    for (let at = 0; at < rows; at += 1) await page.locator(`#row-${at}`).click();
    expect([said, asked]).toEqual([[], []]);
    expect(await page.evaluate('window.ran')).toBe(undefined);
    expect(await page.locator('img, iframe, object, embed, link, a[href]:not(.skip)').count()).toBe(0);
    const text = (await page.locator('main').textContent()) ?? '';
    expect(text).toContain(MARKUP);
    expect(text).toContain('moc.elpmaxe\\u202eexample.com');
    expect(text).not.toContain('\u202e');
    await page.context().close();
  });

  it('would run nothing even if markup were let in', async () => {
    const { page, said } = await openPage(browser, url(HOSTILE));
    const attempt = `(() => { try { document.body.innerHTML = '<img src=x onerror="window.ran=1">'; return 'let in'; } catch { return 'refused'; } })()`;
    expect(await page.evaluate(attempt)).toBe('refused');
    expect(said.join('\n')).toMatch(/TrustedHTML/);
    await page.context().close();
  });
});

function putRun(world: World, run: string, lines: readonly string[]): void {
  const folder = join(world.root, 'state', 'sand', 'runs', run);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'audit.jsonl'), lines.map((line) => `${line}\n`).join(''));
}

function hostileLines(): readonly string[] {
  const rule = { id: MARKUP, file: MARKUP, line: 3, because: MARKUP };
  return linesOf([
    runStart({
      run: HOSTILE,
      name: MARKUP,
      command: ['sh', '-c', MARKUP],
      workdir: MARKUP,
      policy: { name: MARKUP, digest: MARKUP, mode: 'enforce', layers: [MARKUP] },
    }),
    dns({ name: MARKUP, detail: MARKUP, suggestion: MARKUP, rule }),
    connection({ host: TURNED, path: MARKUP, method: 'GET', process: { pid: 1, command: MARKUP } }),
    connection({ ...ALLOWED, connection: 2, host: MARKUP, rule, sni: MARKUP, alpn: [MARKUP] }),
    close({ connection: 2, host: MARKUP, detail: MARKUP }),
    { kind: 'notice', code: MARKUP, detail: MARKUP },
    runEnd(),
  ]);
}

async function focused(page: Page): Promise<unknown> {
  return page.evaluate('document.activeElement.textContent');
}

async function ground(page: Page): Promise<unknown> {
  return page.evaluate('getComputedStyle(document.body).backgroundColor');
}
