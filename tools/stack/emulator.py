"""The Flow emulator with a service key of its own."""

import asyncio
import secrets
from pathlib import Path

from tools.stack.folder import StateFolder
from tools.stack.ports import LOOPBACK
from tools.stack.progress import Progress
from tools.stack.server import Server

# The emulator's service account has the same address on every start.
SERVICE_ADDRESS = "0xf8d6e0586b0a20c7"
# Order of the curve P-256 (FIPS 186-4, D.1.2.3): a private key is a number from 1 to one less.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Emulator(Server):
    """The chain. It lives in memory: after stop() and start() it is empty again."""

    name = "Flow emulator"
    # gRPC, REST, admin, debugger: the last three cannot be switched off.
    port_count = 4

    def __init__(self, folder: StateFolder, progress: Progress, binary: Path) -> None:
        super().__init__(folder, progress)
        self._binary = binary
        # The emulator's stock key is public, and a habit of using it ends on a real network.
        self.private_key = f"{secrets.randbelow(_P256_ORDER - 1) + 1:064x}"

    @property
    def access_node(self) -> str:
        """`host:port` of the Access API's gRPC."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def rest_url(self) -> str:
        """Where the Access API's REST interface is."""
        return f"http://{LOOPBACK}:{self._ports[1]}"

    def command(self) -> list[str]:
        grpc, rest, admin, debugger = self._ports
        return [
            str(self._binary),
            f"--host={LOOPBACK}",
            f"--port={grpc}",
            f"--rest-port={rest}",
            f"--admin-port={admin}",
            f"--debugger-port={debugger}",
            f"--dbpath={self.folder.chain}",
            "--service-sig-algo=ECDSA_P256",
            "--service-hash-algo=SHA3_256",
            # Nothing here uses these, and without them the start takes 1.3 s instead of 1.8.
            "--setup-vm-bridge=false",
            "--scheduled-transactions=false",
            # Else the contract's account would need FLOW for the storage of every user.
            "--storage-limit=false",
            # Blocks, as on the real networks; the default of 10 is too few for parallel senders.
            "--transaction-expiry=600",
        ]

    def environment(self) -> dict[str, str]:
        # Not on the command line, which other users can read.
        return super().environment() | {"FLOW_SERVICEPRIVATEKEY": self.private_key}

    def answers(self) -> bool:
        return asyncio.run(_ping(LOOPBACK, self.port))


async def _ping(host: str, port: int) -> bool:
    # Imported here: the SDK takes more than a second, in which the emulator starts.
    from flow_py_sdk import flow_client
    from grpclib.exceptions import GRPCError, StreamTerminatedError

    try:
        async with flow_client(host=host, port=port, timeout=5) as client:
            await client.ping()
    except (OSError, GRPCError, StreamTerminatedError, TimeoutError):
        return False
    return True
