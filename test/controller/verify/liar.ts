/** A guest's program that lies: whatever it is to try, it says that it failed as it must. */

/** What the attempts file holds → what the program would print of a guest that is shut in. */
export function lieOf(attempts: string): string {
  const lines = attempts.trimEnd().split('\n').map(lieOfLine);
  return `${lines.join('\n')}\nend\n`;
}

function lieOfLine(line: string): string {
  const [, id = '', kind = '', ...words] = line.split(' ');
  const as = `as ${id}`;
  if (kind === 'tcp') return `${as} tcp ${words[0]} ${words[1]} nobody`;
  if (kind === 'ask')
    return `${as} ask ${words[0] === 'resolver' ? '127.0.0.1' : words[0]} ${words[1]} refused`;
  if (kind === 'send') return `${as} send answered HTTP/1.1 403 Forbidden (sand: no-rule)`;
  if (kind === 'try') return `${as} try ${words[0]} errno ${words[0] === 'serve' ? 107 : 1}`;
  if (kind === 'interfaces') return `${as} interface lo`;
  if (kind === 'status') return STATUS.map((status) => `${as} status ${status}`).join('\n');
  return `${as} nothing`;
}

const STATUS = [
  ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => `${name} 0000000000000000`),
  'NoNewPrivs 1',
  'Seccomp 2',
];

/** Address and port of each raw TCP attempt. */
export function rawPlaces(attempts: string): readonly { readonly host: string; readonly port: number }[] {
  return [...attempts.matchAll(/^as \S+ tcp (\S+) (\d+)$/gm)].map(([, host = '', port]) => ({
    host,
    port: Number(port),
  }));
}
