/*
 * Loaded before liblmdb (LD_PRELOAD) where talead runs under valgrind, which has
 * no 1 TiB of address space for the map of the idempotency keys: whoever asks
 * for so large a map gets one of 8 GiB. Nothing else changes.
 */
#include <dlfcn.h>
#include <lmdb.h>

#define MOST_BYTES (8ull << 30)

typedef int set_mapsize(MDB_env *env, size_t bytes);

int mdb_env_set_mapsize(MDB_env *env, size_t bytes)
{
    set_mapsize *lmdbs_own;
    *(void **)&lmdbs_own = dlsym(RTLD_NEXT, "mdb_env_set_mapsize");
    return lmdbs_own(env, bytes < MOST_BYTES ? bytes : MOST_BYTES);
}
