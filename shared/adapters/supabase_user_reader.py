"""The port `UserReader` over the procedure get_user_states."""

from collections.abc import Sequence
from datetime import UTC, datetime

from supabase import Client

from shared.adapters.supabase_rpc import call, columns, reading
from shared.ports.user_reader import LedgerUser

_COLUMNS = (
    "user_addresses",
    "balances",
    "reconciled_heights",
    "reconciled_ats",
    "event_heights",
    "updated_ats",
)


class SupabaseUserReader:
    """Calls the procedure of supabase/migrations; see docs/sql-api.md for its answer."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, user_addresses: Sequence[str]) -> list[LedgerUser]:
        keys = list(user_addresses)
        answer = call(self._client, "get_user_states", {"p_user_addresses": keys})
        with reading("get_user_states"):
            return [_user(*row) for row in columns(answer, *_COLUMNS)]


def _user(
    user_address: str,
    balance: str | None,
    reconciled_height: int | None,
    reconciled_at: str | None,
    event_height: int | None,
    updated_at: str | None,
) -> LedgerUser:
    return LedgerUser(
        user_address=user_address,
        balance=balance,
        reconciled_height=reconciled_height,
        reconciled_at=_moment(reconciled_at),
        event_height=event_height,
        updated_at=_moment(updated_at),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
