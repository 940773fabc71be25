#include "server/http_epoll.h"

/*
 * The kernel is given a descriptor's number and the serial of its registration
 * in the place of h2o's pointer, which stands in a table here: an event of a
 * registration that is over can never reach a socket that is freed.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/report.h"

struct place {
    int epoll_fd;
    bool registered; /* the kernel has it */
    bool parked;     /* and h2o believes that it has not */
    uint32_t serial;
    uint32_t events;
    epoll_data_t data; /* h2o's */
};

static struct place *places; /* by descriptor */
static size_t place_count;
static uint64_t spared;

static struct place *place_of(int fd)
{
    if ((size_t)fd >= place_count) {
        size_t count = 2 * (size_t)fd + 64;
        places = reallocarray(places, count, sizeof *places);
        if (!places)
            report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
        for (size_t i = place_count; i < count; i++)
            places[i] = (struct place){.registered = false};
        place_count = count;
    }
    return &places[fd];
}

static int tell_kernel(int epoll_fd, int op, int fd, struct epoll_event *event)
{
    return (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
}

/* Registers it, or changes what is registered, with h2o's pointer kept here. */
static int set(struct place *place, int epoll_fd, int op, int fd, const struct epoll_event *event)
{
    uint32_t serial = op == EPOLL_CTL_ADD ? place->serial + 1 : place->serial;
    struct epoll_event ours = {.events = event->events, .data.u64 = (uint64_t)serial << 32 | (uint32_t)fd};
    if (tell_kernel(epoll_fd, op, fd, &ours) != 0)
        return -1;
    *place = (struct place){
        .epoll_fd = epoll_fd, .registered = true, .serial = serial, .events = event->events, .data = event->data};
    return 0;
}

static int add(struct place *place, int epoll_fd, int fd, const struct epoll_event *event)
{
    if (!place->parked || place->epoll_fd != epoll_fd)
        return set(place, epoll_fd, EPOLL_CTL_ADD, fd, event);
    if (place->events != event->events)
        return set(place, epoll_fd, EPOLL_CTL_MOD, fd, event);
    place->parked = false;
    place->data = event->data;
    spared += 2; /* this one, and the one when it was parked */
    return 0;
}

static int take_out(struct place *place, int epoll_fd, int fd)
{
    if (tell_kernel(epoll_fd, EPOLL_CTL_DEL, fd, NULL) != 0)
        return -1;
    place->registered = place->parked = false;
    return 0;
}

int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
    if (fd < 0) {
        errno = EBADF;
        return -1;
    }
    struct place *place = place_of(fd);
    switch (op) {
    case EPOLL_CTL_ADD:
        return add(place, epoll_fd, fd, event);
    case EPOLL_CTL_MOD:
        return set(place, epoll_fd, op, fd, event);
    default:
        if (!place->registered || place->parked || place->epoll_fd != epoll_fd)
            return take_out(place, epoll_fd, fd);
        place->parked = true;
        return 0;
    }
}

/* Turns the kernel's event into h2o's. False: h2o is not to see it. */
static bool translate(int epoll_fd, struct epoll_event *event)
{
    int fd = (int)(uint32_t)event->data.u64;
    struct place *place = place_of(fd);
    if (!place->registered || place->epoll_fd != epoll_fd || place->serial != event->data.u64 >> 32)
        return false;
    if (place->parked) {
        (void)take_out(place, epoll_fd, fd);
        return false;
    }
    event->data = place->data;
    return true;
}

int epoll_wait(int epoll_fd, struct epoll_event *events, int room, int timeout_ms)
{
    int count = epoll_pwait(epoll_fd, events, room, timeout_ms, NULL);
    int kept = 0;
    for (int i = 0; i < count; i++) {
        struct epoll_event event = events[i];
        if (translate(epoll_fd, &event))
            events[kept++] = event;
    }
    return count < 0 ? count : kept;
}

void http_epoll_new_fd(int fd)
{
    struct place *place = place_of(fd);
    place->registered = place->parked = false;
}

uint64_t http_epoll_spared(void)
{
    return spared;
}
