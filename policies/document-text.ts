/**
 * Whether the content of a file is text that a reviewer can see: its size, its encoding, and characters that are
 * invisible or reorder what stands around them. What the text says is for `document.ts`.
 */
import { POLICY_LIMITS } from './limits.ts';

/** A problem of the text as such; reading stops at the first. */
export interface Fault {
  readonly offset: number;
  readonly message: string;
  readonly hint: string;
}

/** C0 and C1 controls but tab and line ends, noncharacters, and the marks that reorder text on a screen. */
const INVISIBLE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]|\r(?!\n)/;

export function decodeText(
  content: Uint8Array | string,
): string | { readonly message: string; readonly hint: string } {
  const bytes = typeof content === 'string' ? content.length : content.byteLength;
  if (bytes > POLICY_LIMITS.fileBytes) {
    return {
      message: `the file is larger than ${POLICY_LIMITS.fileBytes} bytes`,
      hint: 'Make it shorter.',
    };
  }
  if (typeof content === 'string') return content;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return { message: 'the file is not valid UTF-8', hint: 'Save it as UTF-8.' };
  }
}

export function unreadableText(text: string): Fault | null {
  const at = text.search(INVISIBLE);
  if (at !== -1) {
    const code = (text.codePointAt(at) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    return {
      offset: at,
      message: `the character U+${code} is invisible or reorders text, so a reviewer cannot see what it does`,
      hint: 'Remove it.',
    };
  }
  if (!text.isWellFormed()) {
    return { offset: 0, message: 'the text holds half of a surrogate pair', hint: 'Save the file as UTF-8.' };
  }
  return null;
}
