/*
 * What the files of the guest's relay share: its limits, each with its reason, its places, and what each file
 * offers. Nothing here can be set from outside: a guest has nothing to misconfigure.
 */
#ifndef SAND_RELAY_H
#define SAND_RELAY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROXY_SOCKET "/.sand/proxy.sock"
#define DNS_SOCKET "/.sand/dns.sock"
/* Abstract, so that no file of an image is in its way; each network namespace has its own. */
#define CONTROL_NAME "sand-relay"

#define PROXY_PORT 3128
/* Where the kernel redirects to: on loopback alone, and nobody is told of it. */
#define REDIRECT_PORT 3129
#define DNS_PORT 53

/* A documentation address (RFC 5737, RFC 3849): resolvers ask for A and AAAA where an address beside loopback is. */
#define OWN_ADDRESS4 "192.0.2.1"
#define OWN_ADDRESS6 "2001:db8::1"

enum {
  /* A browser opens about 250; each takes two descriptors and no buffer. */
  CONNECTIONS = 1024,
  /* Datagrams under way: resolvers that ask for A and AAAA of some three hundred names at once. */
  QUERIES = 640,
  /* A question of one name, with EDNS options, has under 400 bytes. */
  QUERY_BYTES = 1280,
  /* An answer framed as over TCP. */
  ANSWER_BYTES = 2 + 65535,
  /* Bytes moved at a time; one buffer for all connections. */
  CHUNK = 65536,
  /* All that a policy may name (512), and what is planted besides to be seen. */
  PORTS = 544,
  /* Listeners: two families at each port, the proxy, the redirected and the resolver's, and control. */
  LISTENERS = 2 * PORTS + 16,
  /* Accepted of one listener before others have their turn. */
  ACCEPTS_A_TURN = 64,
  BACKLOG = 1024,
  /* Destinations counted that nobody planted; later ones are counted together. */
  TRIED = 256,
  PACKETS_A_TURN = 64,
  /* Commands that PID 1 remembers the end of. */
  RUNS = 64,
  RUN_ID_BYTES = 64,
  /* Requests under way: root's alone, and each is one message. */
  CONTROLS = 16,
  REQUEST_BYTES = 512,
  /* All that `tried` has to say. */
  REPLY_BYTES = 32768,
  /* Paths held or protected at start. */
  HELD = 256,
  /* Environment of a command: Linux allows more, nobody has more. */
  ENVIRONMENT = 4096,
  GROUPS = 64,
  /* A passwd or group file; more is not read. */
  USERS_BYTES = 1 << 20,
  /* At the same time; `sand verify` has a hundred. */
  PROBES = 160,
  PROBE_LINE = 1024,
};

/* Milliseconds. */
enum {
  /* The host's socket takes a connection at once, or its relay is dead. */
  CONNECT_MS = 10000,
  RETRY_MS = 50,
  /* Longer than the host's own resolver waits. */
  QUERY_MS = 15000,
  CONTROL_MS = 2000,
  READY_MS = 10000,
  DIAL_MS = 5000,
  PROBE_MS = 6000,
  /* After SIGTERM; the host's own bound is shorter, and kills. */
  ENDING_MS = 60000,
};

enum exit_code {
  EXIT_FINE = 0,
  EXIT_NEGATIVE = 1,
  EXIT_USAGE = 2,
  EXIT_FAILED = 125,
  EXIT_NOT_RUN = 126,
  EXIT_NOT_FOUND = 127,
};

/* An address and port of either family, compared and printed as one value. */
struct place {
  bool six;
  uint8_t address[16]; /* the first four bytes where it is IPv4 */
  uint16_t port;
};

/* text.c: numbers, addresses and lines. */
bool parse_number(const char *text, unsigned long most, unsigned long *value);
bool parse_address(const char *text, struct place *place);
struct place place_of(const struct sockaddr_storage *address);
socklen_t address_of(const struct place *place, struct sockaddr_storage *address);
void print_place(const struct place *place, char *text, size_t size);
bool is_loopback(const struct place *place);
/* %s %d %u %lu %llu %x %o alone; cut where there is no room. The length of what was written. */
size_t format(char *text, size_t size, const char *form, ...) __attribute__((format(printf, 3, 4)));
/* One line on stderr, as sand's own programs say it. */
void complain(const char *form, ...) __attribute__((format(printf, 1, 2)));
/* What a guest's server said, on one line of printable ASCII. */
void escape(const uint8_t *bytes, size_t length, char *text, size_t size);
int64_t now_ms(void);
/* All of it or false; for descriptors that block. */
bool write_all(int fd, const void *bytes, size_t length);

