#ifndef TALEA_SERVER_PEER_ADDRESS_H
#define TALEA_SERVER_PEER_ADDRESS_H
/*
 * Where a connection comes from, as far as limits go by it: an IPv4 address;
 * the /64 of an IPv6 address, since whoever has one has them all; or this
 * machine, by a Unix socket, which has no addresses.
 */
#include <stdint.h>
#include <sys/socket.h>

#define PEER_ADDRESS_TEXT_MAX 56

/* Without padding: it is hashed as it lies. What the family does not use is 0. */
struct peer_address {
    uint8_t octets[16];
    uint8_t family; /* 4, 6, or 0: a Unix socket */
};

/* Also of an IPv4 address that is written as an IPv6 one. `address` may be of any family. */
void peer_address_of(const struct sockaddr *address, struct peer_address *out);

uint64_t peer_address_hash(const struct peer_address *address, uint64_t seed);

/* "192.0.2.1", "2001:db8::/64", "a Unix socket" */
void peer_address_format(const struct peer_address *address, char out[static PEER_ADDRESS_TEXT_MAX]);

#endif
