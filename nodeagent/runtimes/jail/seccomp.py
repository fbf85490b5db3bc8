"""A list of the system calls that a runtime needs; every other one is refused with EPERM.

``seccomp(2)``, ``linux/filter.h``. The list was made from what Python, onnx, numpy and Node call, and holds nothing
that opens a socket, looks into or signals another process, makes namespaces, mounts, changes owners or modes, or
reaches the kernel's larger subsystems (bpf, io_uring, keys, perf, userfaultfd).
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .system import prctl

# name, number on x86-64, number on arm64
_CALLS = """
read 0 63  readv 19 65  pread64 17 67  write 1 64  writev 20 66  pwrite64 18 68  close 3 57  close_range 436 436
open 2 -  openat 257 56  openat2 437 437  lseek 8 62  stat 4 -  fstat 5 80  lstat 6 -  newfstatat 262 79  statx 332 291
access 21 -  faccessat 269 48  faccessat2 439 439  readlink 89 -  readlinkat 267 78  getdents 78 -  getdents64 217 61
getcwd 79 17  chdir 80 49  fchdir 81 50  dup 32 23  dup2 33 -  dup3 292 24  flock 73 32  pipe 22 -  pipe2 293 59
poll 7 -  ppoll 271 73  select 23 -  pselect6 270 72  epoll_create 213 -  epoll_create1 291 20  epoll_ctl 233 21
epoll_wait 232 -  epoll_pwait 281 22  epoll_pwait2 441 441  eventfd2 290 19  statfs 137 43  fstatfs 138 44
fsync 74 82  fdatasync 75 83  ftruncate 77 46  fallocate 285 47  fadvise64 221 223  umask 95 166
mkdir 83 -  mkdirat 258 34  unlink 87 -  unlinkat 263 35  rmdir 84 -  rename 82 -  renameat 264 38  renameat2 316 276
munmap 11 215  mremap 25 216  mprotect 10 226  madvise 28 233  brk 12 214  msync 26 227  mincore 27 232
membarrier 324 283  pkey_mprotect 329 288  pkey_alloc 330 289  pkey_free 331 290
vfork 58 -  fork 57 -  execve 59 221  exit 60 93  exit_group 231 94  wait4 61 260  waitid 247 95
set_tid_address 218 96  set_robust_list 273 99  get_robust_list 274 100  rseq 334 293  futex 202 98
gettid 186 178  getpid 39 172  getppid 110 173  getpgrp 111 -  getpgid 121 155  getsid 124 156
getuid 102 174  geteuid 107 175  getgid 104 176  getegid 108 177  getgroups 115 158  getresuid 118 148
getresgid 120 150  capget 125 90  arch_prctl 158 -  getrlimit 97 163  getrusage 98 165  sysinfo 99 179  uname 63 160
times 100 153  rt_sigaction 13 134  rt_sigprocmask 14 135  rt_sigreturn 15 139  rt_sigsuspend 130 133
rt_sigtimedwait 128 137  rt_sigpending 127 136  sigaltstack 131 132  restart_syscall 219 128  pause 34 -
nanosleep 35 101  clock_nanosleep 230 115  clock_gettime 228 113  clock_getres 229 114  gettimeofday 96 169  time 201 -
alarm 37 -  setitimer 38 103  getitimer 36 102  timer_create 222 107  timer_settime 223 110  timer_gettime 224 108
timer_getoverrun 225 109  timer_delete 226 111  timerfd_create 283 85  timerfd_settime 286 86  timerfd_gettime 287 87
sched_yield 24 124  sched_getaffinity 204 123  sched_getparam 143 121  sched_getscheduler 145 120  getcpu 309 168
sched_get_priority_max 146 125  sched_get_priority_min 147 126  getpriority 140 141  getrandom 318 278
"""
_SIGNALS = "kill 62 129  tkill 200 130  tgkill 234 131"
# TCGETS, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: nothing that types into a terminal or drives a device
_IOCTLS = (0x5401, 0x541B, 0x5421, 0x5450, 0x5451)
# PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_SET_VMA
_PRCTLS = (3, 15, 16, 23, 0x53564D41)
# F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY: a descriptor would send signals; F_SETPIPE_SZ
_FCNTLS = (8, 10, 15, 1024, 1026, 1031)
# CLONE_NEW*: all namespaces, time's too; CLONE_PARENT: children that the agent would have to bury
_NO_CLONE = 0x7E020080 | 0x8000

_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_SET_SECCOMP, _FILTER, _NO_NEW_PRIVS = 22, 2, 38
_REFUSE, _UNKNOWN = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


@dataclass(frozen=True, slots=True)
class _Instruction:
    code: int
    yes: int
    no: int
    value: int


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def supported() -> bool:
    """Whether the list has this machine's numbers."""
    return platform.machine() in _MACHINES


