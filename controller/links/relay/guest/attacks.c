/*
 * Attacks on the guest's confinement, for `sand verify`: each does one thing that a workload must not be able to do,
 * leaves nothing behind, and says by an errno how it failed. Most of them harm nobody where they work.
 */
#define _GNU_SOURCE
#include "netlink-message.h"
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <poll.h>
#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <unistd.h>

/* Reserved for documentation (RFC 5737, RFC 3849): nobody is there. */
#define NOBODY4 "203.0.113.7"
#define NOBODY6 "2001:db8:7::7"
enum { WAIT_SECONDS = 2, DISK_MAJOR = 254 };

/* 0 and closed where the descriptor is one, else the errno. */
static int outcome(int fd) {
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

static int raw_socket(void) { return outcome(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP)); }
static int packet_socket(void) { return outcome(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); }

static int add_address(void) {
  struct message message = {0};
  static const uint8_t address[4] = {198, 51, 100, 7};
  message_begin(&message, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE);
  struct ifaddrmsg *head = message_room(&message, sizeof *head);
  *head = (struct ifaddrmsg){.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = if_nametoindex("lo")};
  message_attribute(&message, IFA_LOCAL, address, sizeof address);
  message_end(&message);
  return message_send(&message, NETLINK_ROUTE);
}

static int add_route(void) {
  struct message message = {0};
  static const uint8_t net[4] = {198, 51, 100, 0};
  uint32_t index = if_nametoindex("lo");
  message_begin(&message, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE);
  struct rtmsg *head = message_room(&message, sizeof *head);
  *head = (struct rtmsg){.rtm_family = AF_INET,
                         .rtm_dst_len = 24,
                         .rtm_table = RT_TABLE_MAIN,
                         .rtm_protocol = RTPROT_STATIC,
                         .rtm_scope = RT_SCOPE_LINK,
                         .rtm_type = RTN_UNICAST};
  message_attribute(&message, RTA_DST, net, sizeof net);
  message_attribute(&message, RTA_OIF, &index, sizeof index);
  message_end(&message);
  return message_send(&message, NETLINK_ROUTE);
}

static int change_table(uint16_t kind, const char *name) {
  struct message message = {0};
  static const uint16_t ORDER[3] = {NFNL_MSG_BATCH_BEGIN, 0, NFNL_MSG_BATCH_END};
  for (int step = 0; step < 3; step++) {
    bool inner = step == 1;
    uint16_t type = inner ? (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | kind) : ORDER[step];
    message_begin(&message, type, inner ? NLM_F_ACK : 0);
    struct nfgenmsg *head = message_room(&message, sizeof *head);
    head->nfgen_family = inner ? NFPROTO_INET : AF_UNSPEC;
    head->res_id = inner ? 0 : htons(NFNL_SUBSYS_NFTABLES);
    if (inner) message_text(&message, NFTA_TABLE_NAME, name);
    message_end(&message);
  }
  return message_send(&message, NETLINK_NETFILTER);
}

static int flush_nft(void) { return change_table(NFT_MSG_DELTABLE, "sand"); }
static int add_nft(void) { return change_table(NFT_MSG_NEWTABLE, "sand-probe"); }

static int connect_from_here(const char *where, uint16_t port) {
  struct place place;
  struct sockaddr_storage address;
  struct timeval limit = {.tv_sec = WAIT_SECONDS};
  if (!parse_address(where, &place)) return EINVAL;
  place.port = port;
  socklen_t length = address_of(&place, &address);
  int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  int problem = connect(fd, (struct sockaddr *)&address, length) == 0 ? 0 : errno;
  close(fd);
  return problem;
}

/* All capabilities over a network of its own, and nothing that leads out of it. */
static int new_netns_route(void) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return errno;
  set_up_routes();
  return connect_from_here(NOBODY4, 443);
}

/* What the relay itself did with its capabilities, done again. */
static int own_routes(void) { return set_up_routes().permitted ? 0 : EPERM; }

