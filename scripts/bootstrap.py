"""Put the pinned uv into `.tools/bin` with the standard library alone: pip and venv are missing on a bare Debian.

It comes from the index that pip's files or the variables of pip or uv name (uv.toml is not read), else from the
public one. Its hash decides, not its origin.
"""

import configparser
import hashlib
import html.parser
import io
import json
import os
import platform
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

VERSION = "0.13.8"
# Operating system, machine, C library -> platform tag of the wheel, SHA-256 of the wheel
WHEELS = {
    ("linux", "x86_64", "glibc"): (
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
    ),
    ("linux", "x86_64", "musl"): (
        "musllinux_1_1_x86_64",
        "29451c60f5e8b07403e0a175d5229efc36b0289b34143ff4aaa499a5dd52553a",
    ),
    ("linux", "aarch64", ""): (
        "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
        "0b3e8b1a4f5e405e31e2ff33de8af4744831e9f7338539671efbd8c3c94e791d",
    ),
    ("darwin", "x86_64", ""): (
        "macosx_10_12_x86_64",
        "b7124ca1956ec2e476a1003ea5715a15f0266afaec37f4dc9c6972ba8183e6d1",
    ),
    ("darwin", "arm64", ""): (
        "macosx_11_0_arm64",
        "62b6943c7fd64fac6854f780bea6e0359e5a5bc3241f83ee357bb38276afac49",
    ),
}
PUBLIC_INDEX = "https://pypi.org/simple"
FORMS = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
TIMEOUT_SECONDS = 60
TOOLS = Path(__file__).resolve().parent.parent / ".tools" / "bin"
ATTEMPTS = 3


class BootstrapError(Exception):
    """One sentence that says what is wrong and what helps."""


def wheel(system: str, machine: str, libc: str) -> tuple[str, str]:
    """Return the file name and the SHA-256 of the wheel for a machine. Raises BootstrapError when there is none."""
    pinned = WHEELS.get((system, machine, libc)) or WHEELS.get((system, machine, ""))
    if not pinned:
        raise BootstrapError(
            f"No uv {VERSION} is pinned for {system} on {machine}: install this version yourself and link it to "
            ".tools/bin/uv."
        )
    return f"uv-{VERSION}-py3-none-{pinned[0]}.whl", pinned[1]


def options() -> dict[str, str]:
    """Return what pip's files and environment say, later ones first: `index-url`, `cert`, `proxy` and so on."""
    home = Path.home()
    shared = os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
    files = [Path(folder) / "pip/pip.conf" for folder in (*reversed(shared), "/Library/Application Support") if folder]
    files += [Path("/etc/pip.conf"), home / ".pip/pip.conf", home / "Library/Application Support/pip/pip.conf"]
    files += [Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"]
    own = os.environ.get("PIP_CONFIG_FILE")
    files = [] if own == os.devnull else [*files, *([Path(own)] if own else [])]
    parser = configparser.RawConfigParser()
    try:
        parser.read(files, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise BootstrapError(f"A configuration file of pip cannot be read: {error}.") from error
    values: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            values |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    variables = {name: value for name, value in os.environ.items() if name.startswith("PIP_") and value}
    return values | {name[4:].lower().replace("_", "-"): value for name, value in variables.items()}


def indexes(configured: dict[str, str]) -> list[str]:
    """Return the indexes to ask, in order: the one of uv or pip or the public one, then the further ones."""
    first = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL") or configured.get("index-url")
    further = [os.environ.get("UV_INDEX"), os.environ.get("UV_EXTRA_INDEX_URL"), configured.get("extra-index-url")]
    urls = [first or PUBLIC_INDEX, *" ".join(filter(None, further)).split()]
    # uv may give an index a name: `internal=https://…`.
    return [url if "://" in url.partition("=")[0] else url.partition("=")[2] or url for url in urls]


class Links(html.parser.HTMLParser):
    """Collect the `href` of every anchor of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one anchor."""
        self.hrefs += [value for name, value in attrs if tag == "a" and name == "href" and value]


def links(page: str, base: str) -> Iterator[str]:
    """Yield the absolute address of every file on an index page, JSON (PEP 691) or HTML (PEP 503)."""
    if page.lstrip().startswith("{"):
        hrefs = [file["url"] for file in json.loads(page)["files"]]
    else:
        parser = Links()
        parser.feed(page)
        hrefs = parser.hrefs
    for href in hrefs:
        yield urldefrag(urljoin(base, href)).url


class Web:
    """Fetches addresses through the proxies and with the certificates that are configured."""

    def __init__(self, configured: dict[str, str]) -> None:
        bundle = configured.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        self.trusted = configured.get("trusted-host", "").split()
        paths = ssl.get_default_verify_paths()
        self.has_certificates = bool(bundle or paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())))
        self.strict = ssl.create_default_context()
        if bundle:
            try:
                folder = Path(bundle).is_dir()
                self.strict.load_verify_locations(**{"capath" if folder else "cafile": bundle})
            except OSError as error:
                raise BootstrapError(f"The certificates {bundle} cannot be read: {error}.") from error
        self.lax = ssl.create_default_context()
        self.lax.check_hostname, self.lax.verify_mode = False, ssl.CERT_NONE
        proxy = configured.get("proxy")
        self.proxies = urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None)

    def get(self, url: str) -> bytes:
        """Return what an address answers, after three attempts. Raises BootstrapError that names the host alone."""
        parts = urlsplit(url)
        host = parts.hostname or url
        credentials = parts.netloc.rpartition("@")[0]
        request = urllib.request.Request(
            urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), headers={"Accept": FORMS}
        )
        if credentials:
            # Unredirected: it is for this host, not for another one that this host names.
            encoded = b64encode(unquote(credentials).encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {encoded}")
        # Without any certificates on the machine nobody can be told apart, but the hash still can. Passwords are kept.
        lax = host in self.trusted or not (self.has_certificates or credentials)
        https = urllib.request.HTTPSHandler(context=self.lax if lax else self.strict)
        opener = urllib.request.build_opener(self.proxies, https)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                    return bytes(answer.read())
            except (OSError, ValueError) as error:
                final = isinstance(error, (urllib.error.HTTPError, ValueError)) or _untrusted(error)
                if attempt == ATTEMPTS or final:
                    raise BootstrapError(_refusal(host, error)) from error
        raise AssertionError


def _untrusted(error: Exception) -> bool:
    return isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError)


