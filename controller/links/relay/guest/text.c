/* Numbers, addresses and lines: strict parsers that take all of a text or nothing of it, and bounded printers. */
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
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

/* As RFC 5952 writes it, but for the mapped form: the longest run of zero groups is left out. */
static void print_six(const uint8_t *address, char *text, size_t size) {
  unsigned group[8];
  int start = -1;
  int most = 1;
  size_t length = 0;
  for (int at = 0; at < 8; at++) group[at] = (unsigned)(address[2 * at] << 8 | address[2 * at + 1]);
  for (int at = 0; at < 8; at++) {
    int run_length = 0;
    while (at + run_length < 8 && group[at + run_length] == 0) run_length++;
    if (run_length <= most) continue;
    start = at;
    most = run_length;
  }
  for (int at = 0; at < 8; at++) {
    if (at == start) {
      length += format(text + length, size - length, "::");
      at += most - 1;
      continue;
    }
    bool colon = at > 0 && at != start + most;
    length += format(text + length, size - length, "%s%x", colon || (at > 0 && start < 0) ? ":" : "", group[at]);
  }
}

void print_place(const struct place *place, char *text, size_t size) {
  const uint8_t *at = place->address;
  if (place->six) print_six(at, text, size);
  else format(text, size, "%u.%u.%u.%u", at[0], at[1], at[2], at[3]);
}

bool is_loopback(const struct place *place) {
  static const uint8_t one[16] = {[15] = 1};
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  if (!place->six) return place->address[0] == 127;
  if (memcmp(place->address, mapped, 12) == 0) return place->address[12] == 127;
  return memcmp(place->address, one, 16) == 0;
}

static size_t put_text(char *text, size_t size, size_t used, const char *more) {
  while (*more != '\0' && used + 1 < size) text[used++] = *more++;
  return used;
}

static size_t put_number(char *text, size_t size, size_t used, unsigned long long value, unsigned base) {
  char digits[24];
  size_t at = sizeof digits - 1;
  digits[at] = '\0';
  do {
    digits[--at] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value > 0);
  return put_text(text, size, used, digits + at);
}

/* The C library's own brings arithmetic for floating point along, which is a quarter of this program on arm64. */
static size_t format_list(char *text, size_t size, const char *form, va_list *values) {
  size_t used = 0;
  if (size == 0) return 0;
  for (; *form != '\0'; form++) {
    char one[2] = {*form, '\0'};
    unsigned longs = 0;
    if (*form != '%') {
      used = put_text(text, size, used, one);
      continue;
    }
    for (form++; *form == 'l'; form++) longs++;
    if (*form == 's') used = put_text(text, size, used, va_arg(*values, const char *));
    else if (*form == 'd') {
      int value = va_arg(*values, int);
      if (value < 0) used = put_text(text, size, used, "-");
      used = put_number(text, size, used, value < 0 ? 0U - (unsigned)value : (unsigned)value, 10);
    } else {
      unsigned long long value = longs > 1   ? va_arg(*values, unsigned long long)
                                 : longs > 0 ? va_arg(*values, unsigned long)
                                             : va_arg(*values, unsigned);
      used = put_number(text, size, used, value, *form == 'x' ? 16 : *form == 'o' ? 8 : 10);
    }
  }
  text[used] = '\0';
  return used;
}

size_t format(char *text, size_t size, const char *form, ...) {
  va_list values;
  va_start(values, form);
  size_t used = format_list(text, size, form, &values);
  va_end(values);
  return used;
}

void complain(const char *form, ...) {
  char line[PROBE_LINE];
  va_list values;
  size_t used = format(line, sizeof line, "sand: ");
  va_start(values, form);
  used += format_list(line + used, sizeof line - 1 - used, form, &values);
  va_end(values);
  line[used++] = '\n';
  write_all(STDERR_FILENO, line, used);
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
