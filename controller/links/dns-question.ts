/** The one question that is asked from a guest's place where its own programs are not relied on. Pure. */

/** For the A of IN, with recursion wanted (RFC 1035, section 4). `id` is below 65,536. */
export function encodeQuestion(name: string, id: number): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([
    Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0, 0, 1, 0, 1]),
  ]);
}
