/** Events as they are in the log: one JSON array, or JSON Lines. Pure. */
import { escapeJson } from '../escape.ts';
import type { EventEncoder } from './encoder.ts';

export function createJsonEncoder(): EventEncoder {
  let separator = '\n';
  return {
    begin: () => '[',
    event(event) {
      const text = `${separator}${escapeJson(JSON.stringify(event))}`;
      separator = ',\n';
      return text;
    },
    end: () => '\n]\n',
  };
}

export function createJsonLinesEncoder(): EventEncoder {
  return {
    begin: () => '',
    event: (event) => `${escapeJson(JSON.stringify(event))}\n`,
    end: () => '',
  };
}
