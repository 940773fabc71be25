#ifndef TALEA_TESTS_SCRATCH_DIR_H
#define TALEA_TESTS_SCRATCH_DIR_H
/* A directory of its own for each test; cmocka setup and teardown. *state is its path. Include it after cmocka.h. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline int scratch_dir_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline int scratch_dir_setup(void **state)
{
    const char *base = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/talea-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(path))
        return -1;
    *state = strdup(path);
    return *state ? 0 : -1;
}

static inline int scratch_dir_teardown(void **state)
{
    nftw(*state, scratch_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return 0;
}

/* The same for a whole group, with the directory as working directory. */
static inline int scratch_dir_enter(void **state)
{
    return scratch_dir_setup(state) == 0 && chdir(*state) == 0 ? 0 : -1;
}

static inline int scratch_dir_leave(void **state)
{
    return chdir("/") == 0 ? scratch_dir_teardown(state) : -1;
}

static inline void scratch_dir_write(const char *name, const void *bytes, size_t length)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

#endif
