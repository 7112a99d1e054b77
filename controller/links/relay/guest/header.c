/*
 * The PROXY protocol, version 2 (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, section 2.2): who
 * connects and where to, before the first byte of a connection to the host.
 */
#include "relay.h"

#include <string.h>

static const uint8_t SIGNATURE[12] = "\r\n\r\n\0\r\nQUIT\n";

enum { VERSION_2_LOCAL = 0x20, VERSION_2_PROXY = 0x21, STREAM_4 = 0x11, DATAGRAM_4 = 0x12, STREAM_6 = 0x21, DATAGRAM_6 = 0x22 };

static uint8_t *put_port(uint8_t *at, uint16_t port) {
  at[0] = (uint8_t)(port >> 8);
  at[1] = (uint8_t)port;
  return at + 2;
}

void encode_life_header(uint8_t *bytes) {
  memset(bytes, 0, LIFE_HEADER_BYTES);
  memcpy(bytes, SIGNATURE, sizeof SIGNATURE);
  bytes[12] = VERSION_2_LOCAL;
}

size_t encode_header(uint8_t *bytes, bool datagram, const struct place *from, const struct place *to) {
  size_t width = to->six ? 16 : 4;
  size_t length = 2 * width + 4;
  memcpy(bytes, SIGNATURE, sizeof SIGNATURE);
  bytes[12] = VERSION_2_PROXY;
  if (to->six) bytes[13] = datagram ? DATAGRAM_6 : STREAM_6;
  else bytes[13] = datagram ? DATAGRAM_4 : STREAM_4;
  put_port(bytes + 14, (uint16_t)length);
  uint8_t *at = bytes + 16;
  memcpy(at, from->address, width);
  memcpy(at + width, to->address, width);
  at = put_port(at + 2 * width, from->port);
  put_port(at, to->port);
  return 16 + length;
}
