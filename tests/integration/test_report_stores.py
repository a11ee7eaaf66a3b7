"""Reports in AWS S3 (moto's) and in Supabase Storage.

There is no Supabase Storage on this machine: a small server answers the requests that the client
makes as its documentation says, and no more.
"""

import base64
import hashlib
import io
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest

from shared.adapters.s3_reports import S3Reports
from shared.adapters.supabase_ledger import connect
from shared.adapters.supabase_storage_reports import SupabaseStorageReports
from shared.core.errors import ReportStoreError
from tests.loopback import QuietHandler, loopback_server

BODY = "user_address\r\n0x1é\r\n".encode()
SHA256 = hashlib.sha256(BODY).hexdigest()
KEY = "a-service-role-key-of-this-test"


# -- S3 ---------------------------------------------------------------------------------------


@pytest.fixture
def bucket(aws: str) -> str:
    import boto3

    client = boto3.session.Session().client("s3", endpoint_url=aws)
    name = f"reports-{secrets.token_hex(4)}"
    client.create_bucket(Bucket=name)
    client.close()
    return name


def test_s3_keeps_a_report_as_it_is(aws: str, bucket: str) -> None:
    import boto3

    store = S3Reports(bucket, "/team/ledger/")
    for _ in range(2):  # a retry stores the same again
        store.put("runs/x.csv", io.BytesIO(BODY), content_type="text/csv", sha256=SHA256)

    client = boto3.session.Session().client("s3", endpoint_url=aws)
    kept = client.get_object(Bucket=bucket, Key="team/ledger/runs/x.csv", ChecksumMode="ENABLED")
    with kept["Body"] as body:
        assert body.read() == BODY
    assert kept["ContentType"] == "text/csv"
    assert kept["Metadata"] == {"sha256": SHA256}
    assert kept["ServerSideEncryption"] == "AES256"
    assert base64.b64decode(kept["ChecksumSHA256"]).hex() == SHA256
    client.close()
    store.close()


def test_a_link_to_s3_is_a_download_for_a_while(bucket: str) -> None:
    store = S3Reports(bucket)
    store.put("runs/x.csv", io.BytesIO(BODY), content_type="text/csv", sha256=SHA256)
    link = store.link("runs/x.csv", file_name="run-x.csv", expires_s=300)
    query = parse_qs(urlsplit(link).query)
    assert query["X-Amz-Expires"] == ["300"]
    answer = httpx.get(link)
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="run-x.csv"'
    store.close()


@pytest.mark.usefixtures("aws")
def test_a_bucket_that_is_not_there_is_named_as_the_fault() -> None:
    store = S3Reports("no-such-bucket-here")
    with pytest.raises(ReportStoreError, match="NoSuchBucket") as caught:
        store.put("x", io.BytesIO(BODY), content_type="text/csv", sha256=SHA256)
    assert "RECONCILE_REPORT_STORE" in caught.value.remedy
    store.close()


@pytest.mark.usefixtures("aws")
def test_an_s3_that_is_away_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = S3Reports("reports")
    with pytest.raises(ReportStoreError, match="EndpointConnectionError"):
        store.put("x", io.BytesIO(BODY), content_type="text/csv", sha256=SHA256)
    store.close()


# -- Supabase Storage -------------------------------------------------------------------------


