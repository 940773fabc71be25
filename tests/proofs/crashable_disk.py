"""A file system in an image file that forgets, on command, all that was not synced: a power cut without the machine.

The ioctl that shuts ext4 and xfs down drops the journal's memory, and what is dirty in the page cache never reaches the
image any more. Unmounted and mounted again, the file system recovers as after a reset.
"""
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile

from harness import wait_until
from page_cache import page_counts

GOINGDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN
NO_LOG_FLUSH = struct.pack("I", 2)
SIZES = {"ext4": 256 << 20, "xfs": 512 << 20}  # sparse; xfs wants 300 MB at least
PAGE = 4096
MKFS = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}


def command(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stdout.strip()[-300:] or done.returncode}")
    return done.stdout


class Disk:
    def __init__(self, kind):
        self.folder = tempfile.mkdtemp(prefix=f"talea-{kind}-")
        self.kind = kind
        self.image = os.path.join(self.folder, "image")
        self.point = os.path.join(self.folder, "mounted")
        self.mounted = False
        os.mkdir(self.point)

    def make(self):
        with open(self.image, "wb") as f:
            f.truncate(SIZES[self.kind])
        command(*MKFS[self.kind], self.image)
        self.mount()

    def mount(self):
        command("mount", "-o", "loop", self.image, self.point)
        self.mounted = True

    def pull_plug(self):
        folder = os.open(self.point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, GOINGDOWN, NO_LOG_FLUSH)
        finally:
            os.close(folder)

    def unmount(self):
        """Also the loop device goes with the last user of the mount, who may be dying still."""
        def attempt():
            try:
                command("umount", self.point)
                return True
            except OSError:
                return False
        wait_until(attempt, f"{self.point} to be unmounted", 20)
        self.mounted = False
        wait_until(lambda: not command("losetup", "-j", self.image), f"the loop device of {self.image} to be detached", 20)

    def close(self, keep=False):
        if self.mounted:
            self.unmount()
        if not keep:
            shutil.rmtree(self.folder)


def why_not(kind):
    """None when such a disk can be made, mounted and shut down here."""
    if os.geteuid() != 0:
        return "not root"
    for program in (MKFS[kind][0], "mount", "umount", "losetup"):
        if not shutil.which(program):
            return f"there is no {program}"
    disk = Disk(kind)
    try:
        disk.make()
        disk.pull_plug()
        return None
    except OSError as error:
        return f"{kind} cannot be made, mounted on a loop device and shut down: {error}"
    finally:
        disk.close()


def open_newest(folder):
    """Descriptors of the two files of each folder that were written last; the others are synced long since."""
    for root, _, names in os.walk(folder):
        entries = [entry for entry in os.scandir(root) if entry.name in names and entry.is_file()]
        for entry in sorted(entries, key=lambda e: e.stat().st_mtime)[-2:]:
            file = os.open(entry.path, os.O_RDONLY)
            try:
                yield file
            finally:
                os.close(file)


def has_dirty_pages(folder):
    """Is anything written there and not synced? None when this kernel does not tell, or the files change just now."""
    try:
        for file in open_newest(folder):
            counts = page_counts(file)
            if counts is None:
                return None
            if counts[1]:
                return True
    except OSError:
        return None
    return False


def ranges_to_write(size, rng):
    """Nothing, a few pieces, or each page or not."""
    pages = range(0, size, PAGE)
    if not pages:
        return []
    return rng.choice([[], rng.choices(pages, k=3), [p for p in pages if rng.random() < 0.5]])


def write_back_some(folder, rng):
    """Starts writing some dirty pages of any file, as the kernel may do at any moment and in any order."""
    try:
        for file in open_newest(folder):
            for offset in ranges_to_write(os.fstat(file).st_size, rng):
                os.posix_fadvise(file, offset, PAGE, os.POSIX_FADV_DONTNEED)
    except OSError:  # a file was renamed or removed under us: the others are for another time
        return
