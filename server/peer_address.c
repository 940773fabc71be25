#include "server/peer_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#define NETWORK_OCTETS 8

_Static_assert(sizeof(struct peer_address) == 17, "no padding");

static void of_ipv6(const struct in6_addr *address, struct peer_address *out)
{
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        out->family = 4;
        memcpy(out->octets, address->s6_addr + 12, 4);
        return;
    }
    out->family = 6;
    memcpy(out->octets, address->s6_addr, NETWORK_OCTETS);
}

void peer_address_of(const struct sockaddr *address, struct peer_address *out)
{
    *out = (struct peer_address){.family = 0};
    if (address->sa_family == AF_INET) {
        out->family = 4;
        memcpy(out->octets, &((const struct sockaddr_in *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        of_ipv6(&((const struct sockaddr_in6 *)address)->sin6_addr, out);
    }
}

uint64_t peer_address_hash(const struct peer_address *address, uint64_t seed)
{
    return XXH3_64bits_withSeed(address, sizeof *address, seed);
}

void peer_address_format(const struct peer_address *address, char out[static PEER_ADDRESS_TEXT_MAX])
{
    char text[INET6_ADDRSTRLEN] = "";
    if (address->family != 0)
        (void)inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->octets, text, sizeof text);
    snprintf(out, PEER_ADDRESS_TEXT_MAX, "%s%s", address->family ? text : "a Unix socket",
             address->family == 6 ? "/64" : "");
}
