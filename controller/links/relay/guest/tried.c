/*
 * What the guest tried and nobody planted: seen on loopback, where every packet to the world ends. Counted in a
 * bounded table, and only counted: the kernel has refused it already.
 */
#include "relay.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* As far as the ports and flags of TCP behind the longest IPv4 header. */
enum { SEEN_BYTES = 96, FAMILIES = 2 };

struct tried {
  uint8_t protocol;
  struct place to;
  uint64_t count;
};

static struct source sources[FAMILIES];
static struct tried table[TRIED];
static unsigned used;
static uint64_t others;

/*
 * The kernel passes on only what may be counted, so that the bytes of connections wake nobody: IPv4 not to 127/8 nor
 * to the own address; a TCP SYN without ACK, UDP not to 53, or an echo request; no later fragment.
 */
static const struct sock_filter FILTER4[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 16),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 127, 17, 0),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xc0000201, 15, 0),
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 13, 0),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 3),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 6, 7),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 2),
    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DNS_PORT, 4, 3),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 0, 3),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 8, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SEEN_BYTES),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

/* The same of IPv6 without extension headers; ::1 and the own address are left out when counting. */
static const struct sock_filter FILTER6[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 3),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40 + 13),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 6, 7),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 2),
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 40 + 2),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DNS_PORT, 4, 3),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 128, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SEEN_BYTES),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

static void count(uint8_t protocol, const struct place *to) {
  struct place own;
  if (is_loopback(to) || (parse_address(OWN_ADDRESS6, &own) && to->six && memcmp(own.address, to->address, 16) == 0))
    return;
  if (protocol == IPPROTO_TCP && is_planted(to->port)) return;
  for (unsigned at = 0; at < used; at++)
    if (table[at].protocol == protocol && memcmp(&table[at].to, to, sizeof *to) == 0) {
      table[at].count++;
      return;
    }
  if (used == TRIED) others++;
  else table[used++] = (struct tried){.protocol = protocol, .to = *to, .count = 1};
}

static void look(const uint8_t *packet, size_t length) {
  if (length < 20) return;
  struct place to;
  memset(&to, 0, sizeof to);
  bool six = packet[0] >> 4 == 6;
  size_t head = six ? 40 : (size_t)(packet[0] & 15) * 4;
  uint8_t protocol = six ? packet[6] : packet[9];
  if (length < head + 4) return;
  to.six = six;
  memcpy(to.address, packet + (six ? 24 : 16), six ? 16 : 4);
  if (protocol == IPPROTO_ICMPV6) protocol = IPPROTO_ICMP;
  if (protocol != IPPROTO_ICMP) to.port = (uint16_t)(packet[head + 2] << 8 | packet[head + 3]);
  count(protocol, &to);
}

static void packet_ready(struct source *source, uint32_t events) {
  (void)events;
  uint8_t packet[SEEN_BYTES];
  for (int turn = 0; turn < PACKETS_A_TURN; turn++) {
    ssize_t length = recv(source->fd, packet, sizeof packet, MSG_DONTWAIT);
    if (length < 0) return;
    look(packet, (size_t)length);
  }
}

static void watch(struct source *source, uint16_t protocol, const struct sock_filter *filter, size_t length) {
  struct sock_fprog program = {.len = (unsigned short)length, .filter = (struct sock_filter *)(uintptr_t)filter};
  /* Protocol 0 hears nothing until the filter is there. */
  int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  struct sockaddr_ll place = {
      .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = (int)if_nametoindex("lo")};
  *source = (struct source){.ready = packet_ready, .fd = fd};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ||
      bind(fd, (struct sockaddr *)&place, sizeof place) != 0 || !loop_add(source, EPOLLIN))
    close(fd);
}

void tried_open(void) {
  watch(&sources[0], ETH_P_IP, FILTER4, sizeof FILTER4 / sizeof *FILTER4);
  watch(&sources[1], ETH_P_IPV6, FILTER6, sizeof FILTER6 / sizeof *FILTER6);
}

size_t tried_print(char *text, size_t size) {
  size_t length = 0;
  for (unsigned at = 0; at < used && size - length > 128; at++) {
    const struct tried *it = &table[at];
    const char *name = it->protocol == IPPROTO_TCP ? "tcp" : it->protocol == IPPROTO_UDP ? "udp" : "icmp";
    char address[INET6_ADDRSTRLEN];
    print_place(&it->to, address, sizeof address);
    length += format(text + length, size - length, "%s %s %u %llu\n", name, address, it->to.port,
                               (unsigned long long)it->count);
  }
  if (others > 0) length += format(text + length, size - length, "others %llu\n", (unsigned long long)others);
  return length;
}
