"""Docker's question to a component in its container: exit status 0 when `GET /ready` on $PORT answers 200, else 1.

Started again and again in every container, by `python -S -E`, it imports little: urllib would double what it costs.
"""

import os
import socket
import sys

TIMEOUT_S = 2.0
STATUS_LINE_BYTES = 64
REQUEST = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def ready(port: int) -> bool:
    """Whether the component says so, in time."""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
            connection.sendall(REQUEST)
            return connection.recv(STATUS_LINE_BYTES).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if ready(int(os.environ["PORT"])) else 1)
