import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatAnnotation,
  formatCommand,
  formatLine,
  resumeCommands,
  stopCommands,
} from '../../action/workflow-command.ts';
import { escapeTerminal } from '../../audit/escape.ts';
import { parseCommand, readLog } from './runner/commands.ts';

describe('a workflow command', () => {
  it('reads back as what it was made of, whatever stands in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (text, data) => {
        // The runner trims the ends of its properties.
        const file = `<${text}>`;
        const line = formatCommand('error', { file }, data).slice(0, -1);
        expect(line).not.toMatch(/[\r\n]/);
        expect(parseCommand(line)).toEqual({
          name: 'error',
          properties: { file },
          data,
        });
      }),
    );
  });

  it.each([
    'evil::set-output name=a::b',
    'evil\n::add-mask::x',
    'evil%0A::add-mask::x',
    'evil\r\n##[add-path]/evil',
    'evil,line=1::error::x',
    '\u2028::error::x',
  ])('is one, of one line, for a host such as %j', (host) => {
    const text = formatAnnotation({
      level: 'warning',
      title: host,
      message: host,
      file: `${host}.yaml`,
      line: 3,
    });
    const { commands, lines } = readLog(text, []);
    expect(commands).toHaveLength(1);
    const shown = escapeTerminal(host);
    const properties = { title: shown, file: `${shown}.yaml`, line: '3' };
    expect(commands[0]).toMatchObject({ name: 'warning', properties });
    expect(lines).toEqual(['']);
  });
});

describe('a line for people', () => {
  it('is no command, and one line', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('::error::', '##[error]', '  ::add-mask::', '\n::warning::'),
        fc.string(),
        (a, b) => {
          const { commands, lines } = readLog(formatLine(`${a}${b}`) + formatLine(`${b}${a}`), []);
          expect([commands, lines.length]).toEqual([[], 3]);
        },
      ),
    );
  });
});

describe('stopped commands', () => {
  it('stay so until the very token comes', () => {
    const guest = '::error::a\n##[add-mask]b\n::stop-commands::c\n::c::\n::error::d\n';
    const text = `${stopCommands('token')}${guest}${resumeCommands('token')}::error::own\n`;
    expect(readLog(text, []).commands).toEqual([{ name: 'error', properties: {}, data: 'own' }]);
  });
});
