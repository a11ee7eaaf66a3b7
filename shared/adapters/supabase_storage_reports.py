"""Reports in a bucket of Supabase Storage."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import httpx
from storage3.exceptions import StorageApiError
from supabase import Client

from shared.core.errors import LedgerUnauthorized, ReportStoreError

_REMEDY = (
    "Check RECONCILE_REPORT_STORE, and that the project has this bucket, private and without a "
    "limit on types of files."
)


class SupabaseStorageReports:
    """Implements the port `ReportFiles`; `prefix` comes before every path."""

    def __init__(self, client: Client, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def put(self, path: str, file: IO[bytes], *, content_type: str, sha256: str) -> None:
        file.seek(0)
        with _translated():
            self._client.storage.from_(self._bucket).upload(
                self._prefix + path,
                file.read(),
                {
                    "content-type": content_type,
                    "upsert": "true",  # a retry stores the same again
                    "cache-control": "0",
                    "metadata": {"sha256": sha256},
                },
            )

    def link(self, path: str, *, file_name: str, expires_s: int) -> str:
        with _translated():
            answer = self._client.storage.from_(self._bucket).create_signed_url(
                self._prefix + path, expires_s, {"download": file_name}
            )
        url = answer["signedURL"]
        if not url:
            raise ReportStoreError("Supabase Storage gave no link", remedy=_REMEDY)
        return url

    def close(self) -> None:
        """The client is the ledger's, which closes it."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except StorageApiError as error:
        raise ReportStoreError(
            f"Supabase Storage refused the report ({error.status}: {error.code})", remedy=_REMEDY
        ) from error
    except LedgerUnauthorized as error:
        raise ReportStoreError(
            "Supabase Storage refused the key", remedy="Set SUPABASE_SERVICE_ROLE_KEY."
        ) from error
    except (httpx.HTTPError, ValueError) as error:
        raise ReportStoreError(
            f"Supabase Storage cannot be reached ({type(error).__name__})", remedy=_REMEDY
        ) from error
