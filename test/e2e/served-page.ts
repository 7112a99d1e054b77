/** `sand audit ui` as the end-to-end tests start and end it. */
import { type Followed, follow, until } from './lifecycle/conditions.ts';
import type { World } from './sand.ts';

export interface ServedPage {
  readonly link: URL;
  readonly sand: Followed;
  /** As Ctrl-C does; gives the exit code. Idempotent. */
  end(): Promise<number | null>;
}

export async function servePage(world: World, args: readonly string[] = []): Promise<ServedPage> {
  const sand = follow(world.start(['audit', 'ui', '--json', ...args]));
  await sand.printed('"url"');
  const { url } = JSON.parse(sand.stdout()) as { readonly url: string };
  return {
    link: new URL(url),
    sand,
    async end() {
      const { child } = sand;
      child.kill('SIGINT');
      await until('the page ends', () => child.exitCode !== null || child.signalCode !== null);
      return child.exitCode;
    },
  };
}