static int tun(void) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno;
  int problem = ioctl(fd, TUNSETIFF, &request) == 0 ? 0 : errno;
  close(fd);
  return problem;
}

static int reach_vsock(unsigned context, unsigned port) {
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = context, .svm_port = port};
  struct timeval limit = {.tv_sec = 1};
  int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit, sizeof limit);
  int problem = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
  close(fd);
  return problem;
}

static int vsock_host(void) {
  static const unsigned PORTS_TRIED[] = {22, 53, 80, 443, 1024, 8080};
  int problem = ENODEV;
  for (size_t at = 0; at < sizeof PORTS_TRIED / sizeof *PORTS_TRIED && problem != 0; at++)
    problem = reach_vsock(VMADDR_CID_HOST, PORTS_TRIED[at]);
  return problem;
}

static int vsock_other(void) {
  int problem = ENODEV;
  for (unsigned context = 1; context <= 4 && problem != 0; context++)
    if (context != VMADDR_CID_HOST) problem = reach_vsock(context, 1024);
  return problem;
}

static int remount(const char *path) {
  return mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL) == 0 ? 0 : errno;
}
static int unmount(const char *path) { return umount2(path, MNT_DETACH) == 0 ? 0 : errno; }

static int in_user_namespace(int (*act)(const char *path), const char *path) {
  return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? act(path) : errno;
}
static int userns_remount(const char *path) { return in_user_namespace(remount, path); }
static int userns_unmount(const char *path) { return in_user_namespace(unmount, path); }

static int ptrace_init(void) {
  if (ptrace(PTRACE_SEIZE, 1, NULL, NULL) != 0) return errno;
  ptrace(PTRACE_DETACH, 1, NULL, NULL);
  return 0;
}

static int write_path(const char *path) { return outcome(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)); }

static int rename_path(const char *path) {
  char moved[512];
  if (format(moved, sizeof moved, "%s.moved", path) != strlen(path) + 6) return ENAMETOOLONG;
  if (rename(path, moved) != 0) return errno;
  return rename(moved, path) == 0 ? 0 : errno;
}

static int open_to_read(const char *path) { return outcome(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)); }
static int kernel_write(void) { return outcome(open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC)); }
static int kmsg(void) { return outcome(open("/dev/kmsg", O_WRONLY | O_CLOEXEC)); }
static int proc_root(void) { return open_to_read("/proc/1/root/."); }

/* A kernel that may load modules complains of the descriptor instead. */
static int load_module(void) {
  if (syscall(SYS_finit_module, -1, "", 0) == 0) return 0;
  return errno == EBADF ? 0 : errno;
}

static int block_device(void) {
  static const char path[] = "/tmp/.sand-probe-device";
  if (mknod(path, S_IFBLK | 0600, makedev(DISK_MAJOR, 0)) != 0) return errno;
  int problem = open_to_read(path);
  unlink(path);
  return problem;
}

/* The session keyring of whoever started this, where its kernel is the host's. */
static int keyring(void) {
  enum { DESCRIBE = 6, SESSION = -3 };
  char text[128];
  return syscall(SYS_keyctl, DESCRIBE, SESSION, text, sizeof text) < 0 ? errno : 0;
}

/* Whether it could; the signal itself is none. */
static int signal_init(void) { return kill(1, 0) == 0 ? 0 : errno; }

/* 0 where anything came back. */
static int datagram(const char *where, uint16_t port, int protocol) {
  struct place place;
  struct sockaddr_storage address;
  /* An echo request, which is an answerable datagram of any other protocol as well. */
  uint8_t bytes[64] = {8};
  if (!parse_address(where, &place)) return EINVAL;
  place.port = port;
  socklen_t length = address_of(&place, &address);
  int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, protocol);
  if (fd < 0) return errno;
  int problem = 0;
  if (connect(fd, (struct sockaddr *)&address, length) != 0 || send(fd, bytes, sizeof bytes, 0) < 0) problem = errno;
  /* By poll: gVisor keeps no time limit of a socket that is the host's. */
  struct pollfd waiting = {.fd = fd, .events = POLLIN};
  if (problem == 0 && poll(&waiting, 1, WAIT_SECONDS * 1000) == 0) problem = ETIMEDOUT;
  if (problem == 0 && recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) < 0) problem = errno;
  close(fd);
  return problem;
}

