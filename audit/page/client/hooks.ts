/** What a live page hangs into the page: `startPage(hooks)` of `page.ts` takes it. Types alone. */
import type { PageEvent } from '../model.ts';

export interface PageHooks {
  /** Fills the place for buttons in the details of an event. The container is empty, and the hook's own. */
  readonly renderActions?: (event: PageEvent, container: Element) => void;
}
