/* Netlink messages in one bounded buffer, and a socket that sends them and reads what the kernel says of each. */
#ifndef SAND_NETLINK_MESSAGE_H
#define SAND_NETLINK_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

enum { MESSAGE_BYTES = 8192 };

struct message {
  uint8_t bytes[MESSAGE_BYTES] __attribute__((aligned(8)));
  size_t length;
  /* Where the message that is being written began. */
  size_t start;
  uint32_t sequence;
};

/* Room for `size` bytes, zeroed; overflow ends the program, since every message here has a known size. */
void *message_room(struct message *message, size_t size);
void message_begin(struct message *message, uint16_t type, uint16_t flags);
void message_end(struct message *message);
void message_attribute(struct message *message, uint16_t type, const void *bytes, size_t size);
void message_text(struct message *message, uint16_t type, const char *text);
/* Network byte order, as nf_tables wants its numbers. */
void message_number(struct message *message, uint16_t type, uint32_t value);
size_t message_nest(struct message *message, uint16_t type);
void message_nest_end(struct message *message, size_t nest);

/* Sends what was written and reads the answers to all that asked for one: 0 or the first errno. */
int message_send(const struct message *message, int protocol);

#endif
