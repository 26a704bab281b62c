"""Who is let in, by the built program: users, keys, links, the first administrator, an identity provider, the record of access."""
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from common import BINARY, ROOT, firstlight, free_port, make_image

PASSWORD = "early morning light"
STUDIES = ("2.25.1", "2.25.9")
PROVIDER = ROOT / "tests" / "commands" / "oidc_provider.mjs"


class Guarded:
    """`serve --sign-in` on two studies; `greeting` is what it printed."""

    def __init__(self, folder, *flags, port=None):
        self.folder, self.data, self.port = folder, folder / "data", port or free_port()
        if not self.data.exists():
            make_image(folder / "in" / "1.dcm", seed=1, StudyInstanceUID=STUDIES[0], PatientID="T1")
            make_image(folder / "in" / "2.dcm", seed=2, StudyInstanceUID=STUDIES[1], SeriesInstanceUID="2.25.92", PatientID="T2")
        self.log = open(folder / "serve.log", "a+")
        listen = ["--listen", f"127.0.0.1:{self.port}"] if "--listen" not in flags else []
        command = [BINARY, "serve", "--data", self.data, "--import", folder / "in", "--sign-in", "--no-convert", *listen, *map(str, flags)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True, cwd=folder)
        self.root = f"http://127.0.0.1:{self.port}"
        self.greeting = self.process.stdout.readline()
        assert "Firstlight serves" in self.greeting, self.talk()
        for _ in range(200):
            if requests.get(f"{self.root}/readyz").ok and "import: 2 of 2" in self.talk():
                return
            time.sleep(0.05)
        raise AssertionError(self.talk())

    def rest(self):
        """What else the greeting says."""
        self.stop()
        return self.process.stdout.read()

    def talk(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def command(self, *arguments, **options):
        result = firstlight(*arguments, "--data", self.data, **options)
        assert result.returncode == 0, result.stderr
        return result

    def key(self, *grants):
        return {"Authorization": f"Bearer {self.command('key', 'add', 'test', *grants).stdout.strip()}"}

    def studies(self, **options):
        answer = requests.get(f"{self.root}/dicom-web/studies", **options)
        return sorted(row["0020000D"]["Value"][0] for row in answer.json()) if answer.ok else answer.status_code

    def until(self, expected, **options):
        """What a server that runs is told by another process acts within seconds."""
        for _ in range(150):
            if (got := self.studies(**options)) == expected:
                return
            time.sleep(0.1)
        raise AssertionError(got)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=60) in (0, 130), self.talk()


@pytest.fixture
def server(tmp_path):
    server = Guarded(tmp_path)
    yield server
    server.stop()


def test_keys_are_made_used_and_revoked(server):
    assert server.studies() == 401
    whole, part = server.key(), server.key("--only", "patient=T2")
    assert server.studies(headers=whole) == sorted(STUDIES)
    assert server.studies(headers=part) == [STUDIES[1]]
    hidden = requests.get(f"{server.root}/dicom-web/studies/{STUDIES[0]}/metadata", headers=part)
    absent = requests.get(f"{server.root}/dicom-web/studies/2.25.77/metadata", headers=part)
    assert (hidden.status_code, set(hidden.headers)) == (absent.status_code, set(absent.headers)) == (404, set(absent.headers))
    rows = [json.loads(line) for line in server.command("key", "list", "--json").stdout.splitlines()]
    assert [row["grants"][0]["on"] for row in rows] == ["all", {"any": [{"patient": {"id": "T2"}}]}]
    server.command("key", "revoke", str(rows[0]["number"]))
    server.until(401, headers=whole)
    assert server.studies(headers=part) == [STUDIES[1]]
    server.command("label", STUDIES[0], "ward 3")
    assert server.studies(headers=server.key("--only", "label=ward 3", "--only", "modality=XX")) == [STUDIES[0]]
    assert whole["Authorization"][7:] not in server.talk()


