"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket file, without a network."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OWNER = "postgres"
"""PostgreSQL refuses to run as root; Debian's package makes this user."""


@contextmanager
def server() -> Iterator[str]:
    """A running server's folder, which is also where its socket file stands."""
    # A socket's path has at most 107 characters, which pytest's own temporary folders can exceed.
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder = Path(name)
        if os.getuid() == 0:
            shutil.chown(folder, OWNER)
        data = str(folder / "data")
        _run("initdb", "-D", data, "-U", OWNER, "--auth=trust", "--no-sync")
        options = f"-c listen_addresses= -k {folder} -c fsync=off"
        _run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield name
        finally:
            _run("pg_ctl", "-D", data, "-m", "immediate", "stop")


def fresh_database(socket_folder: str, name: str) -> str:
    """Make an empty database; its address as DATABASE_URL takes it."""
    _run("createdb", "-h", socket_folder, "-U", OWNER, name)
    return f"postgresql+psycopg://{OWNER}@/{name}?host={socket_folder}"


def _run(program: str, *arguments: str) -> None:
    as_owner = ["runuser", "-u", OWNER, "--"] if os.getuid() == 0 else []
    subprocess.run([*as_owner, _found(program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")


def _found(program: str) -> str:
    """Debian keeps the server's programs out of the path."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    found = str(kept[-1]) if kept else shutil.which(program)
    assert found, f"{program} is missing: `make test` installs PostgreSQL where it runs as root"
    return found
