"""The server, started on a folder and stopped with Ctrl-C."""
import re
import signal
import subprocess

from common import BINARY


class Served:
    """Listens on a free port of this machine: `host` and `root` are its address, and its log is kept beside its data."""

    def __init__(self, folder, images, *flags):
        self.log = open(folder / "serve.log", "w+")
        command = [BINARY, "serve", "--data", folder / "data", "--import", images, "--listen", "127.0.0.1:0", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://(127\.0\.0\.1:\d+)/", line)
        assert found, f"no address: {line!r} {self.talk()}"
        self.host = found.group(1)
        self.root = f"http://{self.host}"
        self.dicomweb = f"{self.root}/dicom-web"

    def talk(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        """Ends it; a server that does not end, or that panicked before, is an error with its log."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=60) in (0, 130), self.talk()
        assert "panicked" not in self.talk(), self.talk()
