#ifndef TALEA_COMMON_SYSTEM_CALLS_H
#define TALEA_COMMON_SYSTEM_CALLS_H
/*
 * A seccomp filter for a process of talead: what it needs is allowed, all else
 * ends it.
 *
 * To end it, and not to let the call fail with EPERM: who got hold of a process
 * would try on, and a call that is missing in a list of ours would show as a
 * strange failure far from it. As it is the master replaces the process, what
 * was acknowledged is durable, and one line names the call; TALEA_SECCOMP turns
 * filters off until the list is mended. Newer forms of calls, for which the C
 * library has an older one to fall back to, fail with ENOSYS, so that a new C
 * library is no reason to die.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <seccomp.h>

/*
 * Allowed when (argument & mask) == value; with mask 0 always. A call may have
 * several rows. Arguments are told to the filter as they are, pointers unread.
 */
struct allowed_call {
    int number; /* SCMP_SYS(name) */
    unsigned argument;
    uint64_t mask, value;
};

#define ALLOW_CALL(name) {SCMP_SYS(name), 0, 0, 0}

struct allowed_calls {
    const struct allowed_call *all;
    size_t count;
};

/*
 * Lets the calling process, all that it forks and all threads that it starts
 * from now on, have what every process of talead needs and what the lists say.
 * For good. Whoever calls another writes its number to *forbidden and exits
 * with EXIT_STATUS_FORBIDDEN_CALL. 0 or errno: there is no filter.
 */
int system_calls_confine(const struct allowed_calls *lists, size_t list_count, _Atomic int32_t *forbidden)
    __attribute__((warn_unused_result));

/* "execve", or its number as text when nothing of that number is known. */
#define SYSTEM_CALL_NAME_MAX 40
void system_call_name(int32_t number, char out[static SYSTEM_CALL_NAME_MAX]);

#endif
