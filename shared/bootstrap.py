"""The one place that wires adapters to services. Made once a process, for warm calls to reuse."""

import atexit
from functools import cache

from supabase import Client

from shared.adapters.flow_contract import DEFAULT_SCRIPT, FlowContract, render_script
from shared.adapters.loop_thread import shared_loop_thread
from shared.adapters.rate_limit import RateLimit
from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.adapters.system_clock import SystemClock
from shared.core.address import parse_address
from shared.core.errors import InvalidSettings
from shared.services.read_contract import ContractReader
from shared.services.reconcile_user import UserReconciler
from shared.services.retrying_ledger import RetryingLedger
from shared.services.sweep import Sweeper
from shared.settings import Settings, settings


class Services:
    """The use cases over one ledger and one contract."""

    def __init__(self, config: Settings) -> None:
        clock = SystemClock()
        client = _supabase_client(config)
        self._contract = _contract(config, clock)
        ledger = RetryingLedger(SupabaseLedger(client), clock)
        contract = ContractReader(self._contract, clock)
        self.user_reconciler = UserReconciler(ledger, contract, clock, config.policy())
        self.sweeper = Sweeper(ledger, contract, clock, config.policy())
        self._http = client.options.httpx_client

    def close(self) -> None:
        """Close both connections."""
        self._contract.close()
        if self._http is not None:
            self._http.close()


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


def _supabase_client(config: Settings) -> Client:
    return connect(
        url=str(config.supabase_url),
        service_role_key=config.supabase_service_role_key.get_secret_value(),
        rest_url=str(config.supabase_rest_url) if config.supabase_rest_url else None,
        timeout_s=config.supabase_timeout_s,
    )


def _contract(config: Settings, clock: SystemClock) -> FlowContract:
    return FlowContract(
        access_node=config.flow_access_node,
        script=_script(config),
        loop=shared_loop_thread(),
        rate_limit=RateLimit(config.flow_max_scripts_per_s, clock),
        timeout_s=config.flow_timeout_s,
        tls=config.flow_access_tls,
    )


def _script(config: Settings) -> str:
    path = config.flow_balance_script or DEFAULT_SCRIPT
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(
            f"FLOW_BALANCE_SCRIPT: {path} cannot be read ({error})",
            remedy="Give the path of a Cadence script, or leave it out for the one that ships.",
        ) from error
    return render_script(
        source,
        name=config.flow_contract_name,
        address=parse_address(config.flow_contract_address),
    )
