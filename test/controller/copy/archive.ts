/** Tar archives as a hostile guest could make them, block by block. */

export interface Member {
  readonly name: string;
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly target?: string;
  readonly mode?: number;
  /** As it stands in the header, whatever the content is. */
  readonly size?: string | Buffer;
  readonly magic?: string;
  /** Before the header. */
  readonly pax?: Readonly<Record<string, string>>;
}

const BLOCK = 512;

export function archive(...members: readonly Member[]): Buffer {
  return Buffer.concat([...members.map(member), Buffer.alloc(2 * BLOCK)]);
}

export function member({ pax, ...rest }: Member): Buffer {
  const before = pax === undefined ? [] : [plain({ name: 'pax', type: 'x', content: paxRecords(pax) })];
  return Buffer.concat([...before, plain(rest)]);
}

function plain(given: Omit<Member, 'pax'>): Buffer {
  const content = Buffer.from(given.content ?? '');
  const block = Buffer.alloc(BLOCK);
  block.write(given.name.slice(0, 100), 0, 'latin1');
  block.write(octal(given.mode ?? 0o644, 7), 100, 'latin1');
  block.write(octal(0, 7), 108, 'latin1');
  block.write(octal(0, 7), 116, 'latin1');
  const size = given.size ?? octal(content.length, 11);
  Buffer.from(size).copy(block, 124);
  block.write(octal(1_700_000_000, 11), 136, 'latin1');
  block.write(given.type ?? '0', 156, 'latin1');
  block.write((given.target ?? '').slice(0, 100), 157, 'latin1');
  block.write(given.magic ?? 'ustar\u000000', 257, 'latin1');
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return Buffer.concat([block, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

function paxRecords(records: Readonly<Record<string, string>>): string {
  return Object.entries(records)
    .map(([key, value]) => {
      const rest = ` ${key}=${value}\n`;
      let length = rest.length + 1;
      while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
      return `${length}${rest}`;
    })
    .join('');
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}
