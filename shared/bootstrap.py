"""The one place that wires adapters to services. Made once a process, for warm calls to reuse."""

import atexit
from functools import cache
from typing import TYPE_CHECKING

from shared.connections import Connections
from shared.services.engine import Engine
from shared.services.made_once import made_once
from shared.settings import Settings, settings

if TYPE_CHECKING:
    from shared.ports.alerts import AlertStore
    from shared.ports.audit_reader import AuditReader
    from shared.ports.requests import Idempotency, RequestSlots
    from shared.ports.run_search import RunSearch
    from shared.services.alerter import Alerter
    from shared.services.announce_run import RunAnnouncer
    from shared.services.audit_rounds import AuditRounds
    from shared.services.holds import HoldKeeper
    from shared.services.report_store import ReportStore
    from shared.services.reports import Reports
    from shared.services.rollback import Rollbacker
    from shared.services.solvency import SolvencyChecker
    from shared.services.user_view import UserLookup
    from shared.services.verify_audit import AuditVerifier
    from shared.services.watchdog import Watchdog


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

    @made_once
    def users(self) -> "UserLookup":
        """One user as both sides know them now."""
        from shared.adapters.supabase_user_reader import SupabaseUserReader
        from shared.services.user_view import UserLookup

        made = self._connections
        reader = SupabaseUserReader(made.client)
        return UserLookup(reader, made.contract, made.clock, self._policy)

    @made_once
    def solvency(self) -> "SolvencyChecker":
        """Is the ledger whole?"""
        from shared.adapters.supabase_solvency import SupabaseSolvency
        from shared.services.solvency import SolvencyChecker

        made = self._connections
        return SolvencyChecker(
            SupabaseSolvency(made.client),
            made.vault,
            made.contract,
            made.clock,
            self.alerter,
            tolerance=made.config.solvency_tolerance,
            settle_s=self._policy.settle_s,
        )

    @property
    def run_search(self) -> "RunSearch":
        """Runs of a period, and users of a run."""
        return self._connections.run_search

    @property
    def audit(self) -> "AuditReader":
        """The audit log, by user and by period."""
        return self._connections.audit

    @made_once
    def reports(self) -> "Reports":
        """What a run, a period or a user is reported as."""
        from shared.services.reports import Reports

        made = self._connections
        return Reports(
            self.runs,
            made.ledger,
            made.audit,
            made.run_search,
            users=lambda: self.user_reconciler,
            checks=lambda: self.solvency,
            clock=made.clock,
        )

    @made_once
    def report_store(self) -> "ReportStore | None":
        """Where reports are kept; None when RECONCILE_REPORT_STORE is not set."""
        files = self._connections.report_files
        if files is None:
            return None
        from shared.adapters.supabase_stored_reports import SupabaseStoredReports
        from shared.reports.formats import CONTENT_TYPES, write_report
        from shared.services.report_store import ReportStore

        records = SupabaseStoredReports(self._connections.client)
        return ReportStore(files, records, self.reports, write_report, CONTENT_TYPES)

    @made_once
    def holds(self) -> "HoldKeeper":
        """Whom admins keep corrections away from."""
        from shared.adapters.supabase_holds import SupabaseHolds
        from shared.services.holds import HoldKeeper

        made = self._connections
        return HoldKeeper(SupabaseHolds(made.client), made.ledger, made.clock)

    @made_once
    def rollbacks(self) -> "Rollbacker":
        """Corrections that are taken back."""
        from shared.adapters.supabase_rollbacks import SupabaseRollbacks
        from shared.services.rollback import Rollbacker

        made = self._connections
        return Rollbacker(SupabaseRollbacks(made.client), made.clock)

    @property
    def alerts(self) -> "AlertStore":
        """Alerts of the past and of now, and the messages about them."""
        return self._connections.alerts

    @made_once
    def alerter(self) -> "Alerter":
        """Tells people of conditions."""
        from shared.services.alerter import Alerter

        made = self._connections
        return Alerter(made.alerts, made.alert_channels, made.alert_texts, made.clock)

    @made_once
    def announcer(self) -> "RunAnnouncer":
        """Tells people what became of runs."""
        from shared.services.announce_run import RunAnnouncer

        made = self._connections
        return RunAnnouncer(made.alerts, self.alerter, made.config.alert_limits())

    @made_once
    def watchdog(self) -> "Watchdog":
        """Looks after ended runs, freshness, and what waits to be sent or stored."""
        from shared.services.watchdog import Watchdog

        made = self._connections
        return Watchdog(
            made.alerts,
            self.alerter,
            self.announcer,
            overdue_hours=made.config.reconcile_overdue_hours,
            reports=self.report_store,
        )

    @made_once
    def audit_verifier(self) -> "AuditVerifier":
        """Is the audit log as it was written?"""
        from shared.adapters.supabase_audit_chain import SupabaseAuditChain
        from shared.services.retrying_reads import retrying_reads
        from shared.services.verify_audit import AuditVerifier

        made = self._connections
        chain = retrying_reads(SupabaseAuditChain(made.client), made.clock)
        return AuditVerifier(chain, made.clock)

    @made_once
    def audit_rounds(self) -> "AuditRounds":
        """The scheduled verification of the audit log."""
        from shared.adapters.supabase_audit_round import SupabaseAuditRound
        from shared.services.audit_rounds import AuditRounds
        from shared.services.retrying_reads import retrying_reads

        made = self._connections
        # Every method may be repeated, the one that writes too.
        rounds = retrying_reads(SupabaseAuditRound(made.client), made.clock)
        return AuditRounds(self.audit_verifier, rounds, self.alerter)


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
