#ifndef TALEA_SERVER_HTTP_EPOLL_H
#define TALEA_SERVER_HTTP_EPOLL_H
/*
 * epoll_ctl(2) and epoll_wait(2) as libh2o calls them, in the place of the C
 * library's. h2o takes a connection out of the set while its request is
 * answered, and puts it back for the next: two system calls for each request.
 * Here the first is put off until the connection has something to tell, which
 * it rarely has, and the second finds the connection where it was.
 *
 * What h2o sees is what epoll(7) says. If a libh2o does not call these, nothing
 * is lost but the gain. For a worker's one thread.
 */
#include <stdint.h>
#include <sys/epoll.h>

int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);
int epoll_wait(int epoll_fd, struct epoll_event *events, int room, int timeout_ms);

/* To be called for each descriptor before h2o gets it: another that had its number is forgotten. */
void http_epoll_new_fd(int fd);

/* Calls of epoll_ctl that needed no system call. */
uint64_t http_epoll_spared(void);

#endif
