/** Says whether an option's value can be read as its type, in the words of swift-argument-parser. */
import type { OptionSpec } from './model.ts';

const RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  uint16: [0n, 65535n],
  uint32: [0n, 4294967295n],
  uint64: [0n, 18446744073709551615n],
  int32: [-2147483648n, 2147483647n],
  int: [-9223372036854775808n, 9223372036854775807n],
  int64: [-9223372036854775808n, 9223372036854775807n],
};

/** Near enough: what is no address in form, the tool refuses. */
const IPV4 = /^((25[0-5]|2[0-4]\d|1?\d?\d)(\.|$)){4}$/;
const IPV6 = /^(?=.*:)[0-9a-f:]{2,39}$/i;

/** What follows `The value 'X' is invalid for '--option <option>'`; null where it is fine. */
export function checkValue(option: OptionSpec, value: string): string | null {
  const { valueType, values } = option;
  const told = option.isCaseInsensitive ? value.toLowerCase() : value;
  if (values.length > 0) return values.includes(told) ? null : `. Please provide one of ${listOf(values)}.`;
  const range = RANGES[valueType];
  if (range !== undefined) return isInRange(value, range) ? null : '';
  if (valueType.startsWith('seconds'))
    return Number.isFinite(Number(value)) && value.trim() !== '' ? null : '';
  if (valueType === 'cidr4') return isPrefix(value, IPV4, 32) ? null : `: invalid CIDR address ${value}`;
  if (valueType === 'cidr6') return isPrefix(value, IPV6, 128) ? null : `: invalid CIDR address ${value}`;
  return null;
}

function isInRange(value: string, [least, most]: readonly [bigint, bigint]): boolean {
  if (!/^[+-]?\d+$/.test(value)) return false;
  const number = BigInt(value.replace(/^\+/, ''));
  return number >= least && number <= most;
}

function isPrefix(value: string, form: RegExp, most: number): boolean {
  const [address = '', length, ...rest] = value.split('/');
  return rest.length === 0 && form.test(address) && /^\d{1,3}$/.test(length ?? '') && Number(length) <= most;
}

function listOf(values: readonly string[]): string {
  const quoted = values.map((value) => `'${value}'`);
  if (quoted.length < 2) return quoted.join('');
  const separator = quoted.length === 2 ? ' ' : ', ';
  return `${quoted.slice(0, -1).join(', ')}${separator}or ${quoted.at(-1)}`;
}
