"""A script that runs a command and kills its process group as soon as whoever started the script is gone.

Its stdin is a pipe that nothing is ever written to: the system closes it with the process at the other end, however
that one ends. It imports nothing of this package, so that it is there within milliseconds.
"""

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Run the command and end as it did, by its exit status or its signal."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_the_parent, args=(child,), daemon=True).start()
    status = child.wait()
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _end_with_the_parent(child: subprocess.Popen) -> None:
    os.read(0, 1)
    if os.name == "nt":
        child.kill()
    else:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
