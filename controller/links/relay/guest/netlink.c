/*
 * The guest's addresses and routes: loopback up, a documentation address of each family on it, and every address
 * of the world local to the guest, so that a connection to anywhere ends in the guest itself.
 */
#include "netlink-message.h"
#include "relay.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

static int loopback_up(void) {
  struct message message = {0};
  message_begin(&message, RTM_NEWLINK, NLM_F_ACK);
  struct ifinfomsg *link = message_room(&message, sizeof *link);
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = (int)if_nametoindex("lo");
  link->ifi_flags = IFF_UP;
  link->ifi_change = IFF_UP;
  message_end(&message);
  return message_send(&message, NETLINK_ROUTE);
}

static int add_address(const char *text) {
  struct message message = {0};
  struct place place;
  if (!parse_address(text, &place)) return EINVAL;
  size_t width = place.six ? 16 : 4;
  message_begin(&message, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  struct ifaddrmsg *address = message_room(&message, sizeof *address);
  address->ifa_family = place.six ? AF_INET6 : AF_INET;
  address->ifa_prefixlen = place.six ? 128 : 32;
  address->ifa_flags = place.six ? IFA_F_NODAD : 0;
  address->ifa_scope = RT_SCOPE_UNIVERSE;
  address->ifa_index = if_nametoindex("lo");
  message_attribute(&message, IFA_LOCAL, place.address, width);
  message_attribute(&message, IFA_ADDRESS, place.address, width);
  message_end(&message);
  return message_send(&message, NETLINK_ROUTE);
}

/* `local default dev lo`, from the own address: else each connection would come from where it goes to. */
static int make_world_local(const char *source) {
  struct message message = {0};
  struct place place;
  if (!parse_address(source, &place)) return EINVAL;
  uint32_t index = if_nametoindex("lo");
  message_begin(&message, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  struct rtmsg *route = message_room(&message, sizeof *route);
  route->rtm_family = place.six ? AF_INET6 : AF_INET;
  route->rtm_table = RT_TABLE_LOCAL;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_scope = RT_SCOPE_HOST;
  route->rtm_type = RTN_LOCAL;
  message_attribute(&message, RTA_OIF, &index, sizeof index);
  message_attribute(&message, RTA_PREFSRC, place.address, place.six ? 16 : 4);
  message_end(&message);
  return message_send(&message, NETLINK_ROUTE);
}

struct route_setup set_up_routes(void) {
  struct route_setup done = {0};
  if (loopback_up() != 0) return done;
  done.permitted = true;
  done.four = add_address(OWN_ADDRESS4) == 0 && make_world_local(OWN_ADDRESS4) == 0;
  /* A kernel may be without IPv6; the IPv4 half does not depend on it. */
  done.six = add_address(OWN_ADDRESS6) == 0 && make_world_local(OWN_ADDRESS6) == 0;
  return done;
}