def program(machine: str, signals: bool) -> bytes:
    """The filter as an array of ``struct sock_filter``; with ``signals`` processes may send some.

    Raises KeyError for another machine than x86_64 and aarch64.
    """
    column, audit = _MACHINES[machine]
    steps = [_load(_ARCH), *_unless(audit, _KILL), _load(_NR)]
    if machine == "x86_64":
        steps += [_Instruction(_AT_LEAST, 0, 1, _X32), _give(_REFUSE)]
    for number in _numbers(_CALLS + (_SIGNALS if signals else ""), column):
        steps += [*_if(number), _give(_ALLOW)]
    for numbers, body in _conditional():
        steps += [_Instruction(_EQUAL, 0, len(body), numbers[column]), *body]
    steps.append(_give(_REFUSE))
    return b"".join(struct.pack("<HBBI", step.code, step.yes, step.no, step.value) for step in steps)


def install(signals: bool) -> None:
    """Refuse this thread, and what it starts, everything that is not in the list. Raises OSError."""
    code = program(platform.machine(), signals)
    held = ctypes.create_string_buffer(code, len(code))
    wanted = _Program(len(code) // 8, ctypes.addressof(held))
    prctl(_NO_NEW_PRIVS, 1)
    prctl(_SET_SECCOMP, _FILTER, ctypes.byref(wanted))


def _conditional() -> Iterator[tuple[tuple[int, int], list[_Instruction]]]:
    """Numbers, and what follows when a call has one of them."""
    yield (16, 29), _only(1, _IOCTLS)
    yield (157, 167), _only(0, _PRCTLS)
    yield (302, 261), _only(0, (0,))  # prlimit64: of the caller itself
    yield (
        (72, 25),
        [_argument(1), *(step for command in _FCNTLS for step in (*_if(command), _give(_REFUSE))), _give(_ALLOW)],
    )
    yield (56, 220), [_argument(0), _Instruction(_ANY_BIT, 0, 1, _NO_CLONE), _give(_REFUSE), _give(_ALLOW)]
    # mmap: the limit on memory counts neither stacks that grow nor anonymous memory that is shared
    grows, shared, anonymous = (
        _Instruction(_ANY_BIT, 0, skip, bit) for skip, bit in ((1, 0x100), (2, 0x01), (1, 0x20))
    )
    yield (9, 222), [_argument(3), grows, _give(_REFUSE), shared, anonymous, _give(_REFUSE), _give(_ALLOW)]
    yield (435, 435), [_give(_UNKNOWN)]  # clone3 hides its flags: C libraries fall back to clone


def _only(argument: int, values: tuple[int, ...]) -> list[_Instruction]:
    checks = [step for value in values for step in (*_if(value), _give(_ALLOW))]
    return [_argument(argument), *checks, _give(_REFUSE)]


def _numbers(table: str, column: int) -> list[int]:
    words = table.split()
    chosen = words[1 + column :: 3]
    return [int(word) for word in chosen if word != "-"]


def _load(offset: int) -> _Instruction:
    return _Instruction(_LOAD, 0, 0, offset)


def _argument(index: int) -> _Instruction:
    return _load(_ARGUMENTS + 8 * index)


def _give(action: int) -> _Instruction:
    return _Instruction(_RETURN, 0, 0, action)


def _if(value: int) -> list[_Instruction]:
    """Do the next step only when equal."""
    return [_Instruction(_EQUAL, 0, 1, value)]


def _unless(value: int, action: int) -> list[_Instruction]:
    return [_Instruction(_EQUAL, 1, 0, value), _give(action)]