@dataclass
class Storage:
    """What the double has been given; `bucket` is the only one there is."""

    bucket: str = "reports"
    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def store(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        """POST /object/<bucket>/<path>, a multipart form with the file and its metadata."""
        if headers.get("authorization") != f"Bearer {KEY}":
            return 403, {"statusCode": "403", "error": "Unauthorized", "message": "no"}
        bucket, _, name = path.partition("/")
        if bucket != self.bucket:
            return 400, {"statusCode": "404", "error": "Bucket not found", "message": "no bucket"}
        if name in self.objects and headers.get("x-upsert") != "true":
            return 400, {"statusCode": "409", "error": "Duplicate", "message": "it exists"}
        head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
        for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            if part.get_param("name", header="content-disposition") == "metadata":
                self.metadata[name] = json.loads(payload)
            elif part.get_filename():
                self.objects[name], self.types[name] = payload, part["content-type"]
        return 200, {"Id": "1", "Key": path}

    def sign(self, path: str, body: bytes) -> tuple[int, Any]:
        """POST /object/sign/<bucket>/<path> with expiresIn, answered by a relative address."""
        bucket, _, name = path.partition("/")
        if bucket != self.bucket or name not in self.objects:
            return 400, {"statusCode": "404", "error": "not_found", "message": "no object"}
        expires = json.loads(body)["expiresIn"]
        return 200, {"signedURL": f"/object/sign/{path}?token=t{expires}"}


@pytest.fixture
def storage() -> Iterator[Storage]:
    double = Storage()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.sent()
            path = unquote(urlsplit(self.path).path).removeprefix("/storage/v1/object/")
            headers = {name.lower(): value for name, value in self.headers.items()}
            if path.startswith("sign/"):
                self._answer(*double.sign(path.removeprefix("sign/"), body))
            else:
                self._answer(*double.store(path, headers, body))

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            name = unquote(parts.path).removeprefix(f"/storage/v1/object/sign/{double.bucket}/")
            query = parse_qs(parts.query)
            assert query["token"]
            self.send_response(200)
            self.send_header("Content-Disposition", f"attachment; filename={query['download'][0]}")
            self.end_headers()
            self.wfile.write(double.objects[name])

        def _answer(self, status: int, value: Any) -> None:
            text = json.dumps(value).encode()
            self.answer(status, text, {"Content-Type": "application/json"})

    with loopback_server(Handler) as url:
        double.url = url
        yield double


@pytest.fixture
def reports_in(storage: Storage) -> Iterator[Any]:
    clients = []

    def made(
        bucket: str, prefix: str = "", *, url: str = storage.url, key: str = KEY
    ) -> SupabaseStorageReports:
        client = connect(url=url, service_role_key=key, rest_url=None, timeout_s=5)
        clients.append(client)
        return SupabaseStorageReports(client, bucket, prefix)

    yield made
    for client in clients:
        assert client.options.httpx_client is not None
        client.options.httpx_client.close()


def test_supabase_storage_keeps_a_report_as_it_is(storage: Storage, reports_in: Any) -> None:
    store = reports_in("reports", "team")
    for _ in range(2):
        store.put("runs/x.csv", io.BytesIO(BODY), content_type="text/csv", sha256=SHA256)
    assert storage.objects == {"team/runs/x.csv": BODY}
    assert storage.types == {"team/runs/x.csv": "text/csv"}
    assert storage.metadata == {"team/runs/x.csv": {"sha256": SHA256}}


def test_a_link_to_supabase_storage_is_a_download(storage: Storage, reports_in: Any) -> None:
    store = reports_in("reports")
    store.put("runs/x.pdf", io.BytesIO(BODY), content_type="application/pdf", sha256=SHA256)
    link = store.link("runs/x.pdf", file_name="run-x.pdf", expires_s=300)
    assert link.startswith(f"{storage.url}/storage/v1/object/sign/reports/runs/x.pdf?")
    answer = httpx.get(link)
    assert (answer.status_code, answer.content) == (200, BODY)
    assert "run-x.pdf" in answer.headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"bucket": "other"}, "404: Bucket not found"),
        ({"key": "another-key-than-that-one"}, "refused the key"),
        ({"url": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
def test_what_supabase_storage_refuses_is_an_error_of_ours(
    reports_in: Any, changes: dict[str, str], fault: str
) -> None:
    store = reports_in(**{"bucket": "reports", **changes})
    with pytest.raises(ReportStoreError, match=fault):
        store.put("x.csv", io.BytesIO(BODY), content_type="text/csv", sha256=SHA256)


def test_there_is_no_link_to_what_is_not_there(reports_in: Any) -> None:
    with pytest.raises(ReportStoreError, match="not_found"):
        reports_in("reports").link("x.csv", file_name="x.csv", expires_s=300)
