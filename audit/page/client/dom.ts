/**
 * The only place that makes elements. Text goes in as text, attributes are of a short list, so that nothing that a
 * guest wrote can become markup, an address to go to, or script.
 */
import { escapeTerminal } from '../../escape.ts';

export type Child = Node | string | null;
type Attributes = Readonly<Record<string, string | number | boolean | null>>;

/** Fail closed: an attribute that could load, run or style is none that this page sets. */
const ATTRIBUTE =
  /^(?:aria-[a-z]+|data-[a-z]+|class|colspan|d|for|height|hidden|id|label|name|preserveAspectRatio|role|scope|tabindex|title|type|value|viewBox|width|x|y|checked|open|disabled)$/;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  dress(element, attributes, children);
  return element;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  dress(element, attributes, children);
  return element;
}

/** A place of the skeleton. */
export function place(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new RangeError(`the page has no ${id}`);
  return found;
}

export function field(id: string): HTMLInputElement {
  const found = place(id);
  if (!(found instanceof HTMLInputElement)) throw new RangeError(`${id} is no input`);
  return found;
}

export function choice(id: string): HTMLSelectElement {
  const found = place(id);
  if (!(found instanceof HTMLSelectElement)) throw new RangeError(`${id} is no select`);
  return found;
}

/** Text of a log as it may be looked at: what would turn, hide or overlay its surroundings is an escape. */
export function seen(text: string): string {
  return escapeTerminal(text);
}

function dress(element: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (!ATTRIBUTE.test(name)) throw new RangeError(`${name} is no attribute of this page`);
    if (value === null || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children) {
    if (child !== null) element.append(child);
  }
}
