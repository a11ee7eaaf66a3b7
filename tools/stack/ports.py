"""Free ports on the loopback interface."""

import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """`count` different ports, free a moment ago; whoever binds them must be ready to try again."""
    with ExitStack() as held:
        ports = []
        for _ in range(count):
            # Held until all are chosen, or the system might name one twice.
            listener = held.enter_context(socket.socket())
            listener.bind((LOOPBACK, 0))
            ports.append(int(listener.getsockname()[1]))
        return ports
