/** The live page as a command, and that no guest reaches it, whatever its policy says. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createOrigins, type Origins } from './origins.ts';
import { createWorld, type World } from './sand.ts';
import { type ServedPage, servePage } from './served-page.ts';

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

describe('a guest', () => {
  it('does not reach the page, though a rule opens that very port of the host', async () => {
    const link = await serve();
    const policy = join(world.workspace, 'p.yaml');
    writeFileSync(
      policy,
      `version: 1\nrules:\n  - {allow: host.sand, tcp: [${link.port}, ${origins.httpPort}]}\n  - {allow: 127.0.0.0/8, tcp: [${link.port}]}\n`,
    );
    const ask = (host: string, port: number | string) =>
      `curl -sS -m 5 -o /dev/null -w '%{http_code}\\n' http://${host}:${port}/ || echo refused`;
    const run = await world.sand([
      'run',
      '--policy',
      policy,
      '--',
      'sh',
      '-c',
      `unset http_proxy HTTP_PROXY; ${ask('host.sand', link.port)}; ${ask('host.sand', origins.httpPort)}`,
    ]);
    expect(run.stdout).toMatch(/403\n200\n$/);
    expect(await world.events()).toContainEqual(
      expect.objectContaining({
        kind: 'connection',
        host: 'host.sand',
        port: Number(link.port),
        reason: 'loop',
      }),
    );
    // The page has heard of nobody.
    expect(ui?.sand.stderr()).toBe('');
  });
});

describe('sand audit ui', () => {
  it('prints its link alone, ends with Ctrl-C, and leaves nothing', async () => {
    const link = await serve();
    expect(link.hostname).toBe('127.0.0.1');
    const listeners = join(world.root, 'state/sand/listeners');
    expect(existsSync(join(listeners, link.port))).toBe(true);
    expect(ui?.sand.stderr()).not.toContain(link.search);
    expect(await ui?.end()).toBe(0);
    expect(existsSync(join(listeners, link.port))).toBe(false);
    await expect(fetch(link)).rejects.toThrow();
  });
});