def test_users_sign_in_with_a_browser(server):
    server.command("user", "add", "ana", "--may", "read", "--only", f"study={STUDIES[0]}", input=f"{PASSWORD}\n", stdin=None)
    browser = requests.Session()
    led = browser.get(f"{server.root}/", headers={"Accept": "text/html"})
    assert led.url == f"{server.root}/sign-in?to=/" and "Sign in" in led.text
    wrong = browser.post(f"{server.root}/sign-in", data={"name": "ana", "password": "x", "to": "/"})
    assert wrong.status_code == 401 and not browser.cookies
    signed = browser.post(f"{server.root}/sign-in", data={"name": "ana", "password": PASSWORD, "to": "/"})
    assert signed.ok and signed.url == f"{server.root}/"
    assert server.studies(cookies=browser.cookies) == [STUDIES[0]]
    status = browser.get(f"{server.root}/status.json").json()
    assert status["signedIn"] == "ana" and "instances" not in status
    foreign = browser.post(f"{server.root}/sign-out", headers={"Origin": "http://evil.example"}, allow_redirects=False)
    assert foreign.status_code == 403
    assert "ana" in server.command("user", "list").stdout
    server.command("user", "remove", "ana")
    server.until(401, cookies=browser.cookies)


@pytest.mark.parametrize("arguments, input, word", [
    (("user", "add", "a b"), PASSWORD, "a user's name has"),
    (("user", "add", "ana"), "short", "a password has 10"),
    (("user", "add", "ana"), "", "no password came"),
    (("user", "remove", "nobody"), None, "no user is called nobody"),
    (("user", "add", "ana", "--may", "fly"), PASSWORD, "is no right"),
    (("key", "add", "k", "--only", "patient="), None, "names no studies"),
    (("key", "revoke", "7"), None, "no key has the number 7"),
    (("share", "2.25.77"), None, "no study 2.25.77"),
    (("share",), None, "share needs the study"),
    (("label", "2.25.77", "word"), None, "no study 2.25.77"),
])
def test_mistakes_are_one_line(tmp_path_factory, arguments, input, word):
    folder = tmp_path_factory.getbasetemp() / "mistakes"
    if not folder.exists():
        make_image(folder / "in" / "1.dcm")
        assert firstlight("import", folder / "in", "--data", folder / "data").returncode == 0
    result = firstlight(*arguments, "--data", folder / "data", input=input or "", stdin=None)
    assert result.returncode == 2 and word in result.stderr and "panicked" not in result.stderr, result.stderr


def test_a_link_shares_a_study(server):
    made = server.command("share", STUDIES[0], "--days", "1", "--uses", "1", "--name", "Dr. Roe", "--public-url", server.root, "--qr")
    link, code = made.stdout.split("\n", 1)
    assert re.fullmatch(rf"{server.root}/s/[\w-]{{43}}/", link) and "█" in code
    assert server.studies() == 401
    browser = requests.Session()
    asks = browser.get(link)
    assert "Open" in asks.text and not browser.cookies
    opened = browser.post(link, allow_redirects=False)
    assert opened.status_code == 303 and browser.cookies
    found = browser.get(f"{link}dicom-web/studies").json()
    assert [row["0020000D"]["Value"][0] for row in found] == [STUDIES[0]]
    assert found[0]["00081190"]["Value"][0] == f"{link}dicom-web/studies/{STUDIES[0]}"
    frame = browser.get(f"{link}dicom-web/studies/{STUDIES[0]}/series/2.25.2/instances/2.25.{10**20 + 1}/frames/1", headers={"Range": "bytes=0-9"})
    assert frame.status_code == 206 and frame.headers["Referrer-Policy"] == "no-referrer"
    assert browser.get(f"{link}dicom-web/studies/{STUDIES[1]}/metadata").status_code == 404
    assert requests.post(link, allow_redirects=False).status_code == 404, "it was used up"
    row = json.loads(server.command("share", "list", "--json").stdout)
    assert (row["name"], row["uses"]) == ("Dr. Roe", 0)
    server.command("share", "revoke", str(row["number"]))
    for _ in range(150):
        if (status := browser.get(f"{link}dicom-web/studies").status_code) == 404:
            break
        time.sleep(0.1)
    token = link.split("/")[-2]
    files = [path for path in server.data.rglob("*") if path.is_file()]
    assert status == 404 and token not in server.talk() and not any(token.encode() in path.read_bytes() for path in files)


