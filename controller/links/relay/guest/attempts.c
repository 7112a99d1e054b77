/*
 * The attempts of `probe` that look around: connections, questions, and what the guest is made of. Each answers with
 * one line or, where it lists, with several; whether that is as it must be, the host decides.
 */
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* One line of an answer, and the longest name that is asked for. */
enum { ANSWER_TEXT = 256, NAME_BYTES = 253, WORDS = 6, FILE_BYTES = 65536 };
enum { TYPE_A = 1, CLASS_IN = 1, RCODE_NAME_ERROR = 3, RCODE_REFUSED = 5 };
/* Under PROBE_MS, so that what waits says so itself. */
enum { WAIT_SECONDS = 5 };

struct answer {
  char *text;
  size_t size;
  size_t length;
};

static void add(struct answer *answer, const char *before, const char *text) {
  size_t room = answer->size - answer->length;
  if (strlen(before) + strlen(text) + 2 > room) return;
  answer->length += format(answer->text + answer->length, room, "%s%s%s", answer->length > 0 ? "\n" : "",
                                     before, text);
}

/* A socket of that place's family whose waits are bounded; -1 where there is none. */
static int open_socket(const struct place *place, int type) {
  struct timeval limit = {.tv_sec = WAIT_SECONDS};
  int fd = socket(place->six ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return fd;
}

static bool reach(int fd, const struct place *place) {
  struct sockaddr_storage address;
  socklen_t length = address_of(place, &address);
  return connect(fd, (struct sockaddr *)&address, length) == 0;
}

/* The first line that is said after these bytes, escaped behind a word of what came of it. */
static void converse(const struct place *place, const uint8_t *bytes, size_t count, char *said, size_t size) {
  uint8_t heard[ANSWER_TEXT];
  size_t length = 0;
  char text[ANSWER_TEXT * 4 + 1];
  int fd = open_socket(place, SOCK_STREAM);
  const char *outcome = fd >= 0 && reach(fd, place) ? "silent" : "nobody";
  if (*outcome == 's' && count > 0) write_all(fd, bytes, count);
  while (*outcome == 's' && length < sizeof heard) {
    ssize_t got = recv(fd, heard + length, sizeof heard - length, 0);
    if (got <= 0) break;
    uint8_t *end = memchr(heard + length, '\n', (size_t)got);
    length += (size_t)got;
    if (end == NULL && length < sizeof heard) continue;
    if (end != NULL) length = (size_t)(end - heard);
    outcome = "answered";
  }
  if (fd >= 0) close(fd);
  escape(heard, *outcome == 'a' ? length : 0, text, sizeof text);
  format(said, size, "%s%s%s", outcome, *text == '\0' ? "" : " ", text);
}

static bool tcp(int count, char **words, struct answer *answer) {
  struct place place;
  unsigned long port;
  char said[PROBE_LINE + 16];
  char line[PROBE_LINE * 2];
  if (count != 3 || !parse_address(words[1], &place) || !parse_number(words[2], 65535, &port)) return false;
  place.port = (uint16_t)port;
  converse(&place, NULL, 0, said, sizeof said);
  format(line, sizeof line, "tcp %s %s %s", words[1], words[2], said);
  add(answer, "", line);
  return true;
}

/* A question for the addresses of a name; 0 where the name is none. */
static size_t encode_question(const char *name, uint8_t *bytes) {
  static const uint8_t head[12] = {0x5a, 0x4e, 0x01, 0, 0, 1};
  size_t length = sizeof head;
  if (*name == '\0' || strlen(name) > NAME_BYTES) return 0;
  memcpy(bytes, head, sizeof head);
  for (const char *at = name; *at != '\0';) {
    size_t label = strcspn(at, ".");
    if (label == 0 || label > 63) return 0;
    bytes[length++] = (uint8_t)label;
    memcpy(bytes + length, at, label);
    length += label;
    at += label + (at[label] == '.');
  }
  static const uint8_t tail[5] = {0, 0, TYPE_A, 0, CLASS_IN};
  memcpy(bytes + length, tail, sizeof tail);
  return length + sizeof tail;
}

/* Behind a name in a message, or beyond its end. */
static size_t skip_name(const uint8_t *bytes, size_t length, size_t at) {
  while (at < length) {
    if (bytes[at] == 0) return at + 1;
    if (bytes[at] >= 0xc0) return at + 2;
    at += 1U + bytes[at];
  }
  return length + 1;
}

/* The addresses of a response, each after a space; false where it has none. */
static bool read_addresses(const uint8_t *bytes, size_t length, size_t question, char *text, size_t size) {
  unsigned count = (unsigned)(bytes[6] << 8 | bytes[7]);
  size_t used = 0;
  size_t at = question;
  for (; count > 0; count--) {
    at = skip_name(bytes, length, at);
    if (at > length || length - at < 10) break;
    size_t data = (size_t)bytes[at + 8] << 8 | bytes[at + 9];
    bool is_address = bytes[at] == 0 && bytes[at + 1] == TYPE_A && data == 4;
    at += 10;
    if (data > length - at) break;
    char address[INET_ADDRSTRLEN];
    if (is_address && size - used > sizeof address + 1) {
      struct place place = {0};
      memcpy(place.address, bytes + at, 4);
      print_place(&place, address, sizeof address);
      used += format(text + used, size - used, " %s", address);
    }
    at += data;
  }
  return used > 0;
}

/* What came of a question for a name's addresses, which stand in the text, each after a space; NULL where it is no name. */
static const char *look_up(struct place server, const char *name, char *addresses, size_t size) {
  uint8_t question[NAME_BYTES + 32];
  uint8_t response[4096];
  const char *outcome = "timeout";
  size_t asked = encode_question(name, question);
  addresses[0] = '\0';
  if (asked == 0) return NULL;
  server.port = DNS_PORT;
  int fd = open_socket(&server, SOCK_DGRAM);
  ssize_t got = -1;
  if (fd >= 0 && reach(fd, &server) && send(fd, question, asked, 0) == (ssize_t)asked)
    got = recv(fd, response, sizeof response, 0);
  if (got < 0 && (fd < 0 || (errno != EAGAIN && errno != EINTR))) outcome = "refused";
  if (fd >= 0) close(fd);
  if (got >= (ssize_t)asked && memcmp(response, question, 2) == 0 && (response[2] & 0x80) != 0) {
    unsigned code = response[3] & 15;
    if (code == RCODE_REFUSED) outcome = "refused";
    else if (code == RCODE_NAME_ERROR) outcome = "not-found";
    else if (code == 0)
      outcome = read_addresses(response, (size_t)got, asked, addresses, size) ? "answered" : "not-found";
  }
  return outcome;
}

static char *read_file(const char *path);
static char *next_line(char **at);

/* The guest's own resolver, by its resolv.conf. */
static bool find_resolver(struct place *place) {
  static const char word[] = "nameserver ";
  char *at = read_file("/etc/resolv.conf");
  for (char *line; (line = next_line(&at)) != NULL;) {
    if (strncmp(line, word, sizeof word - 1) != 0) continue;
    line += sizeof word - 1;
    line[strcspn(line, " \t\r")] = '\0';
    return parse_address(line, place);
  }
  return false;
}

/* The guest's own proxy, by its variable: http://ADDRESS:PORT, an IPv6 address in brackets. */
static bool find_proxy(struct place *place) {
  static const char scheme[] = "http://";
  char text[ANSWER_TEXT];
  unsigned long port;
  const char *value = getenv("http_proxy");
  if (value == NULL || strncmp(value, scheme, sizeof scheme - 1) != 0) return false;
  format(text, sizeof text, "%s", value + sizeof scheme - 1);
  text[strcspn(text, "/")] = '\0';
  char *colon = strrchr(text, ':');
  if (colon == NULL || !parse_number(colon + 1, 65535, &port)) return false;
  *colon = '\0';
  bool bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
  if (bracketed) colon[-1] = '\0';
  if (!parse_address(text + bracketed, place)) return false;
  place->port = (uint16_t)port;
  return true;
}

/* An address, `resolver`, `proxy` (whose port it brings along), or `name:NAME` as the guest's resolver has it. */
static bool find_place(const char *word, struct place *place) {
  char addresses[ANSWER_TEXT];
  struct place server;
  if (strcmp(word, "resolver") == 0) return find_resolver(place);
  if (strcmp(word, "proxy") == 0) return find_proxy(place);
  if (strncmp(word, "name:", 5) != 0) return parse_address(word, place);
  const char *outcome = find_resolver(&server) ? look_up(server, word + 5, addresses, sizeof addresses) : NULL;
  if (outcome == NULL || strcmp(outcome, "answered") != 0) return false;
  addresses[1 + strcspn(addresses + 1, " ")] = '\0';
  return parse_address(addresses + 1, place);
}

static bool ask(int count, char **words, struct answer *answer) {
  struct place place;
  char addresses[ANSWER_TEXT];
  char server[INET6_ADDRSTRLEN] = "::";
  char line[PROBE_LINE];
  if (count != 3) return false;
  bool found = find_place(words[1], &place);
  const char *outcome = found ? look_up(place, words[2], addresses, sizeof addresses) : "refused";
  if (outcome == NULL) return false;
  if (found) print_place(&place, server, sizeof server);
  format(line, sizeof line, "ask %s %s %s%s", server, words[2], outcome, found ? addresses : "");
  add(answer, "", line);
  return true;
}

static int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Bytes to somebody, and the first line that came back; where nobody is to be found, `nobody`. */
static bool send_bytes(int count, char **words, struct answer *answer) {
  static uint8_t bytes[PROBE_LINE];
  struct place place = {0};
  unsigned long port;
  char said[PROBE_LINE + 16] = "nobody";
  char line[PROBE_LINE * 2];
  if (count != 4 || !parse_number(words[2], 65535, &port)) return false;
  size_t length = strlen(words[3]) / 2;
  if (length > sizeof bytes || strlen(words[3]) % 2 != 0) return false;
  for (size_t at = 0; at < length; at++) {
    int high = hex_digit(words[3][2 * at]);
    int low = hex_digit(words[3][2 * at + 1]);
    if (high < 0 || low < 0) return false;
    bytes[at] = (uint8_t)(high << 4 | low);
  }
  if (find_place(words[1], &place)) {
    if (place.port == 0) place.port = (uint16_t)port;
    converse(&place, bytes, length, said, sizeof said);
  }
  format(line, sizeof line, "send %s", said);
  add(answer, "", line);
  return true;
}

/* The text of a file of /proc, cut where it is longer than one should be. */
static char *read_file(const char *path) {
  static char text[FILE_BYTES + 1];
  size_t length = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got;
  while (fd >= 0 && length < FILE_BYTES && (got = read(fd, text + length, FILE_BYTES - length)) > 0)
    length += (size_t)got;
  if (fd >= 0) close(fd);
  text[length] = '\0';
  return text;
}

static char *next_line(char **at) {
  char *line = *at;
  if (line == NULL || *line == '\0') return NULL;
  char *end = strchr(line, '\n');
  *at = end == NULL ? NULL : end + 1;
  if (end != NULL) *end = '\0';
  return line;
}

static void interfaces(struct answer *answer) {
  char *at = read_file("/proc/net/dev");
  next_line(&at);
  next_line(&at);
  for (char *line; (line = next_line(&at)) != NULL;) {
    line += strspn(line, " ");
    line[strcspn(line, ":")] = '\0';
    add(answer, "interface ", line);
  }
}

enum { FIELDS = 10 };

/* Splits at spaces and tabs, in place; false where there are fewer. */
static bool split(char *line, char **fields, int wanted) {
  for (int at = 0; at < wanted; at++) {
    line += strspn(line, " \t");
    if (*line == '\0') return false;
    fields[at] = line;
    line += strcspn(line, " \t");
    if (*line != '\0') *line++ = '\0';
  }
  return true;
}

/* Of the main table, and of IPv6 whatever does not stand on loopback: hexadecimal, as the kernel tells them. */
static void routes(struct answer *answer) {
  char route[ANSWER_TEXT];
  char *fields[FIELDS];
  char *at = read_file("/proc/net/route");
  next_line(&at);
  for (char *line; (line = next_line(&at)) != NULL;) {
    if (!split(line, fields, 3)) continue;
    format(route, sizeof route, "4 %s via %s dev %s", fields[1], fields[2], fields[0]);
    add(answer, "route ", route);
  }
  at = read_file("/proc/net/ipv6_route");
  for (char *line; (line = next_line(&at)) != NULL;) {
    if (!split(line, fields, 10) || strcmp(fields[9], "lo") == 0) continue;
    format(route, sizeof route, "6 %s/%s via %s dev %s", fields[0], fields[1], fields[4], fields[9]);
    add(answer, "route ", route);
  }
}

static void status(struct answer *answer) {
  static const char *const WANTED[] = {"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
                                       "NoNewPrivs", "Seccomp"};
  char *at = read_file("/proc/self/status");
  for (char *line; (line = next_line(&at)) != NULL;) {
    char *colon = strchr(line, ':');
    if (colon == NULL) continue;
    *colon = '\0';
    for (size_t which = 0; which < sizeof WANTED / sizeof *WANTED; which++) {
      char text[ANSWER_TEXT];
      if (strcmp(WANTED[which], line) != 0) continue;
      for (char *tab = colon + 1; *tab != '\0'; tab++)
        if (*tab == '\t') *tab = ' ';
      format(text, sizeof text, "%s%s", line, colon + 1);
      add(answer, "status ", text);
    }
  }
}

/* Mounts that may be written; the kernel writes odd characters of a path as \ooo. */
static void mounts(struct answer *answer) {
  char *at = read_file("/proc/self/mounts");
  for (char *line; (line = next_line(&at)) != NULL;) {
    char text[ANSWER_TEXT * 4 + 1];
    char *path = strchr(line, ' ');
    char *type = path == NULL ? NULL : strchr(path + 1, ' ');
    char *options = type == NULL ? NULL : strchr(type + 1, ' ');
    if (options == NULL || strncmp(options + 1, "rw", 2) != 0) continue;
    *type = '\0';
    if (strlen(path + 1) > ANSWER_TEXT) continue;
    escape((const uint8_t *)path + 1, strlen(path + 1), text, sizeof text);
    add(answer, "mount ", text);
  }
}

static bool try_attack(int count, char **words, struct answer *answer) {
  char line[PROBE_LINE];
  if (count < 2 || count > 4) return false;
  int problem = attack(words[1], count > 2 ? words[2] : NULL, count > 3 ? words[3] : NULL);
  if (problem < 0) return false;
  const char *space = count > 2 ? " " : "";
  const char *argument = count > 2 ? words[2] : "";
  if (problem == 0) format(line, sizeof line, "try %s%s%s ok", words[1], space, argument);
  else format(line, sizeof line, "try %s%s%s errno %d", words[1], space, argument, problem);
  add(answer, "", line);
  return true;
}

/* Puts a name before each line of an answer; of an empty list, `nothing` says that it was looked at. */
static bool name_lines(const char *name, char *text, size_t size) {
  static char plain[PROBE_LINE * 4];
  struct answer named = {.text = text, .size = size};
  char before[ANSWER_TEXT];
  if (format(plain, sizeof plain, "%s", text) + 1 == sizeof plain || strlen(name) > ANSWER_TEXT - 8) return false;
  format(before, sizeof before, "as %s ", name);
  text[0] = '\0';
  char *at = plain;
  for (char *line; (line = next_line(&at)) != NULL;) add(&named, before, line);
  if (text[0] == '\0') add(&named, before, "nothing");
  return true;
}

static bool attempt_words(int count, char **words, char *text, size_t size) {
  static const struct {
    const char *name;
    void (*list)(struct answer *answer);
  } LISTS[] = {{"interfaces", interfaces}, {"routes", routes}, {"status", status}, {"mounts", mounts}};
  struct answer answer = {.text = text, .size = size};
  text[0] = '\0';
  if (strcmp(words[0], "as") == 0)
    return count > 2 && attempt_words(count - 2, words + 2, text, size) && name_lines(words[1], text, size);
  if (strcmp(words[0], "tcp") == 0) return tcp(count, words, &answer);
  if (strcmp(words[0], "ask") == 0) return ask(count, words, &answer);
  if (strcmp(words[0], "send") == 0) return send_bytes(count, words, &answer);
  if (strcmp(words[0], "try") == 0) return try_attack(count, words, &answer);
  for (size_t at = 0; count == 1 && at < sizeof LISTS / sizeof *LISTS; at++) {
    if (strcmp(LISTS[at].name, words[0]) != 0) continue;
    LISTS[at].list(&answer);
    return true;
  }
  return false;
}

bool attempt(char *line, char *text, size_t size) {
  char *words[WORDS];
  int count = 0;
  for (char *at = line; at != NULL;) {
    if (count == WORDS) return false;
    words[count++] = at;
    at = strchr(at, ' ');
    if (at != NULL) *at++ = '\0';
  }
  return attempt_words(count, words, text, size);
}
