/** A systemd unit as far as the recipe uses it, and a stand-in for the manager that runs one: start, restart, stop. */
import { spawn } from 'node:child_process';
import { type Followed, follow } from '../lifecycle/conditions.ts';

export interface Unit {
  /** The values of a key of `[Service]`, specifiers replaced. */
  all(key: string): readonly string[];
  one(key: string): string;
}

export function parseUnit(text: string, specifiers: Readonly<Record<string, string>>): Unit {
  const entries: (readonly [string, string])[] = [];
  let section = '';
  for (const line of text.split('\n')) {
    if (/^\s*([#;]|$)/.test(line)) continue;
    section = /^\[(\w+)\]$/.exec(line)?.[1] ?? section;
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (section !== 'Service' || key === undefined || value === undefined) continue;
    const replaced = value.replace(/%(.)/g, (whole, letter: string) => {
      const meant = specifiers[letter];
      if (meant === undefined) throw new Error(`the unit uses ${whole}`);
      return meant;
    });
    entries.push([key, replaced]);
  }
  const all = (key: string) => entries.filter(([name]) => name === key).map(([, value]) => value);
  return {
    all,
    one(key) {
      const [value, ...more] = all(key);
      if (value === undefined || more.length > 0) throw new Error(`${key} stands ${more.length} times`);
      return value;
    },
  };
}

/** What ends at once would else be started for as long as the test takes. */
const MAX_STARTS = 10;

export interface Managed {
  /** The main process as it is now. */
  main(): Followed;
  /** How often it was started. */
  starts(): number;
  /** As `KillMode=mixed`: SIGTERM to the main process alone. Gives its exit code. */
  stop(): Promise<number>;
}

/** What `through` begins with becomes the command, as `User=` does. */
export function manage(
  unit: Unit,
  through: readonly string[],
  environment: Readonly<Record<string, string>>,
): Managed {
  const own = unit.all('Environment').map((entry) => entry.split('=', 2) as [string, string]);
  const start = (line: string): Followed => {
    const [file = '', ...args] = [...through, ...line.split(' ')];
    const cwd = unit.one('WorkingDirectory');
    return follow(spawn(file, args, { cwd, env: { ...environment, ...Object.fromEntries(own) } }));
  };
  let isStopping = false;
  let starts = 0;
  const begin = (): Followed => {
    starts++;
    const main = start(unit.one('ExecStart'));
    main.child.on('close', () => {
      if (isStopping || starts >= MAX_STARTS || unit.one('Restart') !== 'always') return;
      current = begin();
    });
    return main;
  };
  let current = begin();
  return {
    main: () => current,
    starts: () => starts,
    stop() {
      isStopping = true;
      current.child.kill('SIGTERM');
      return current.ended();
    },
  };
}
