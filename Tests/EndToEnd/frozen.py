"""One thread of a process, stopped as by a fault of its own while the others run on (ptrace)."""

import ctypes
import os
import pathlib

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
ANY_THREAD = 0x40000000  # __WALL
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, thread):
    if _libc.ptrace(request, thread, None, None) == -1:
        raise OSError(ctypes.get_errno(), f"ptrace({request:#x}): {os.strerror(ctypes.get_errno())}")


def thread_of(process, name):
    """The id of the thread that is called `name`."""
    for task in pathlib.Path(f"/proc/{process}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise AssertionError(f"process {process} has no thread {name}")


class Frozen:
    """The thread `name` of `process` stands still inside the block. The block has to run on the thread that made it."""

    def __init__(self, process, name):
        self.thread = thread_of(process, name)
        self.ended = False

    def __enter__(self):
        _ptrace(SEIZE, self.thread)
        _ptrace(INTERRUPT, self.thread)
        os.waitpid(self.thread, ANY_THREAD)
        return self

    def is_gone(self):
        """Whether the thread has ended, as with its process: which nobody can wait for before it was asked here."""
        if not self.ended:
            self.ended = os.waitpid(self.thread, ANY_THREAD | os.WNOHANG)[0] == self.thread
        return self.ended

    def __exit__(self, *_):
        if not self.is_gone():
            _ptrace(DETACH, self.thread)
