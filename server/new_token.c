#include "server/new_token.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/uuid7.h"

void new_token(char out[static NEW_TOKEN_TEXT_MAX])
{
    uint8_t octets[NEW_TOKEN_OCTETS];
    random_fill(octets, sizeof octets);
    for (size_t i = 0; i < sizeof octets; i++)
        snprintf(out + 2 * i, 3, "%02x", octets[i]);
    explicit_bzero(octets, sizeof octets);
}
