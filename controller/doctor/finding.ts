/**
 * How checks make findings, and the guard around each of them: whatever a check does, it ends within its
 * time as a finding. Leaves what is looked at to the checks.
 */
import { clipText } from '../../audit/escape.ts';
import type { Finding } from '../backends/backend.ts';

/** What a finding quotes of a tool or an error: its first complaint, not its pages. */
const EXCERPT_LENGTH = 240;

export function ok(check: string, message: string): Finding {
  return { check, state: 'ok', message, remedy: null };
}

export function warning(check: string, message: string, remedy: string | null): Finding {
  return { check, state: 'warning', message, remedy };
}

export function failed(check: string, message: string, remedy: string | null): Finding {
  return { check, state: 'failed', message, remedy };
}

/** What somebody else wrote, on one line and of a bounded length; escaped only where it is printed. */
export function excerpt(text: string): string {
  return clipText(
    text
      .slice(0, EXCERPT_LENGTH * 4)
      .replaceAll(/\s+/g, ' ')
      .trim(),
    EXCERPT_LENGTH,
  );
}

/** Never rejects. Fail closed: a check that throws, or has not ended in time, is a failed check. */
export async function guardCheck(
  check: string,
  timeoutMs: number,
  run: () => Promise<readonly Finding[]> | readonly Finding[],
): Promise<readonly Finding[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Finding[]>((resolve) => {
    timer = setTimeout(() => resolve([failed(check, `did not end within ${timeoutMs} ms`, null)]), timeoutMs);
  });
  try {
    return await Promise.race([started(run), late]);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [failed(check, `could not be finished: ${excerpt(why)}`, 'report this as a fault of sand')];
  } finally {
    clearTimeout(timer);
  }
}

/** A check that throws at once rejects like any other. */
async function started(
  run: () => Promise<readonly Finding[]> | readonly Finding[],
): Promise<readonly Finding[]> {
  return run();
}
