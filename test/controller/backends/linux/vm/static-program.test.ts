import { readFileSync, realpathSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isStaticProgram } from '../../../../../controller/backends/linux/vm/static-program.ts';

/** A header of a 64-bit program with program headers of these types. */
function program(types: readonly number[]): Buffer {
  const file = Buffer.alloc(64 + types.length * 56);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]).copy(file);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(types.length, 56);
  types.forEach((type, at) => {
    file.writeUInt32LE(type, 64 + at * 56);
  });
  return file;
}

describe('isStaticProgram', () => {
  it('is a program that names no loader', () => {
    expect(isStaticProgram(program([1, 1]))).toBe(true);
    expect(isStaticProgram(program([1, 3, 1]))).toBe(false);
  });

  it('is not the shell of this machine, nor a file that is cut or no program', () => {
    expect(isStaticProgram(readFileSync(realpathSync('/bin/sh')))).toBe(false);
    expect(isStaticProgram(program([1, 1]).subarray(0, 100))).toBe(false);
    expect(isStaticProgram(Buffer.from('#!/bin/sh\n'))).toBe(false);
    expect(isStaticProgram(program([]))).toBe(false);
  });
});