def test_the_first_administrator_comes_by_the_link_of_the_greeting(tmp_path):
    server = Guarded(tmp_path)
    lines = []
    while "sign-in" not in (line := server.process.stdout.readline()):
        assert line and len(lines) < 9, lines
        lines.append(line)
    link = re.search(r"http://\S+/welcome/[\w-]{43}", line)[0]
    browser = requests.Session()
    assert "Welcome" in browser.get(link).text
    assert browser.post(link, data={"name": "ana", "password": PASSWORD}).ok
    assert server.studies(cookies=browser.cookies) == sorted(STUDIES)
    assert browser.get(f"{server.root}/metrics").ok
    assert requests.post(link, data={"name": "bo", "password": PASSWORD}).status_code == 404
    server.stop()
    again = Guarded(tmp_path)
    assert "welcome" not in again.rest()


def test_beyond_this_machine_it_says_which_flag_is_missing(tmp_path):
    result = firstlight("serve", "--data", tmp_path / "data", "--listen", "0.0.0.0:0")
    assert result.returncode == 2 and "there is no TLS" in result.stderr
    for flag in ("--tls", "--behind-proxy", "--insecure"):
        assert flag in result.stderr
    for flags in (["--insecure"], ["--tls", "self-signed"], ["--behind-proxy", "10.0.0.1"]):
        command = [BINARY, "serve", "--data", tmp_path / "data", "--listen", "0.0.0.0:0", *flags]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True) as process:
            said = [process.stdout.readline()]
            while "DICOMweb" not in said[-1]:
                said.append(process.stdout.readline())
            port = re.search(r"0\.0\.0\.0:(\d+)", said[0])[1]
            scheme = "https" if "--tls" in flags else "http"
            answer = requests.get(f"{scheme}://127.0.0.1:{port}/dicom-web/studies", verify=False)
            process.send_signal(signal.SIGINT)
            said.append(process.stdout.read())
        assert answer.status_code == (200 if flags == ["--insecure"] else 401), flags
        assert ("welcome" in "".join(said)) == (flags != ["--insecure"]), said


class Syslog(threading.Thread):
    """A receiver over TLS: frames by their length (RFC 5425)."""

    def __init__(self, certificate, key, port):
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", port))
        self.frames = []
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.context.wrap_socket(connection, server_side=True) as line:
                self.read(line)

    def read(self, line):
        waiting = b""
        while piece := line.recv(4096):
            waiting += piece
            while (space := waiting.find(b" ")) > 0 and len(waiting) > space + int(waiting[:space]):
                end = space + 1 + int(waiting[:space])
                self.frames.append(waiting[space + 1 : end].decode())
                waiting = waiting[end:]

    def has(self, text):
        for _ in range(200):
            if any(text in frame for frame in self.frames):
                return True
            time.sleep(0.05)
        return False


