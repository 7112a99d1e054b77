/** What any terminal in a guest does, whatever its backend: its size, every new one, and keys that the command catches or dies of. */
import { expect, it } from 'vitest';
import type { Terminal } from './terminal-bridge.ts';

const CTRL_C = '\x03';
/** Of a length that no other test has, so that it can be looked for. */
export const DYING = 'sleep 61';

export function testSizeAndKeys(open: (...command: readonly string[]) => Terminal): void {
  it('is one for the command, with its size and every new one', async () => {
    const terminal = open(
      'sh',
      '-c',
      // The tool tells the size once the command runs.
      'test -t 0 && test -t 1 && test -t 2 || exit 9; until [ "$(stty size)" = "24 80" ]; do sleep 0.05; done; trap "stty size; exit 5" WINCH; echo up; while :; do sleep 0.05; done',
    );
    await terminal.shows('up');
    terminal.resize();
    await terminal.shows('33 77');
    expect(await terminal.finished()).toEqual({ code: 5, restored: true });
  });

  it('has keys that the command catches, or dies of', async () => {
    const catching = open(
      'sh',
      '-c',
      "trap 'echo caught; exit 42' INT; echo up; while :; do sleep 0.05; done",
    );
    await catching.shows('up');
    catching.type(CTRL_C);
    await catching.shows('caught');
    expect(await catching.finished()).toEqual({ code: 42, restored: true });
    const dying = open('sh', '-c', `echo up; exec ${DYING}`);
    await dying.shows('up');
    dying.type(CTRL_C);
    expect(await dying.finished()).toMatchObject({ code: 130, restored: true });
  });
}
