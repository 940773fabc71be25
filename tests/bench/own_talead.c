#include "tests/bench/own_talead.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/say.h"

#define LISTEN_FD 3
#define OWN_ENTRIES 3
#define ENTRY_MAX (4096 + 64)
#define STOP_TRIES 9000 /* of 10 ms */

extern char **environ;

/* What is needed of after the fork is made before it. */
struct launch {
    char **environment;
    char own[OWN_ENTRIES][ENTRY_MAX]; /* the last one is LISTEN_PID's, which the child fills in */
    char program[PATH_MAX], log[4096 + 16];
    int listen_fd;
    pid_t parent;
};

static int fail(const char *what, const char *where)
{
    int error = errno;
    say("%s %s: %s", what, where, strerror(error));
    return error;
}

/* --- preparing --- */

static bool is_for_others(const char *entry)
{
    return strncmp(entry, "TALEA_", 6) == 0 || strncmp(entry, "LISTEN_", 7) == 0;
}

/* Ours without what would be a setting, then its own, then what --set says. */
static void make_environment(struct launch *l, const struct own_talead *t, const struct options *o)
{
    size_t count = 0, at = 0;
    while (environ[count])
        count++;
    l->environment = need(count + OWN_ENTRIES + SETS_MAX + 1, sizeof *l->environment);
    for (size_t i = 0; i < count; i++)
        if (!is_for_others(environ[i]))
            l->environment[at++] = environ[i];
    snprintf(l->own[0], ENTRY_MAX, "TALEA_DB_URL=log://%s/ledger", t->home);
    snprintf(l->own[1], ENTRY_MAX, "LISTEN_FDS=1");
    for (size_t i = 0; i < OWN_ENTRIES; i++)
        l->environment[at++] = l->own[i];
    for (size_t i = 0; o->set[i]; i++)
        l->environment[at++] = (char *)o->set[i];
}

/* The one that was built or installed beside this program, else PATH's. */
static void find_program(struct launch *l, const struct options *o)
{
    ssize_t n = readlink("/proc/self/exe", l->program, sizeof l->program - sizeof "talead");
    char *slash = n > 0 ? memrchr(l->program, '/', (size_t)n) : NULL;
    if (slash)
        strcpy(slash + 1, "talead");
    if (o->talead && realpath(o->talead, l->program))
        return;
    if (o->talead || !slash || access(l->program, X_OK) != 0)
        snprintf(l->program, sizeof l->program, "%s", o->talead ? o->talead : "talead");
}

static int make_home(struct own_talead *t, const struct options *o)
{
    const char *temporary = getenv("TMPDIR"), *where = o->dir ? o->dir : temporary && temporary[0] ? temporary : "/tmp";
    char *whole = realpath(where, NULL);
    if (!whole)
        return fail("--dir", where);
    snprintf(t->home, sizeof t->home, "%s/talea-bench-XXXXXX", whole);
    free(whole);
    if (mkdtemp(t->home))
        return 0;
    int error = fail("cannot make", t->home);
    t->home[0] = '\0';
    return error;
}

static int listen_on_loopback(struct target *target, int *fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char url[64];
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0 || bind(*fd, (struct sockaddr *)&address, size) != 0 || listen(*fd, 4096) != 0 ||
        getsockname(*fd, (struct sockaddr *)&address, &size) != 0)
        return fail("cannot listen on", "127.0.0.1");
    snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    return target_parse(target, url);
}

/* --- the child --- */

_Noreturn static void become_talead(struct launch *l, const struct own_talead *t)
{
    /* Ends with this program; a group of its own, so that Ctrl-C is this program's to handle. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int out = open(l->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool good = getppid() == l->parent && out >= 0 && in >= 0 && chdir(t->home) == 0 && dup2(in, 0) == 0 &&
                dup2(out, 1) == 1 && dup2(out, 2) == 2;
    int listening = fcntl(l->listen_fd, F_DUPFD, LISTEN_FD + 1); /* it may be 3 already, and then dup2 would not do */
    if (good && listening >= 0 && dup2(listening, LISTEN_FD) == LISTEN_FD) {
        close(listening);
        snprintf(l->own[OWN_ENTRIES - 1], ENTRY_MAX, "LISTEN_PID=%d", (int)getpid());
        char *arguments[] = {l->program, (char *)"serve", NULL};
        execvpe(l->program, arguments, l->environment);
    }
    dprintf(2, "cannot start %s: %s\n", l->program, strerror(errno));
    _exit(127);
}

static int start(struct launch *l, struct own_talead *t)
{
    sigset_t none;
    sigemptyset(&none);
    l->parent = getpid();
    t->pid = fork();
    if (t->pid == 0) {
        sigprocmask(SIG_SETMASK, &none, NULL);
        become_talead(l, t);
    }
    close(l->listen_fd);
    if (t->pid > 0)
        return 0;
    t->pid = 0;
    return fail("cannot start", l->program);
}

/* The end of what it said: why it did not start. */
static void tell_last_line(const struct own_talead *t)
{
    char path[4096 + 16], line[1000], last[1000] = "nothing";
    snprintf(path, sizeof path, "%s/talead.log", t->home);
    FILE *log = fopen(path, "re");
    while (log && fgets(line, sizeof line, log))
        snprintf(last, sizeof last, "%.*s", (int)strcspn(line, "\n"), line);
    if (log)
        fclose(log);
    say("talead does not serve; it said: %s", last);
}

static int wait_until_it_serves(const struct own_talead *t, const struct target *target)
{
    struct text answer;
    int status, error = target_ask(target, "/health", NULL, &status, &answer);
    if (!error)
        free(answer.base);
    else if (!interrupted)
        tell_last_line(t);
    return error;
}

int own_talead_start(struct own_talead *t, const struct options *o, struct target *target)
{
    struct launch *l = need(1, sizeof *l);
    *t = (struct own_talead){.keep = o->keep};
    int error = make_home(t, o);
    error = error ? error : listen_on_loopback(target, &l->listen_fd);
    if (!error) {
        snprintf(l->log, sizeof l->log, "%s/talead.log", t->home);
        find_program(l, o);
        make_environment(l, t, o);
        error = start(l, t);
        free(l->environment);
    }
    free(l);
    return error ? error : wait_until_it_serves(t, target);
}

/* --- the end --- */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    return remove(path);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    for (int i = 0; i < STOP_TRIES; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

bool own_talead_stop(struct own_talead *t)
{
    int status = 0;
    if (t->pid > 0) {
        kill(t->pid, SIGTERM);
        status = wait_for(t->pid);
        if (status != 0)
            say("talead did not stop well: %s %d; see %s/talead.log", WIFSIGNALED(status) ? "signal" : "exit status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), t->home);
    }
    if (t->home[0] && t->keep)
        fprintf(stderr, "talea-bench: the ledger is in %s/ledger\n", t->home);
    else if (t->home[0] && status == 0)
        nftw(t->home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    t->pid = 0;
    return status == 0;
}