def _refusal(host: str, error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"The package index {host} answered {error.code} ({error.reason})"
    if _untrusted(error):
        return (
            f"The certificate of {host} is not trusted ({getattr(error, 'reason', error)}): apt-get install "
            "ca-certificates, or set SSL_CERT_FILE to the certificates of your organisation"
        )
    return (
        f"The package index {host} cannot be reached ({getattr(error, 'reason', error)}): set HTTPS_PROXY to your "
        "proxy, or PIP_INDEX_URL to an index that can be reached"
    )


def fetch(web: Web, urls: list[str], name: str, digest: str) -> bytes:
    """Return the wheel from the first index that has it. Raises BootstrapError with the reason of each that has not."""
    faults = []
    for index in urls:
        page = f"{index.rstrip('/')}/uv/"
        host = urlsplit(index).hostname or index
        try:
            addresses = [
                url for url in links(web.get(page).decode("utf-8", "replace"), page) if url.endswith(f"/{name}")
            ]
            if not addresses:
                faults.append(f"The package index {host} has no {name}")
                continue
            data = web.get(addresses[0])
        except BootstrapError as error:
            faults.append(str(error))
            continue
        except (ValueError, KeyError, TypeError):
            faults.append(f"The package index {host} answered no list of files")
            continue
        if hashlib.sha256(data).hexdigest() == digest:
            return data
        faults.append(f"The {name} of {host} is not the one that is pinned (its SHA-256 differs), and was thrown away")
    raise BootstrapError("; ".join(faults) + ".")


def install(data: bytes, folder: Path) -> Path:
    """Write the program of the wheel into a folder, as a whole or not at all; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    program, unfinished = folder / "uv", folder / "uv.new"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unfinished.write_bytes(archive.read(f"uv-{VERSION}.data/scripts/uv"))
    unfinished.chmod(0o755)
    return unfinished.replace(program)


def is_there(program: Path) -> bool:
    """Return whether this uv is the pinned version: a machine without a pinned wheel may bring its own."""
    try:
        shown = subprocess.run([program, "--version"], check=False, capture_output=True, text=True).stdout
    except OSError:
        return False
    return shown.split()[:2] == ["uv", VERSION]


def main(tools: Path = TOOLS) -> int:
    """Fetch and install unless it is there; a fault is one sentence on standard error."""
    if is_there(tools / "uv"):
        return 0
    libc = "glibc" if platform.libc_ver()[0] == "glibc" else "musl"
    try:
        name, digest = wheel(sys.platform, platform.machine(), libc)
        configured = options()
        data = fetch(Web(configured), indexes(configured), name, digest)
        install(data, tools)
    except BootstrapError as error:
        print(f"uv {VERSION} could not be fetched. {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or '.tools'} cannot be written: {error.strerror or error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
