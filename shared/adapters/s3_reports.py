"""Reports in a bucket of AWS S3. boto3 is imported at the first use."""

import base64
from threading import Lock
from typing import IO, TYPE_CHECKING

from shared.core.errors import ReportStoreError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_CONNECT_TIMEOUT_S = 3
_READ_TIMEOUT_S = 20
_ATTEMPTS_MAX = 3
_REMEDY = (
    "Check RECONCILE_REPORT_STORE, the region, and that the role has s3:PutObject and "
    "s3:GetObject on the bucket."
)


def connect() -> "S3Client":
    """A client with our own timeouts; credentials, region and endpoint as boto3 finds them."""
    import boto3
    from botocore.config import Config

    # A session of its own: the one that boto3 shares is not safe for threads.
    return boto3.session.Session().client(
        "s3",
        config=Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS_MAX},
            signature_version="s3v4",  # the older one cannot say what a download is called
        ),
    )


class S3Reports:
    """Implements the port `ReportFiles`; `prefix` comes before every path. Safe for threads."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._lock = Lock()
        self._made: S3Client | None = None

    def put(self, path: str, file: IO[bytes], *, content_type: str, sha256: str) -> None:
        file.seek(0)
        with _translated():
            self._client().put_object(
                Bucket=self._bucket,
                Key=self._prefix + path,
                Body=file,
                ContentType=content_type,
                # S3 refuses what does not arrive as it was sent.
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
                Metadata={"sha256": sha256},
                ServerSideEncryption="AES256",
            )

    def link(self, path: str, *, file_name: str, expires_s: int) -> str:
        with _translated():
            return self._client().generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": self._prefix + path,
                    "ResponseContentDisposition": f'attachment; filename="{file_name}"',
                },
                ExpiresIn=expires_s,
            )

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None

    def _client(self) -> "S3Client":
        with self._lock:
            if self._made is None:
                self._made = connect()
            return self._made


class _translated:
    """botocore's errors become ours; nothing of the file is in them."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "no code")
            raise ReportStoreError(f"S3 refused the report ({code})", remedy=_REMEDY) from error
        if isinstance(error, BotoCoreError | ValueError):
            raise ReportStoreError(
                f"S3 cannot be used ({type(error).__name__})", remedy=_REMEDY
            ) from error