def test_what_happened_is_recorded_in_a_chain_and_sent(tmp_path):
    certificate = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                   "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]
    subprocess.run(certificate, check=True, capture_output=True)
    port = free_port()
    server = Guarded(tmp_path, "--access-syslog", f"localhost:{port}", "--access-syslog-ca", tmp_path / "cert.pem")
    key = server.key()
    metadata = f"{server.root}/dicom-web/studies/{STUDIES[0]}/metadata"
    for _ in range(5):
        assert requests.get(metadata, headers=key).ok
    record = server.data / "access-record"
    lines = (record / "access-000001.log").read_text().splitlines()
    assert any(STUDIES[0] in line and "T1" in line and re.search(r"key \d+ test", line) for line in lines), "before the answer, without a wait"
    # The receiver was not there; nothing is lost.
    receiver = Syslog(tmp_path / "cert.pem", tmp_path / "key.pem", port)
    assert receiver.has(STUDIES[0]), server.talk()
    assert requests.get(metadata.replace(STUDIES[0], STUDIES[1]), headers=key).ok
    assert receiver.has(STUDIES[1])
    server.process.kill()
    server.process.wait()
    checked = firstlight("audit", "--access", server.data)
    assert checked.returncode == 0 and "each follows" in checked.stdout, checked.stderr
    head = checked.stdout.split()[-1]
    assert firstlight("audit", "--access", server.data, "--head", head).returncode == 0
    path = record / "access-000001.log"
    whole = path.read_text()
    path.write_text(whole.replace(STUDIES[0], "2.25.3", 1))
    changed = firstlight("audit", "--access", server.data)
    assert changed.returncode == 1 and "line 2" in changed.stdout, changed.stdout
    path.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    assert firstlight("audit", "--access", server.data).returncode == 0
    assert firstlight("audit", "--access", server.data, "--head", head).returncode == 1, "what was cut off"
    receiver.listener.close()


@pytest.fixture
def provider(tmp_path):
    """A real provider of OpenID Connect, and a server that believes it."""
    if not shutil.which("node") or not (ROOT / "web" / "node_modules" / "oidc-provider").is_dir():
        pytest.skip("node, or oidc-provider in web/node_modules, is not there")
    port, ours = free_port(), free_port()
    issuer = f"http://127.0.0.1:{port}"
    with subprocess.Popen(["node", PROVIDER, str(port), f"http://127.0.0.1:{ours}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        (tmp_path / "firstlight.toml").write_text(f"""
[oidc]
issuer = "{issuer}"
audience = "firstlight"
client_id = "web"
[[oidc.grant]]
claim = "groups"
value = "radiology"
may = "read"
only = ["patient=T2"]
""")
        server = Guarded(tmp_path, port=ours)
        yield issuer, server
        server.stop()
        process.kill()


def test_a_token_of_a_real_provider_lets_in(provider):
    issuer, server = provider
    form = {"grant_type": "client_credentials", "resource": "urn:firstlight", "scope": "read"}
    answer = requests.post(f"{issuer}/token", data=form, auth=("machine", "secret-of-the-machine"))
    assert answer.ok, answer.text
    token = answer.json()["access_token"]
    assert server.studies(headers={"Authorization": f"Bearer {token}"}) == [STUDIES[1]]
    head, claims, signature = token.split(".")
    for wrong in (f"{head}.{claims}.{signature[::-1]}", f"{head}.{claims}.", f"eyJhbGciOiJub25lIn0.{claims}.", "opaque"):
        assert server.studies(headers={"Authorization": f"Bearer {wrong}"}) == 401, wrong
    other = requests.post(f"{issuer}/token", data=form | {"resource": "urn:other"}, auth=("machine", "secret-of-the-machine")).json()["access_token"]
    assert server.studies(headers={"Authorization": f"Bearer {other}"}) == 401, "for somebody else"


def test_a_browser_signs_in_at_a_real_provider(provider):
    issuer, server = provider
    browser = requests.Session()
    page = browser.get(f"{server.root}/sign-in?to=/light/")
    assert "Sign in with your organisation" in page.text
    page = browser.get(f"{server.root}/sign-in/provider?to=/light/")
    for values in ({"prompt": "login", "login": "ana", "password": "any"}, {"prompt": "consent"}):
        assert page.url.startswith(issuer), page.url
        action = re.search(r'action="([^"]+)"', page.text)[1]
        page = browser.post(requests.compat.urljoin(page.url, action), data=values)
    assert page.url.startswith(f"{server.root}/sign-in/provider/back"), (page.url, page.text)
    assert 'content="0;url=/light/"' in page.text
    assert server.studies(cookies=browser.cookies) == [STUDIES[1]]
    assert browser.get(f"{server.root}/status.json").json()["signedIn"] == "ana"
    query = parse_qs(urlsplit(page.url).query)
    again = browser.get(page.url)
    assert again.status_code == 403 and query["state"], "an answer is good once"
