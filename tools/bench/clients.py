"""The clients that the services use, for what is measured beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.adapters.flow_channel import FlowChannel
from shared.adapters.flow_contract import DEFAULT_SCRIPT, FlowContract, render_script
from shared.adapters.loop_thread import shared_loop_thread
from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.adapters.unpaced import Unpaced
from shared.core.address import parse_address
from shared.ports.contract import Contract
from shared.ports.ledger import Ledger
from shared.settings import settings


@dataclass(frozen=True, slots=True)
class Clients:
    """One connection to each side, without pace and retries."""

    ledger: Ledger
    contract: Contract


@contextmanager
def connected() -> Iterator[Clients]:
    """Connect with the process's settings, as `shared.bootstrap` does."""
    config = settings()
    client = connect(
        url=str(config.supabase_url),
        service_role_key=config.supabase_service_role_key.get_secret_value(),
        rest_url=str(config.supabase_rest_url),
        timeout_s=config.supabase_timeout_s,
    )
    channel = FlowChannel(
        access_node=config.flow_access_node,
        loop=shared_loop_thread(),
        timeout_s=config.flow_timeout_s,
        tls=config.flow_access_tls,
    )
    script = render_script(
        DEFAULT_SCRIPT.read_text(encoding="utf-8"),
        name=config.flow_contract_name,
        address=parse_address(config.flow_contract_address),
    )
    contract = FlowContract(channel, Unpaced(), script=script)
    try:
        yield Clients(SupabaseLedger(client), contract)
    finally:
        channel.close()
        if client.options.httpx_client is not None:
            client.options.httpx_client.close()