static int datagram_to(const char *where, const char *port) {
  unsigned long number;
  return parse_number(port, 65535, &number) ? datagram(where, (uint16_t)number, 0) : EINVAL;
}
static int ping(const char *where) {
  return datagram(where, 0, strchr(where, ':') == NULL ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static int icmp(void) { return datagram(NOBODY4, 0, IPPROTO_ICMP); }
static int udp(void) { return datagram(NOBODY4, 4444, 0); }
static int udp6(void) { return datagram(NOBODY6, 4444, 0); }
static int quic(void) { return datagram(NOBODY4, 443, 0); }
static int ipv6_literal(void) { return connect_from_here(NOBODY6, 4444); }

static int attack_with(const char *name, const char *one, const char *two) {
  static const struct {
    const char *name;
    int (*act)(const char *one, const char *two);
  } ATTACKS[] = {
      {"holds", file_holds},
      {"udp-to", datagram_to},
      {"proxy-socket", claim_destination},
      {"serve", serve_here},
  };
  for (size_t at = 0; at < sizeof ATTACKS / sizeof *ATTACKS; at++)
    if (strcmp(ATTACKS[at].name, name) == 0) return ATTACKS[at].act(one, two);
  return -1;
}

int attack(const char *name, const char *argument, const char *further) {
  if (further != NULL) return attack_with(name, argument, further);
  static const struct {
    const char *name;
    int (*act)(void);
    int (*act_on)(const char *path);
  } ATTACKS[] = {
      {"raw-socket", raw_socket, NULL},
      {"packet-socket", packet_socket, NULL},
      {"add-address", add_address, NULL},
      {"add-route", add_route, NULL},
      {"flush-nft", flush_nft, NULL},
      {"add-nft", add_nft, NULL},
      {"new-netns-route", new_netns_route, NULL},
      {"tun", tun, NULL},
      {"vsock-host", vsock_host, NULL},
      {"vsock-other", vsock_other, NULL},
      {"mount-remount", NULL, remount},
      {"unmount", NULL, unmount},
      {"userns-remount", NULL, userns_remount},
      {"userns-unmount", NULL, userns_unmount},
      {"ptrace-init", ptrace_init, NULL},
      {"write", NULL, write_path},
      {"rename", NULL, rename_path},
      {"read", NULL, open_to_read},
      {"kernel-write", kernel_write, NULL},
      {"icmp", icmp, NULL},
      {"udp", udp, NULL},
      {"udp6", udp6, NULL},
      {"quic", quic, NULL},
      {"ipv6-literal", ipv6_literal, NULL},
      {"load-module", load_module, NULL},
      {"kmsg", kmsg, NULL},
      {"block-device", block_device, NULL},
      {"proc-root", proc_root, NULL},
      {"signal-init", signal_init, NULL},
      {"control-socket", control_socket, NULL},
      {"control-as-nobody", control_as_nobody, NULL},
      {"keyring", keyring, NULL},
      {"own-routes", own_routes, NULL},
      {"ping", NULL, ping},
      {"unix", NULL, unix_socket},
      {"environment", NULL, environment_holds},
  };
  for (size_t at = 0; at < sizeof ATTACKS / sizeof *ATTACKS; at++) {
    if (strcmp(ATTACKS[at].name, name) != 0) continue;
    if (argument == NULL) return ATTACKS[at].act == NULL ? -1 : ATTACKS[at].act();
    return ATTACKS[at].act_on == NULL ? -1 : ATTACKS[at].act_on(argument);
  }
  return -1;
}
