import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestInputs, usesContext } from '../../../controller/images/build-inputs.ts';

let context: string;
beforeEach(() => {
  context = mkdtempSync(join(tmpdir(), 'sand-context-'));
});
afterEach(() => rmSync(context, { recursive: true, force: true }));

function write(path: string, content: string): void {
  mkdirSync(dirname(join(context, path)), { recursive: true });
  writeFileSync(join(context, path), content);
}

const digest = (text: string, platform = 'linux/arm64') =>
  digestInputs({ path: join(context, 'Dockerfile'), text, context }, platform);
const COPIES = 'FROM a\nCOPY . /app\n';

describe('usesContext', () => {
  it.each([
    'COPY a /a',
    'copy --from=x a /a',
    'ADD a /a',
    'RUN --mount=type=bind,target=/x ls /x',
    'ONBUILD COPY a /a',
  ])('counts %s', (line) => expect(usesContext(`FROM a\n${line}\n`)).toBe(true));

  it('counts nothing where nothing can be copied', () => {
    expect(usesContext('FROM debian\nRUN apt-get update && apt-get install -y git\nUSER 1000\n')).toBe(false);
  });
});

describe('digestInputs', () => {
  it('changes with the text and the platform', () => {
    expect(digest('FROM a\n')).toBe(digest('FROM a\n'));
    expect(digest('FROM a\n')).not.toBe(digest('FROM b\n'));
    expect(digest('FROM a\n')).not.toBe(digest('FROM a\n', 'linux/amd64'));
  });

  it('changes with the context where the Dockerfile copies, and else not', () => {
    const [copying, plain] = [digest(COPIES), digest('FROM a\n')];
    write('src/a', '1');
    expect(digest('FROM a\n')).toBe(plain);
    const added = digest(COPIES);
    expect(added).not.toBe(copying);
    utimesSync(join(context, 'src/a'), 1, 1);
    expect(digest(COPIES)).not.toBe(added);
    symlinkSync('nowhere', join(context, 'link'));
    const linked = digest(COPIES);
    rmSync(join(context, 'link'));
    symlinkSync('elsewhere', join(context, 'link'));
    expect(digest(COPIES)).not.toBe(linked);
  });

  it('does not change with what is left out of the build', () => {
    write('.dockerignore', 'node_modules\n*.log\n');
    write('node_modules/x/index.js', '1');
    const before = digest(COPIES);
    write('node_modules/y/index.js', '1');
    write('a.log', '1');
    expect(digest(COPIES)).toBe(before);
    write('b.txt', '1');
    expect(digest(COPIES)).not.toBe(before);
  });

  it('goes by the list beside the Dockerfile where there is one', () => {
    write('.dockerignore', '*\n');
    write('Dockerfile.dockerignore', 'out\n');
    const before = digest(COPIES);
    write('out', '1');
    expect(digest(COPIES)).toBe(before);
    write('in', '1');
    expect(digest(COPIES)).not.toBe(before);
  });
});
