"""The one place that wires adapters to services. Made once a process, for warm calls to reuse."""

import atexit
from functools import cache
from typing import TYPE_CHECKING

from shared.connections import Connections
from shared.services.engine import Engine
from shared.settings import Settings, settings

if TYPE_CHECKING:
    from shared.ports.requests import Idempotency, RequestSlots


class Services(Engine):
    """The use cases over the ledger and the contract of the settings; each is imported and made at
    its first use, because cold starts count."""

    def __init__(self, config: Settings) -> None:
        self._connections = Connections(config)
        super().__init__(
            self._connections,
            config.policy(),
            lease_s=config.reconcile_lease_s,
            rotate_chunks=config.reconcile_rotate_chunks,
        )

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    @property
    def idempotency(self) -> "Idempotency":
        """Of requests by their Idempotency-Key."""
        return self._connections.idempotency

    @property
    def webhooks(self) -> "Idempotency":
        """Of webhooks by their message's id."""
        return self._connections.webhooks

    @property
    def request_slots(self) -> "RequestSlots":
        return self._connections.request_slots


@cache
def services() -> Services:
    """The process's services. Raises InvalidSettings; connects at first use."""
    made = Services(settings())
    atexit.register(made.close)
    return made


def reset() -> None:
    """Close the connections; the next use reads the environment and connects again."""
    if services.cache_info().currsize:
        atexit.unregister(services().close)
        services().close()
    services.cache_clear()
    settings.cache_clear()
