/* Numbers, addresses and lines: strict parsers that take all of a text or nothing of it, and bounded printers. */
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool parse_number(const char *text, unsigned long most, unsigned long *value) {
  unsigned long sum = 0;
  if (*text == '\0') return false;
  for (const char *at = text; *at != '\0'; at++) {
    if (*at < '0' || *at > '9') return false;
    sum = sum * 10 + (unsigned long)(*at - '0');
    /* `most` is far below the type's own end, so the sum cannot have wrapped. */
    if (sum > most) return false;
  }
  *value = sum;
  return true;
}

bool parse_address(const char *text, struct place *place) {
  memset(place, 0, sizeof *place);
  if (inet_pton(AF_INET, text, place->address) == 1) return true;
  place->six = true;
  return inet_pton(AF_INET6, text, place->address) == 1;
}

struct place place_of(const struct sockaddr_storage *address) {
  struct place place = {0};
  if (address->ss_family == AF_INET6) {
    const struct sockaddr_in6 *six = (const void *)address;
    place.six = true;
    memcpy(place.address, &six->sin6_addr, 16);
    place.port = ntohs(six->sin6_port);
  } else {
    const struct sockaddr_in *four = (const void *)address;
    memcpy(place.address, &four->sin_addr, 4);
    place.port = ntohs(four->sin_port);
  }
  return place;
}

socklen_t address_of(const struct place *place, struct sockaddr_storage *address) {
  memset(address, 0, sizeof *address);
  if (place->six) {
    struct sockaddr_in6 *six = (void *)address;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(place->port);
    memcpy(&six->sin6_addr, place->address, 16);
    return sizeof *six;
  }
  struct sockaddr_in *four = (void *)address;
  four->sin_family = AF_INET;
  four->sin_port = htons(place->port);
  memcpy(&four->sin_addr, place->address, 4);
  return sizeof *four;
}

void print_place(const struct place *place, char *text, size_t size) {
  if (inet_ntop(place->six ? AF_INET6 : AF_INET, place->address, text, (socklen_t)size) == NULL && size > 0)
    text[0] = '\0';
}

bool is_loopback(const struct place *place) {
  static const uint8_t one[16] = {[15] = 1};
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  if (!place->six) return place->address[0] == 127;
  if (memcmp(place->address, mapped, 12) == 0) return place->address[12] == 127;
  return memcmp(place->address, one, 16) == 0;
}

void complain(const char *format, ...) {
  char line[PROBE_LINE];
  va_list values;
  va_start(values, format);
  int length = vsnprintf(line, sizeof line - 1, format, values);
  va_end(values);
  if (length < 0) return;
  if ((size_t)length > sizeof line - 2) length = sizeof line - 2;
  line[length] = '\n';
  write_all(STDERR_FILENO, "sand: ", 6);
  write_all(STDERR_FILENO, line, (size_t)length + 1);
}

void escape(const uint8_t *bytes, size_t length, char *text, size_t size) {
  static const char digits[] = "0123456789abcdef";
  size_t used = 0;
  for (size_t at = 0; at < length && used + 5 <= size; at++) {
    uint8_t byte = bytes[at];
    if (byte >= 0x20 && byte < 0x7f && byte != '\\') {
      text[used++] = (char)byte;
      continue;
    }
    text[used++] = '\\';
    text[used++] = 'x';
    text[used++] = digits[byte >> 4];
    text[used++] = digits[byte & 15];
  }
  text[used] = '\0';
}

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool write_all(int fd, const void *bytes, size_t length) {
  const char *at = bytes;
  while (length > 0) {
    ssize_t written = write(fd, at, length);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    length -= (size_t)written;
  }
  return true;
}
