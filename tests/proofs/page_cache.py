"""What the kernel holds of a file in memory, by cachestat(2)."""
import ctypes
import os

CACHESTAT = 451  # Linux 6.5; the C library has no name for it yet
LIBC = ctypes.CDLL(None, use_errno=True)


def page_counts(fd):
    """(pages in memory, pages that are dirty), or None when this kernel does not tell."""
    whole, counts = (ctypes.c_uint64 * 2)(0, 0), (ctypes.c_uint64 * 5)()
    return (counts[0], counts[1]) if LIBC.syscall(CACHESTAT, fd, whole, counts, 0) == 0 else None


def forget(path):
    """All of a file but what somebody has mapped and looked at."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)
