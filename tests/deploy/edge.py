"""The nginx of deploy/nginx/tls.conf without containers: its files, with the ports and folders of a test in them."""

import ipaddress
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.deploy.composition import ROOT
from tests.gateway.proxies import program
from tests.topologies import PATIENCE_S, eventually, free_ports

FOLDER = ROOT / "deploy" / "nginx"
TTL_S = 600  # which Docker's name server gives too


def certify(folder: Path) -> Path:
    """Write a self-made certificate for this machine, with its key, where tls.conf looks for them."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "privkey.pem").write_bytes(key.private_bytes(*pem))
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return folder / "fullchain.pem"


@dataclass
class Names:
    """A name server on this machine, for which every name has the same addresses. They may change while it runs."""

    addresses: list[str] = field(default_factory=list)
    asked: int = 0
    port: int = 0

    @contextmanager
    def serving(self) -> Iterator["Names"]:
        """Answer in a thread of its own."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                with suppress(OSError):
                    sock.sendto(b"", ("127.0.0.1", self.port))
                thread.join()

    def _serve(self, sock: socket.socket) -> None:
        while True:
            question, client = sock.recvfrom(512)
            if not question:
                return
            self.asked += 1
            sock.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        """An answer with all addresses (RFC 1035, 4.1)."""
        end = question.index(b"\0", 12) + 5
        head = question[:2] + b"\x81\x80" + struct.pack(">4H", 1, len(self.addresses), 0, 0)
        records = [b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, TTL_S, 4) + socket.inet_aton(one) for one in self.addresses]
        return head + question[12:end] + b"".join(records)


@dataclass(frozen=True)
class Edge:
    """A running nginx: its two ports, the certificate that a client has to trust, and what it was configured with."""

    http: int
    https: int
    certificate: Path
    configuration: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.https}"


@contextmanager
def edge(folder: Path, gateway: int, names: Names | None = None) -> Iterator[Edge]:
    """nginx before a gateway's port: with edge.conf where the gateway is looked up by name, with beside.conf else."""
    http, https = free_ports(2)
    certificate = certify(folder / "tls")
    tls = (FOLDER / "tls.conf").read_text().replace("/etc/nginx/tls", str(folder / "tls"))
    tls = tls.replace("listen 80 ", f"listen 127.0.0.1:{http} ").replace("listen 443 ", f"listen 127.0.0.1:{https} ")
    (folder / "tls.conf").write_text(tls)
    if names:
        main = (FOLDER / "edge.conf").read_text().replace("127.0.0.11", f"127.0.0.1:{names.port}")
        main = main.replace("gateway:8080", f"gateway:{gateway}")
    else:
        beside = (FOLDER / "beside.conf").read_text().replace("127.0.0.1:8080", f"127.0.0.1:{gateway}")
        paths = "".join(
            f"{name}_temp_path /tmp/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = f"pid /tmp/pid; events {{}}\nhttp {{ access_log off; {paths}\n{beside}include tls.conf; }}\n"
    (folder / "nginx.conf").write_text(main.replace("/tmp/", f"{folder}/"))
    words = [program("nginx"), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    process = subprocess.Popen([*words, "-g", "daemon off; master_process off;"])
    try:
        eventually(lambda: _listens(process, https), "nginx listens")
        yield Edge(http, https, certificate, folder / "nginx.conf")
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _listens(process: "subprocess.Popen[bytes]", port: int) -> bool:
    assert process.poll() is None, "nginx has ended"
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