/* netlink.c: loopback up, its addresses, and the world made local. */
struct route_setup {
  bool permitted;
  bool four;
  bool six;
};
struct route_setup set_up_routes(void);

/* nft.c: the table that redirects; 0 or an errno. */
int set_up_redirect(void);
int redirect_port(uint16_t port);

/* header.c: PROXY protocol v2. */
enum { HEADER_BYTES = 16 + 36 };
size_t encode_header(uint8_t *bytes, bool datagram, const struct place *from, const struct place *to);
/* Of a connection that carries nothing: as long as it stands, so does the guest. */
enum { LIFE_HEADER_BYTES = 16 };
void encode_life_header(uint8_t *bytes);

/* loop.c: descriptors that PID 1 waits for. */
struct source {
  void (*ready)(struct source *source, uint32_t events);
  int fd;
};
void loop_open(void);
/* False where the kernel has no room; events 0 waits for the end of the other side alone. */
bool loop_add(struct source *source, uint32_t events);
void loop_change(struct source *source, uint32_t events);
/* Waits once, at most so long; -1 is for ever. */
void loop_turn(int timeout_ms);

/* listen.c: listeners and what arrives at them. */
enum relay_mode { MODE_REDIRECT, MODE_LISTEN, MODE_LOOPBACK };
void listeners_open(enum relay_mode mode);
/* 0 or an errno. */
int listeners_plant(uint16_t port);
bool is_planted(uint16_t port);
enum relay_mode listeners_mode(void);
/* Takes listeners back that had no descriptor left. Returns milliseconds until it wants to be called again, or -1. */
int listeners_tick(int64_t now);

/* tcp.c: connections between a guest's program and the host's socket. */
void tcp_open(unsigned most);
void tcp_accept(int client, const char *path, const struct place *from, const struct place *to);
int tcp_tick(int64_t now);
/* The other side sees a reset, not an end. */
void reset(int fd);
/* A connected descriptor, or -1 with errno; EAGAIN where the queue of the other side is full. */
int connect_host(const char *path);

/* dns.c: datagrams. */
void dns_open(unsigned most);
bool dns_listen(const struct place *place);
int dns_tick(int64_t now);

/* tried.c: what was tried and never planted. */
void tried_open(void);
size_t tried_print(char *text, size_t size);

/* control.c: one text request of root, one text reply. */
bool control_open(void);
int control_tick(int64_t now);
/* The length of the reply, or -1. */
ssize_t control_ask(const char *request, char *reply, size_t size, int timeout_ms);

/* runs.c: the commands of this guest and how they ended. */
bool runs_begin(const char *id, pid_t runner, pid_t command, bool own_group);
bool runs_end(const char *id, pid_t runner, unsigned status);
void runs_status(const char *id, char *text, size_t size);
void runs_signal(const char *id, const char *name, char *text, size_t size);

/* hold.c: mounts over the workspace; false after a complaint. */
bool hold(const char *path, bool read_only);
/* Shows a file at another path as well; what is not there is made. */
bool place_file(const char *source, const char *target);
/* False where the text is no mode. */
bool parse_mode(const char *text, mode_t *mode);

/* capabilities.c: false where a capability could not be given up. */
bool keep_workload_capabilities(void);

/* users.c: the guest's own passwd and group files. */
struct user {
  uid_t uid;
  gid_t gid;
  size_t groups;
  gid_t group[GROUPS];
  char name[64];
  char home[256];
};
/* False after a complaint. */
bool find_user(const char *text, struct user *user);

/* The sub-commands; each returns the exit code. */
int serve(int argc, char **argv);
int run(int argc, char **argv);
int dial(int argc, char **argv);
int put(int argc, char **argv);
int get(int argc, char **argv);
int tmpfs(int argc, char **argv);
/* put.c: every folder above a path that is not there; the path is changed meanwhile. */
bool make_parents(char *path);
int probe(int argc, char **argv);
/* attempts.c: one line of `probe`, tried and answered; false where the line is none. */
bool attempt(char *line, char *answer, size_t size);
/* attacks.c: `try NAME [ARGUMENT [ARGUMENT]]`: 0 where it worked, an errno where not, -1 where there is no such attack. */
int attack(const char *name, const char *argument, const char *further);
/* evidence.c: attacks that the host sees the outcome of; 0 or an errno. */
int file_holds(const char *path, const char *word);
int environment_holds(const char *word);
int unix_socket(const char *path);
int claim_destination(const char *where, const char *port);
int serve_here(const char *port, const char *word);
int control_socket(void);
int control_as_nobody(void);

#endif
