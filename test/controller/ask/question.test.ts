import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  ANSWERS,
  formatQuestion,
  isAnswer,
  parseAnswer,
  parseQuestions,
  type Question,
} from '../../../controller/ask/question.ts';

const QUESTION: Question = {
  id: 1,
  host: 'new.example',
  port: 443,
  protocol: 'https',
  waiting: 3,
  command: 'npm ci',
  last: { answer: 'deny', by: 'silence', secondsAgo: 90 },
  secondsLeft: 25,
  file: '/srv/app/p.yaml',
};

it('a question says who wants what, what was said before, and what may be said', () => {
  expect(formatQuestion(QUESTION)).toBe(
    'sand: npm ci\n      wants new.example:443 (https) (3 requests wait), and no rule says yes or no\n' +
      '      before: deny, by silence, 90 s ago\n' +
      '      [o]nce, in this [r]un, [w]rite a line to /srv/app/p.yaml, [d]eny, [n]ever in this run; silence denies in 25 s > ',
  );
  expect(formatQuestion({ ...QUESTION, file: null })).not.toContain('[w]rite');
});

it('shows nothing of a guest raw, and not without end', () => {
  const shown = formatQuestion({
    ...QUESTION,
    command: `\u001b]0;x\u0007${'a'.repeat(9_999)}`,
    host: '\u202eevil',
  });
  expect(shown).not.toMatch(/[\u001b\u0007\u202e]/);
  expect(shown.length).toBeLessThan(1_000);
});

it('an answer is a letter or a word and nothing else', () => {
  expect(['o', ' R ', 'write', 'D', 'never', 'n'].map(parseAnswer)).toEqual([
    'once',
    'run',
    'write',
    'deny',
    'never',
    'never',
  ]);
  expect(['', 'y', 'yes', 'on', 'toString', '__proto__', 'constructor', 'o o'].map(parseAnswer)).toEqual(
    Array(8).fill(null),
  );
  expect(ANSWERS.every(isAnswer)).toBe(true);
});

it('questions are read back as they were sent, and nothing else is', () => {
  expect(parseQuestions(JSON.parse(JSON.stringify([QUESTION])))).toEqual([QUESTION]);
  expect(parseQuestions([{ ...QUESTION, host: 7 }])).toBe(null);
  fc.assert(fc.property(fc.jsonValue(), (value) => void parseQuestions(value)));
});
