"""The one place that wires adapters to services. Made once a process, for warm calls to reuse."""

import atexit
from functools import cache

from supabase import Client

from shared.adapters.flow_channel import FlowChannel
from shared.adapters.flow_contract import DEFAULT_SCRIPT, FlowContract, render_script
from shared.adapters.flow_events import FlowEvents
from shared.adapters.loop_thread import shared_loop_thread
from shared.adapters.sqs_chunk_queue import SqsChunkQueue
from shared.adapters.supabase_idempotency import SupabaseIdempotency
from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.adapters.supabase_rate_budget import SupabaseRateBudget
from shared.adapters.supabase_requests import SupabaseRequests
from shared.adapters.supabase_run_store import SupabaseRunStore
from shared.adapters.supabase_webhooks import SupabaseWebhooks
from shared.adapters.system_clock import SystemClock
from shared.adapters.unpaced import Unpaced
from shared.core.address import parse_address
from shared.core.chain_event import event_types
from shared.core.errors import InvalidSettings
from shared.observe.counting import CountingContract, counting_run_store
from shared.ports.clock import Clock
from shared.ports.contract import Pace
from shared.services.batch_size import BatchSize
from shared.services.changed_users import ChangedUsers
from shared.services.engine import Engine, Ports
from shared.services.read_contract import ContractReader
from shared.services.retrying_idempotency import RetryingIdempotency
from shared.services.retrying_ledger import RetryingLedger
from shared.services.retrying_run_store import retrying_run_store
from shared.settings import Settings, settings


class Services(Engine):
    """The use cases over the ledger and the contract of the settings."""

    def __init__(self, config: Settings) -> None:
        clock = SystemClock()
        client = _supabase_client(config)
        channel = _channel(config)
        pace = _pace(config, client, clock)
        queue = _queue(config, clock)
        ports = Ports(
            ledger=RetryingLedger(SupabaseLedger(client), clock),
            store=counting_run_store(retrying_run_store(SupabaseRunStore(client), clock)),
            contract=ContractReader(
                CountingContract(_contract(config, channel, pace)),
                clock,
                batch_size=BatchSize(config.reconcile_batch_size),
            ),
            changed_users=ChangedUsers(
                _events(config, channel, pace),
                clock,
                blocks_max=config.reconcile_event_blocks_max,
            ),
            clock=clock,
            queue=queue,
        )
        super().__init__(
            ports,
            config.policy(),
            lease_s=config.reconcile_lease_s,
            rotate_chunks=config.reconcile_rotate_chunks,
        )
        self.idempotency = RetryingIdempotency(SupabaseIdempotency(client), clock)
        self.request_slots = SupabaseRequests(client)
        self.webhooks = RetryingIdempotency(SupabaseWebhooks(client), clock)
        self._channel = channel
        self._queue = queue
        self._http = client.options.httpx_client

    def close(self) -> None:
        """Close all connections."""
        self._channel.close()
        if self._queue is not None:
            self._queue.close()
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


def _pace(config: Settings, client: Client, clock: Clock) -> Pace:
    per_s = config.flow_max_scripts_per_s
    if not per_s:
        return Unpaced()
    # Kept in the database, because every worker behind one egress address shares it.
    return SupabaseRateBudget(client, config.flow_rate_budget, per_s, clock)


def _queue(config: Settings, clock: Clock) -> SqsChunkQueue | None:
    if config.reconcile_queue_url is None:
        return None
    return SqsChunkQueue(config.reconcile_queue_url, clock)


def _channel(config: Settings) -> FlowChannel:
    return FlowChannel(
        access_node=config.flow_access_node,
        loop=shared_loop_thread(),
        timeout_s=config.flow_timeout_s,
        tls=config.flow_access_tls,
    )


def _contract(config: Settings, channel: FlowChannel, pace: Pace) -> FlowContract:
    return FlowContract(channel, pace, script=_script(config))


def _events(config: Settings, channel: FlowChannel, pace: Pace) -> FlowEvents:
    types = event_types(
        config.flow_events,
        contract=config.flow_contract_name,
        address=parse_address(config.flow_contract_address),
    )
    return FlowEvents(channel, pace, types=types, user_field=config.flow_event_user_field)


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
