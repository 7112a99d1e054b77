/**
 * What one stream may move in one turn of the event loop: its share of what all may move, so that a single one runs
 * at full speed and none of many keeps a new tunnel waiting. Counts streams; who rests is the stream's own.
 */
import { PROXY_BOUNDS } from './limits.ts';

/** Shared by every stream of one proxy. */
export class TurnShare {
  readonly #leastBytes: number;
  #turn = 0;
  #moving = 0;
  #movedBefore = 1;
  #isTurnOpen = false;

  /** `leastBytes`: what a stream may move however many there are. */
  constructor(leastBytes: number) {
    this.#leastBytes = leastBytes;
  }

  /** Another number each turn in which something moves. */
  get turn(): number {
    return this.#turn;
  }

  /** To be called once by a stream in a turn in which it moves something; gives its bytes for this turn. */
  enter(): number {
    if (!this.#isTurnOpen) {
      this.#isTurnOpen = true;
      setImmediate(this.#endTurn);
    }
    this.#moving += 1;
    const streams = Math.max(this.#moving, this.#movedBefore);
    return this.#leastBytes * Math.max(1, Math.floor(PROXY_BOUNDS.turnStreams / streams));
  }

  #endTurn = (): void => {
    this.#isTurnOpen = false;
    this.#turn += 1;
    this.#movedBefore = Math.max(1, this.#moving);
    this.#moving = 0;
  };
}
