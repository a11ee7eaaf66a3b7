"""Tell people what became of runs: each once, whoever ended it."""

import logging

from shared.core.errors import ReconcileError
from shared.core.run_alert import AlertLimits, observations_of
from shared.ports.alerts import AlertStore
from shared.services.alerter import Alerter
from shared.services.deadline import ShouldStop

_BATCH = 10

_log = logging.getLogger(__name__)


class RunAnnouncer:
    """Announces the runs that have ended and were not announced yet. Dry runs are not news."""

    def __init__(self, store: AlertStore, alerter: Alerter, limits: AlertLimits) -> None:
        self._store = store
        self._alerter = alerter
        self._limits = limits

    def announce(self, should_stop: ShouldStop = lambda: False) -> int:
        """Announce all of them in the order of their ends; what there is to send is not sent yet.

        Returns how many were announced by this call. Raises LedgerError: the next one goes on.
        """
        announced = 0
        while not should_stop() and (ended := self._store.unannounced(limit=_BATCH)):
            for each in ended:
                observations = observations_of(each, self._limits)
                announced += self._alerter.announce(each.run.run_id, observations)
        return announced

    def announce_quietly(self) -> None:
        """The same for whoever has just ended a run: what fails is logged, and the watchdog's.

        Without a channel nobody would hear of it, so that is left to the watchdog as well: it may
        have one.
        """
        if not self._alerter.channels:
            return
        try:
            if self.announce():
                self._alerter.deliver()
        except ReconcileError as error:
            _log.error("The run could not be announced: %s", error)
