"""The installed command without its start-up: one process imports what is heavy and is copied for each command.

A copy begins with the words, the folder, the environment and the open files of whoever asks, as a new process would,
and ends with its exit code. What depends on the start-up itself is tested with `program`, the installed command.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLIENT = """\
#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
server.sendall(asked)
sys.exit(int(server.recv(8) or b"1"))
"""


@contextmanager
def program(folder: Path, installed: str) -> Iterator[Path]:
    """A program that stands for the installed command.

    Args:
        folder: an empty one, of a short path.
        installed: the command itself, which copies start where they want further processes.
    """
    address = str(folder / "socket")
    client = folder / "rnn-lightning"
    client.write_text(_CLIENT.format(python=sys.executable, address=address), "utf-8")
    client.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        words = [sys.executable, __file__, str(listener.fileno()), installed]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])
    with process:
        yield client  # the end of its standard input is the end of the process


def _serve(listener: socket.socket, installed: str) -> None:
    import rnn_lightning.cli.fit
    import rnn_lightning.cli.score  # noqa: F401

    gc.freeze()  # what is never looked at is never copied
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        asking, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            copy = os.fork()
            if copy == 0:
                listener.close()
                _become(asking, installed)
                return
            code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
            asking.sendall(str(code if code >= 0 else 128 - code).encode())
            os._exit(0)
        asking.close()


def _become(asking: socket.socket, installed: str) -> None:
    """Makes this copy what a process would be that had just been started by whoever asks."""
    size, files, _, _ = socket.recv_fds(asking, 8, 3)
    with asking.makefile("rb") as stream:
        words, folder, environment = json.loads(stream.read(int.from_bytes(size, "big")))
    asking.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [installed, *words]
    further = [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place not in ("", *sys.path)]
    sys.path[:1] = [str(Path(installed).parent), *further]


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
    if sys.argv[0] != __file__:
        from rnn_lightning.cli import main

        sys.exit(main())
