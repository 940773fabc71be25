#include "common/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void process_set_oom_score(int score)
{
    int now = 0;
    FILE *file = fopen("/proc/self/oom_score_adj", "r+e");
    if (!file)
        return;
    if (fscanf(file, "%d", &now) == 1 && now < score) {
        rewind(file);
        fprintf(file, "%d", score);
    }
    fclose(file);
}

uint64_t process_cpu_ns(pid_t pid)
{
    char path[64], text[1024];
    uint64_t user, kernel;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[length] = '\0';
    /* Behind the name, which may hold anything: state, then fields 4 to 13, then utime and stime. */
    const char *rest = strrchr(text, ')');
    if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user, &kernel) != 2)
        return 0;
    return (user + kernel) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}
