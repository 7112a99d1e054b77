/** Debian's chromium for tests of pages, driven by playwright-core; records all that a page must not do. */
import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

const EXECUTABLE = '/usr/bin/chromium';

/** Null: pages can be tested here. */
export const WHY_NOT: string | null = existsSync(EXECUTABLE) ? null : `${EXECUTABLE} is not installed`;

export interface OpenPage {
  readonly page: Page;
  /** Errors of scripts, and everything that was said on the console. */
  readonly said: readonly string[];
  /** Addresses that were asked for besides the page's own. */
  readonly asked: readonly string[];
}

/** The sandbox of chromium needs what a container or root does not give; nothing but our own page is opened. */
export async function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: ['--no-sandbox', '--disable-gpu'] });
}

export async function openPage(
  browser: Browser,
  url: string,
  options: { readonly width?: number; readonly theme?: 'light' | 'dark' } = {},
): Promise<OpenPage> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: 800 },
    colorScheme: options.theme ?? 'light',
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const said: string[] = [];
  const asked: string[] = [];
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => said.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    said.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const [address] = request.url().split('#', 1);
    if (address !== undefined && address !== url.split('#', 1)[0]) asked.push(address);
  });
  await page.goto(url);
  await page.waitForSelector('#events[data-state=read]');
  return { page, said, asked };
}
