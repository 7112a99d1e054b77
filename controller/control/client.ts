/** Asks the control socket of a run: one request, one answer. Every wait and every answer is bounded. */
import { connect } from 'node:net';
import type { RunPlace } from '../../audit/runs.ts';
import { ERROR_CODES, type ErrorCode, SandError } from '../errors.ts';
import { controlFailed } from './failure.ts';
import { CONTROL_LIMITS, type ControlRequest, parseControlAnswer } from './protocol.ts';
import { isOwnSocket, socketPlace } from './socket-path.ts';

/** Gives the value of the answer. Raises what the run raised, `control-missing` where nobody answers, `control-failed`. */
export async function askControl(run: RunPlace, request: ControlRequest): Promise<unknown> {
  if (!isOwnSocket(run.directory)) throw missing(run, 'it has no control socket of yours');
  const line = await exchange(run, `${JSON.stringify(request)}\n`);
  const answer = parseControlAnswer(line);
  if (answer === null)
    throw controlFailed(`run ${run.id} did not answer`, new Error('the line is no answer'));
  if (answer.ok) return answer.value;
  throw new SandError(isCode(answer.code) ? answer.code : 'control-failed', answer.message, answer.hint);
}

async function exchange(run: RunPlace, line: string): Promise<string> {
  const place = socketPlace(run.directory);
  const socket = connect({ path: place.path });
  try {
    return await new Promise<string>((resolve, reject) => {
      let text = '';
      socket.setEncoding('utf8');
      socket.setTimeout(CONTROL_LIMITS.answerMs, () => reject(new Error('no answer in time')));
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('it ended without an answer')));
      socket.on('data', (chunk: string) => {
        text += chunk;
        const end = text.indexOf('\n');
        if (end >= 0) resolve(text.slice(0, end));
        else if (text.length > CONTROL_LIMITS.answerBytes) reject(new Error('the answer is too long'));
      });
      socket.end(line);
    });
  } catch (error) {
    const code = error instanceof Error ? Reflect.get(error, 'code') : null;
    // A run that was killed leaves its socket behind, and nobody listens there.
    if (code === 'ECONNREFUSED' || code === 'ENOENT') throw missing(run, 'it has ended');
    throw controlFailed(`run ${run.id} did not answer`, error);
  } finally {
    socket.destroy();
    place.release();
  }
}

function missing(run: RunPlace, why: string): SandError {
  return new SandError(
    'control-missing',
    `run ${run.id} cannot be reached: ${why}`,
    'a run can be reached while it lives: see `sand ls --all` and `sand inspect`',
  );
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
