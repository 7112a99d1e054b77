/** `sand verify`: runs the attacks in a guest of this machine and prints what came of each. Decides the exit code alone. */
import { escapeTerminal } from '../../audit/escape.ts';
import { parseIsolation } from '../run/options.ts';
import { processSignals } from '../run/signals.ts';
import type { Row } from '../verify/attack.ts';
import { exitCodeOf } from '../verify/judgement.ts';
import { formatJson, formatTable } from '../verify/table.ts';
import { verifyConfinement } from '../verify/verify.ts';

export interface VerifyCommand {
  readonly backend: string;
  readonly image: string | null;
  /** As written; null: the backend's usual one. */
  readonly isolation: string | null;
  /** Null: the backend's own. */
  readonly link: string | null;
  readonly json: boolean;
  readonly write: (text: string) => void;
  readonly tell: (text: string) => void;
  readonly environ: Readonly<Record<string, string | undefined>>;
  /** Gives the rows; the real attacks unless given. */
  readonly attack?: () => Promise<readonly Row[]>;
}

/** 0 when everything held that has to, 1 when anything is open or could not be told. */
export async function runVerify(command: VerifyCommand): Promise<number> {
  const { backend, image, link, environ, tell } = command;
  const isolation = command.isolation === null ? null : parseIsolation(command.isolation);
  if (!command.json) tell(`sand: a guest of ${backend} tries to get out; this takes a minute or two\n`);
  const told = (text: string) => {
    for (const line of text.split('\n').filter((one) => one !== '')) tell(`${escapeTerminal(line)}\n`);
  };
  const options = { backend, image, isolation, link, environ, told };
  const attack = command.attack ?? (() => verifyConfinement({ ...options, signals: processSignals(false) }));
  const rows = await attack();
  command.write(command.json ? formatJson(rows) : formatTable(rows, { backend, isolation, link }));
  return exitCodeOf(rows);
}
