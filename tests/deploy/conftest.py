"""One deployment a session: the package for this interpreter, by osls into moto's server."""

import base64
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest

from tests.conftest import quiet
from tests.deploy.deployment import (
    REPORT_STORE,
    SERVICE,
    STAGE,
    Deployment,
    aws_environment,
    aws_session,
)
from tools.deploy import osls
from tools.package import build, own_target
from tools.stack import Stack

ROOT = Path(__file__).parents[2]
_PLAIN = (
    "SUPABASE_URL",
    "SUPABASE_REST_URL",
    "FLOW_ACCESS_NODE",
    "FLOW_CONTRACT_ADDRESS",
    "FLOW_MAX_SCRIPTS_PER_S",
    "RECONCILE_SETTLE_S",
)
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


@pytest.fixture(scope="session")
def api_key() -> str:
    """What an admin calls with; the deployment has its hash."""
    return f"test_{secrets.token_hex(24)}"


@pytest.fixture(scope="session")
def webhook_secret() -> str:
    """What the indexer signs with."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def stack_settings(stack: Stack) -> dict[str, str]:
    """Where the deployed functions find both sides."""
    names = ("SUPABASE_URL", "SUPABASE_REST_URL", "FLOW_ACCESS_NODE", "FLOW_CONTRACT_ADDRESS")
    return {name: stack.env[name] for name in names}


@pytest.fixture(scope="session")
def secret_settings(stack: Stack, api_key: str, webhook_secret: str) -> dict[str, str]:
    """What nobody but the functions may see."""
    return {
        "SUPABASE_SERVICE_ROLE_KEY": stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        "RECONCILE_API_KEYS": f"ops:admin:{sha256(api_key.encode()).hexdigest()}",
        "SUPABASE_JWT_SECRET": secrets.token_hex(32),
        "RECONCILE_WEBHOOK_SECRETS": webhook_secret,
        "RECONCILE_SESSION_SECRET": secrets.token_hex(32),
    }


@pytest.fixture(scope="session")
def deployment(
    stack: Stack,
    aws_server: str,
    secret_settings: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Deployment:
    """The stack of serverless.yml, deployed from the built zip, for the local stack."""
    project = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "serverless.yml", project)
    shutil.copytree(ROOT / "deploy", project / "deploy")
    build(project / "dist" / "functions.zip", own_target(), quiet)
    plain = {name: stack.env[name] for name in _PLAIN} | {"ALERT_EMAIL": "ops@example.com"}
    plain["RECONCILE_REPORT_STORE"] = REPORT_STORE
    _put_parameters(aws_server, plain, "String")
    _put_parameters(aws_server, secret_settings, "SecureString")
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env |= aws_environment(aws_server) | {"SLS_AWS_MONITORING_FREQUENCY": "100"}  # ms

    osls(("deploy", "--stage", STAGE), folder=project, env=env, progress=quiet)

    deployment = Deployment(aws_server, tmp_path_factory.mktemp("task"))
    deployment.unzip()
    deployment.take_the_queue()
    return deployment


def _put_parameters(
    aws: str, values: Mapping[str, str], kind: Literal["String", "SecureString"]
) -> None:
    with closing(aws_session().client("ssm", endpoint_url=aws)) as client:
        for name, value in values.items():
            client.put_parameter(Name=f"/{SERVICE}/{STAGE}/{name}", Value=value, Type=kind)
