"""The worst that one tenant can send, from a process of its own: python -m tests.faults.storms URL TOKEN KIND CLIENTS.

It begins at once, ends when its standard input does, and prints as JSON how many answers had which status.
"""

import json
import secrets
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

import requests

ROWS = 500
Call = Callable[[requests.Session, int], requests.Response]


class Storm:
    """Clients of one person that send one kind of request again and again."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        self.over = threading.Event()
        self.statuses: Counter[str] = Counter()
        self.mark = secrets.token_hex(4)
        self.row = self._send(requests.Session(), "POST", "/api/customers", {"name": "hot", "type": "person"})
        self.kinds: dict[str, Call] = {
            "one batch": lambda session, _: self._batch(session, "shared"),
            "own batches": lambda session, number: self._batch(session, str(number)),
            "exports": lambda session, _: self._send(session, "GET", "/api/customers/export.csv"),
            "lists": lambda session, _: self._send(session, "GET", "/api/customers?per_page=100&search=n1&sort=name"),
            "one row": lambda session, _: self._send(session, "PUT", self._path, {"source": secrets.token_hex(3)}),
        }

    @property
    def _path(self) -> str:
        return f"/api/customers/{self.row.json()['customer']['id']}"

    def _batch(self, session: requests.Session, whose: str) -> requests.Response:
        rows = [{"name": f"n{i}", "type": "person", "external_id": f"{self.mark}-{whose}-{i}"} for i in range(ROWS)]
        return self._send(
            session, "POST", "/api/customers/batch/upsert", {"id_property": "external_id", "inputs": rows}
        )

    def _send(self, session: requests.Session, method: str, path: str, body: object = None) -> requests.Response:
        session.trust_env = False
        headers = {"Authorization": f"Bearer {self.token}"}
        return session.request(method, self.url + path, json=body, headers=headers, timeout=60)

    def rage(self, kind: str, number: int) -> None:
        """Send until it is over."""
        with requests.Session() as session:
            while not self.over.is_set():
                try:
                    self.statuses[str(self.kinds[kind](session, number).status_code)] += 1
                except requests.RequestException as error:
                    self.statuses[type(error).__name__] += 1

    def drip(self) -> None:
        """Begin requests whose bodies do not come."""
        place = urlsplit(self.url)
        lines = [
            "POST /api/customers HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {self.token}",
            "Content-Length: 500",
        ]
        head = "\r\n".join([*lines, "", ""])
        while not self.over.is_set():
            with socket.create_connection((str(place.hostname), int(place.port or 80))) as client:
                client.sendall(head.encode())
                while not self.over.wait(0.2):
                    try:
                        client.sendall(b" ")
                    except OSError:
                        break
            self.statuses["dripped"] += 1


def main(url: str, token: str, kind: str, clients: str) -> None:
    storm = Storm(url, token)
    targets = [storm.drip if kind == "slow bodies" else lambda n=n: storm.rage(kind, n) for n in range(int(clients))]
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    sys.stdout.write("raging\n")
    sys.stdout.flush()
    sys.stdin.read()
    storm.over.set()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(storm.statuses))


if __name__ == "__main__":
    main(*sys.argv[1:])
