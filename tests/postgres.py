"""A server of PostgreSQL for the time of a test: Debian's, in a temporary folder, on a free port of this machine and on a socket."""
import glob
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time

from common import free_port

PASSWORD = "never-to-be-printed"
USER = "firstlight"


def programs():
    """The folder of the newest version's programs, or None."""
    found = [pathlib.Path(path).parent for path in glob.glob("/usr/lib/postgresql/*/bin/initdb")]
    fitting = [path for path in found if int(path.parent.name) >= 15]
    return max(fitting, key=lambda path: int(path.parent.name), default=None)


class Server:
    """It asks for a password on the network and for none on its socket. It does not run as root: then it runs as `postgres`."""

    def __init__(self):
        self.programs = programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="flpg-"))
        self.owner = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        if self.owner:
            os.chown(self.folder, self.owner.pw_uid, self.owner.pw_gid)
        self.port = free_port()
        self.data = self.folder / "data"
        self.run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8")
        (self.data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        settings = f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{self.folder}'\n"
        with open(self.data / "postgresql.conf", "a") as file:
            file.write(settings + "shared_buffers = 32MB\nmax_connections = 200\nlog_min_messages = fatal\n")
        self.start()
        self.ask("postgres", f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'")

    def run(self, program, *arguments, check=True):
        command = [self.programs / program, *map(str, arguments)]
        if self.owner:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        return subprocess.run(command, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def start(self):
        for _ in range(50):
            # What was killed a moment ago may still hold its memory.
            if self.run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "start", check=False).returncode == 0:
                return
            time.sleep(0.2)
        raise AssertionError((self.folder / "log").read_text())

    def restart(self):
        self.run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-m", "fast", "-w", "restart")

    def kill(self):
        """As if the power went."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(first)], capture_output=True, text=True).stdout.split()
        for process in [first, *map(int, children)]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def ask(self, database, sql):
        """What a statement prints."""
        command = [self.programs / "psql", "-h", self.folder, "-p", str(self.port), "-U", USER, "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done
        return done.stdout.strip()

    def database(self, name):
        """The address of a new, empty database."""
        self.ask("postgres", f"CREATE DATABASE {name}")
        return f"postgres://{USER}@127.0.0.1:{self.port}/{name}"

    @staticmethod
    def environment(**more):
        """What a command needs to be let in, and nothing of PostgreSQL that the machine has of its own."""
        clean = {name: value for name, value in os.environ.items() if not re.match(r"PG|FIRSTLIGHT_INDEX", name)}
        return clean | {"FIRSTLIGHT_INDEX_PASSWORD": PASSWORD, **more}

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
