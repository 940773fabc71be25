/*
 * The forms of settings that have parts: addresses and the ledger's URL.
 * Nothing is resolved or opened here.
 */
#include "common/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/report.h"

#define HOST_LENGTH_MAX 253 /* of a DNS name */
#define PORT_MAX 65535
#define DB_URL_SCHEME "log://"
#define ORIGIN_LENGTH_MAX 300
#define ORIGIN_SEPARATORS ", "

static char *duplicate_bytes(const char *base, size_t length)
{
    char *copy = strndup(base, length);
    if (!copy)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory reading the settings");
    return copy;
}

static bool is_port(const char *text)
{
    size_t length = strspn(text, "0123456789");
    return length >= 1 && length <= 5 && text[length] == '\0' && strtoul(text, NULL, 10) <= PORT_MAX;
}

static bool is_host_name(const char *host, size_t length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    return length >= 1 && length <= HOST_LENGTH_MAX && strspn(host, allowed) >= length;
}

/* An IPv6 address as it stands in brackets, perhaps with a zone: fe80::1%eth0. */
static bool is_ipv6(const char *host, size_t length)
{
    char text[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
    struct in6_addr address;
    if (length >= sizeof text)
        return false;
    memcpy(text, host, length);
    text[length] = '\0';
    char *zone = strchr(text, '%');
    if (zone) {
        *zone++ = '\0';
        if (!is_host_name(zone, strlen(zone)))
            return false;
    }
    return inet_pton(AF_INET6, text, &address) == 1;
}

int settings_split_address(const char *text, char **host, char **port)
{
    const char *colon = strrchr(text, ':');
    if (!colon || !is_port(colon + 1))
        return EINVAL;
    size_t length = (size_t)(colon - text);
    bool bracketed = text[0] == '[' && colon[-1] == ']';
    if (bracketed) {
        text++;
        length -= 2;
    }
    if (bracketed ? !is_ipv6(text, length) : !is_host_name(text, length))
        return EINVAL;
    *host = duplicate_bytes(text, length);
    *port = duplicate_bytes(colon + 1, strlen(colon + 1));
    return 0;
}

/* scheme://host or scheme://host:port, as browsers send it: without a path, not even a slash. */
static bool is_origin(const char *text, size_t length)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char of_scheme[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
    char copy[ORIGIN_LENGTH_MAX + 1];
    if (length > ORIGIN_LENGTH_MAX)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    size_t scheme_length = strspn(copy, of_scheme);
    if (!strchr(letters, copy[0]) || strncmp(copy + scheme_length, "://", 3) != 0)
        return false;
    char *host = copy + scheme_length + 3, *end = strrchr(host, ']');
    char *port = strchr(end ? end : host, ':');
    if (port) {
        *port++ = '\0';
        if (!is_port(port))
            return false;
    }
    size_t host_length = strlen(host);
    if (host[0] == '[')
        return host_length > 2 && host[host_length - 1] == ']' && is_ipv6(host + 1, host_length - 2);
    return is_host_name(host, host_length);
}

int settings_check_origins(const char *text, char *wrong, size_t wrong_size)
{
    size_t count = 0;
    if (strcmp(text, "*") == 0)
        return 0;
    for (const char *p = text + strspn(text, ORIGIN_SEPARATORS); *p; p += strspn(p, ORIGIN_SEPARATORS)) {
        size_t length = strcspn(p, ORIGIN_SEPARATORS);
        snprintf(wrong, wrong_size, "%.*s", (int)length, p);
        if (!is_origin(p, length))
            return EINVAL;
        p += length;
        count++;
    }
    if (count == 0)
        snprintf(wrong, wrong_size, "%s", text);
    return count ? 0 : EINVAL;
}

/* Of the URL no more than its scheme is shown: another program's may hold a password. */
int settings_parse_db_url(const char *url, char **data_dir, char *error, size_t error_size)
{
    size_t scheme_length = strlen(DB_URL_SCHEME);
    if (strncmp(url, DB_URL_SCHEME, scheme_length) != 0) {
        size_t shown = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
        if (shown > 0 && shown <= 20 && strncmp(url + shown, "://", 3) == 0)
            snprintf(error, error_size, "%.*s:// is not supported, must be such as log:///var/lib/talea",
                     (int)shown, url);
        else
            snprintf(error, error_size, "must begin with log://, such as log:///var/lib/talea");
        return EINVAL;
    }
    const char *dir = url + scheme_length;
    size_t length = strlen(dir);
    if (length == 0) {
        snprintf(error, error_size, "names no directory, must be such as log:///var/lib/talea");
        return EINVAL;
    }
    while (length > 1 && dir[length - 1] == '/')
        length--;
    *data_dir = duplicate_bytes(dir, length);
    return 0;
}
