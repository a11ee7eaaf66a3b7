"""The adapters over the settings: each is imported and made at its first use, and connects then."""

from pathlib import Path
from typing import TYPE_CHECKING

from shared.adapters.system_clock import SystemClock
from shared.core.address import parse_address
from shared.core.errors import InvalidSettings
from shared.services.made_once import made_once
from shared.settings import Settings

if TYPE_CHECKING:
    from supabase import Client

    from shared.adapters.flow_channel import FlowChannel
    from shared.adapters.s3_reports import S3Reports
    from shared.adapters.sqs_chunk_queue import SqsChunkQueue
    from shared.adapters.supabase_storage_reports import SupabaseStorageReports
    from shared.ports.alerts import AlertChannel, AlertStore, AlertTexts
    from shared.ports.audit_reader import AuditReader
    from shared.ports.contract import Pace
    from shared.ports.ledger import Ledger
    from shared.ports.requests import Idempotency, RequestSlots
    from shared.ports.run_search import RunSearch
    from shared.ports.run_store import RunStore
    from shared.ports.solvency import Vault
    from shared.services.changed_users import ChangedUsers
    from shared.services.read_contract import ContractReader


class Connections:
    """What the use cases run on, see `shared.services.engine.Ports`, and the clients behind it.

    All raise InvalidSettings when a setting is wrong that only they look at.
    """

    def __init__(self, config: Settings) -> None:
        self.config = config
        self.clock = SystemClock()

    @made_once
    def client(self) -> "Client":
        """One HTTP client a process."""
        from shared.adapters.supabase_ledger import connect

        config = self.config
        return connect(
            url=str(config.supabase_url),
            service_role_key=config.supabase_service_role_key.get_secret_value(),
            rest_url=str(config.supabase_rest_url) if config.supabase_rest_url else None,
            timeout_s=config.supabase_timeout_s,
        )

    @made_once
    def channel(self) -> "FlowChannel":
        """One channel to the access node a process."""
        from shared.adapters.flow_channel import FlowChannel
        from shared.adapters.loop_thread import shared_loop_thread

        return FlowChannel(
            access_node=self.config.flow_access_node,
            loop=shared_loop_thread(),
            timeout_s=self.config.flow_timeout_s,
            tls=self.config.flow_access_tls,
        )

    @made_once
    def pace(self) -> "Pace":
        config = self.config
        if not config.flow_max_scripts_per_s:
            from shared.adapters.unpaced import Unpaced

            return Unpaced()
        # Kept in the database, because every worker behind one egress address shares it.
        from shared.adapters.supabase_rate_budget import SupabaseRateBudget

        return SupabaseRateBudget(
            self.client, config.flow_rate_budget, config.flow_max_scripts_per_s, self.clock
        )

    @made_once
    def ledger(self) -> "Ledger":
        from shared.adapters.supabase_ledger import SupabaseLedger
        from shared.services.retrying_ledger import RetryingLedger

        return RetryingLedger(SupabaseLedger(self.client), self.clock)

    @made_once
    def store(self) -> "RunStore":
        from shared.adapters.supabase_run_store import SupabaseRunStore
        from shared.observe.counting_run_store import counting_run_store
        from shared.services.retrying_run_store import retrying_run_store

        return counting_run_store(retrying_run_store(SupabaseRunStore(self.client), self.clock))

    @made_once
    def contract(self) -> "ContractReader":
        from shared.adapters.flow_contract import DEFAULT_SCRIPT, FlowContract
        from shared.observe.counting_contract import CountingContract
        from shared.services.batch_size import BatchSize
        from shared.services.read_contract import ContractReader

        path = self.config.flow_balance_script or DEFAULT_SCRIPT
        script = rendered_script(self.config, "FLOW_BALANCE_SCRIPT", path)
        contract = FlowContract(self.channel, self.pace, script=script)
        batch_size = BatchSize(self.config.reconcile_batch_size)
        return ContractReader(CountingContract(contract), self.clock, batch_size=batch_size)

    @made_once
    def vault(self) -> "Vault":
        from shared.adapters.flow_vault import DEFAULT_VAULT_SCRIPT, FlowVault
        from shared.observe.counting_vault import CountingVault

        path = self.config.flow_vault_script or DEFAULT_VAULT_SCRIPT
        script = rendered_script(self.config, "FLOW_VAULT_SCRIPT", path)
        return CountingVault(FlowVault(self.channel, self.pace, script=script))

    @made_once
    def changed_users(self) -> "ChangedUsers":
        from shared.adapters.flow_events import FlowEvents
        from shared.core.chain_event import event_types
        from shared.services.changed_users import ChangedUsers

        config = self.config
        types = event_types(
            config.flow_events,
            contract=config.flow_contract_name,
            address=parse_address(config.flow_contract_address),
        )
        events = FlowEvents(
            self.channel, self.pace, types=types, user_field=config.flow_event_user_field
        )
        return ChangedUsers(events, self.clock, blocks_max=config.reconcile_event_blocks_max)

    @made_once
    def queue(self) -> "SqsChunkQueue | None":
        if self.config.reconcile_queue_url is None:
            return None
        from shared.adapters.sqs_chunk_queue import SqsChunkQueue

        return SqsChunkQueue(self.config.reconcile_queue_url, self.clock)

    @made_once
    def idempotency(self) -> "Idempotency":
        from shared.adapters.supabase_idempotency import SupabaseIdempotency
        from shared.services.retrying_idempotency import RetryingIdempotency

        return RetryingIdempotency(SupabaseIdempotency(self.client), self.clock)

    @made_once
    def webhooks(self) -> "Idempotency":
        from shared.adapters.supabase_webhooks import SupabaseWebhooks
        from shared.services.retrying_idempotency import RetryingIdempotency

        return RetryingIdempotency(SupabaseWebhooks(self.client), self.clock)

    @made_once
    def request_slots(self) -> "RequestSlots":
        from shared.adapters.supabase_requests import SupabaseRequests

        return SupabaseRequests(self.client)

    @made_once
    def alerts(self) -> "AlertStore":
        from shared.adapters.supabase_alerts import SupabaseAlerts
        from shared.services.retrying_alert_store import retrying_alert_store

        return retrying_alert_store(SupabaseAlerts(self.client), self.clock)

    @made_once
    def alert_channels(self) -> "list[AlertChannel]":
        from shared.adapters.apprise_channels import AppriseChannel
        from shared.adapters.sns_channel import SnsChannel

        config = self.config
        channels: list[AlertChannel] = [
            AppriseChannel(url.get_secret_value(), position)
            for position, url in enumerate(config.reconcile_alert_urls, 1)
        ]
        if config.reconcile_alert_topic_arn is not None:
            channels.append(SnsChannel(config.reconcile_alert_topic_arn))
        return channels

    @made_once
    def alert_texts(self) -> "AlertTexts":
        from shared.alerts.texts import TemplateTexts

        config = self.config
        url = config.reconcile_dashboard_url
        return TemplateTexts(config.reconcile_stage, None if url is None else str(url))

    @made_once
    def audit(self) -> "AuditReader":
        from shared.adapters.supabase_audit_reader import SupabaseAuditReader
        from shared.services.retrying_reads import retrying_reads

        return retrying_reads(SupabaseAuditReader(self.client), self.clock)

    @made_once
    def run_search(self) -> "RunSearch":
        from shared.adapters.supabase_run_search import SupabaseRunSearch
        from shared.services.retrying_reads import retrying_reads

        return retrying_reads(SupabaseRunSearch(self.client), self.clock)

    @made_once
    def report_files(self) -> "S3Reports | SupabaseStorageReports | None":
        """Where reports are kept; None when that is not set."""
        scheme, _, rest = (self.config.reconcile_report_store or "").partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme == "s3":
            from shared.adapters.s3_reports import S3Reports

            return S3Reports(bucket, prefix)
        if scheme == "supabase":
            from shared.adapters.supabase_storage_reports import SupabaseStorageReports

            return SupabaseStorageReports(self.client, bucket, prefix)
        return None

    def close(self) -> None:
        """Close all connections that were made."""
        made = vars(self)
        if "channel" in made:
            self.channel.close()
        for name in ("queue", "report_files"):
            if made.get(name) is not None:
                made[name].close()
        if "client" in made and self.client.options.httpx_client is not None:
            self.client.options.httpx_client.close()


def rendered_script(config: Settings, variable: str, path: Path) -> str:
    """The Cadence script of a setting, for the contract of the settings. Raises InvalidSettings."""
    from shared.adapters.flow_contract import render_script

    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(
            f"{variable}: {path} cannot be read ({error})",
            remedy="Give the path of a Cadence script, or leave it out for the one that ships.",
        ) from error
    return render_script(
        source,
        name=config.flow_contract_name,
        address=parse_address(config.flow_contract_address),
    )
