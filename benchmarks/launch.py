"""Runs one command and writes what it cost to a file: wall s, CPU s, peak bytes, exit status.

    python -I -S launch.py REPORT COMMAND [ARGUMENT…]

A program of its own because the kernel counts the memory of the process that started a command as
the command's own peak: so the parent must be smaller than anything it measures.
"""

import os
import sys
import time


def main(report: str, *command: str) -> None:
    started = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    cpu = usage.ru_utime + usage.ru_stime
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    with open(report, "w") as file:
        print(wall, cpu, peak, os.waitstatus_to_exitcode(status), file=file)


if __name__ == "__main__":
    main(*sys.argv[1:])
