/**
 * Gives a command a terminal of its own: Python's pty module between the test's pipes and a new session. The
 * bridge tells on standard error how the command ended and whether the terminal's settings are as before.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Followed, follow, until } from './conditions.ts';

const PYTHON = '/usr/bin/python3';

/** What keeps these tests from running here; null where nothing does. */
export const NO_TERMINAL = existsSync(PYTHON) ? null : 'needs /usr/bin/python3';

const BRIDGE = `
import fcntl, json, os, pty, select, signal, struct, sys, termios
def resize(rows, columns): fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
pid, master = pty.fork()
if pid == 0:
    os.read(0, 1)
    os.execvp(sys.argv[1], sys.argv[1:])
resize(24, 80)
signal.signal(signal.SIGUSR1, lambda *_: resize(33, 77))
attributes = termios.tcgetattr(master)
attributes[3] &= ~termios.ECHO
termios.tcsetattr(master, termios.TCSANOW, attributes)
before = termios.tcgetattr(master)
os.write(master, b'\\n')
sources = [0, master]
after = before
while master in sources:
    ready = select.select(sources, [], [])[0]
    after = termios.tcgetattr(master)
    if master in ready:
        try: data = os.read(master, 65536)
        except OSError: data = b''
        if data: os.write(1, data)
        else: sources.remove(master)
    elif 0 in ready:
        data = os.read(0, 65536)
        if data: os.write(master, data)
        else: sources.remove(0)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stderr.write(json.dumps({'code': status, 'restored': before == after}))
`;

export interface Terminal extends Followed {
  /** Text that is typed; control keys as their characters. */
  type(text: string): void;
  /** Makes the terminal 33 rows of 77 columns. */
  resize(): void;
  /** Waits for text on the screen that is not among what was awaited before. */
  shows(text: string): Promise<void>;
  finished(): Promise<{ readonly code: number; readonly restored: boolean }>;
}

export function openTerminal(
  command: readonly string[],
  options: { readonly cwd: string; readonly environment: Readonly<Record<string, string>> },
): Terminal {
  const child = spawn(PYTHON, ['-c', BRIDGE, ...command], {
    cwd: options.cwd,
    env: { ...options.environment, TERM: 'dumb', PS1: '$ ' },
    stdio: 'pipe',
  });
  const followed = follow(child);
  let read = 0;
  return {
    ...followed,
    type: (text) => void child.stdin.write(text),
    resize: () => void child.kill('SIGUSR1'),
    async shows(text) {
      await until(`${JSON.stringify(text)} on the terminal`, () => {
        const at = followed.stdout().indexOf(text, read);
        if (at < 0) return false;
        read = at + text.length;
        return true;
      }).catch((error: unknown) => {
        child.kill('SIGKILL');
        throw new Error(`${String(error)}; it shows ${JSON.stringify(followed.stdout().slice(read))}`);
      });
    },
    async finished() {
      await followed.ended();
      return JSON.parse(followed.stderr().split('\n').at(-1) ?? '') as { code: number; restored: boolean };
    },
  };
}
