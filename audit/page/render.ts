/**
 * The data of a page as one HTML file that needs no network and runs no script but its own. Texts of guests stand
 * in it as escaped JSON alone; the page's script puts them into the document as text. Pure.
 */
import { createHash } from 'node:crypto';
import { escapeJson } from '../escape.ts';
import { PAGE_LIMITS } from './limits.ts';
import type { PageEvent, PageSummary } from './model.ts';
import { packEvents } from './packing.ts';
import { SKELETON } from './skeleton.ts';

/** Made by `assets.ts`. */
export interface PageAssets {
  readonly script: string;
  readonly style: string;
}

export interface PageParts {
  readonly summary: PageSummary;
  readonly events: readonly PageEvent[];
  readonly assets: PageAssets;
  /** Further sources of the content security policy, such as `connect-src 'self'` of a live page. */
  readonly policy?: readonly string[];
}

/** A report's own policy: nothing is loaded from anywhere, and only this very script and style count. */
export function contentPolicy({ script, style }: PageAssets, more: readonly string[] = []): string {
  return [
    "default-src 'none'",
    `script-src '${hashSource(script)}'`,
    `style-src '${hashSource(style)}'`,
    // No text becomes markup or script by whatever slip.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    ...more,
  ].join('; ');
}

/** In pieces, so that nobody holds twenty thousand events as one string. */
export function* renderPage({ summary, events, assets, policy = [] }: PageParts): Generator<string> {
  yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n';
  yield `<meta http-equiv="Content-Security-Policy" content="${contentPolicy(assets, policy)}">\n`;
  yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n';
  yield '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n';
  yield '<title>sand audit report</title>\n';
  yield `<style>${assets.style}</style>\n</head>\n<body>\n${SKELETON}`;
  yield dataElement('summary', summary);
  for (let at = 0; at < events.length; at += PAGE_LIMITS.chunk)
    yield dataElement('events', packEvents(events.slice(at, at + PAGE_LIMITS.chunk)));
  yield `<script>${assets.script}</script>\n</body>\n</html>\n`;
}

/**
 * JSON that ends no element and starts none, whatever stands in it: of what HTML gives a meaning to, `<` is
 * enough, and the rest is escaped for who cuts a line out of the file.
 */
export function embedJson(value: unknown): string {
  return escapeJson(JSON.stringify(value)).replace(
    /[<>&]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  );
}

function dataElement(name: 'summary' | 'events', value: unknown): string {
  return `<script type="application/json" data-page="${name}">${embedJson(value)}</script>\n`;
}

function hashSource(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
