"""Settings that AWS keeps: read from Parameter Store (moto's) before the environment."""

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.stub import Stubber

from shared import parameter_store
from shared.core.errors import InvalidSettings
from shared.parameter_store import NAMES_MAX, read_parameters
from shared.settings import Settings, load_settings

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient

KEY = "a-service-role-key-that-nobody-sees"
PATH = "/balance-reconciliation/unit"


@pytest.fixture
def ssm(aws: str) -> Iterator["SSMClient"]:
    with closing(boto3.session.Session().client("ssm", endpoint_url=aws)) as client:
        client.put_parameter(
            Name=f"{PATH}/SUPABASE_SERVICE_ROLE_KEY",
            Value=KEY,
            Type="SecureString",
            Overwrite=True,
        )
        yield client


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The settings that are no secrets, and where the others are."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SUPABASE_URL", "https://project.example")
    monkeypatch.setenv("FLOW_ACCESS_NODE", "access.example:9000")
    monkeypatch.setenv("FLOW_CONTRACT_ADDRESS", "0xf8d6e0586b0a20c7")
    monkeypatch.setenv("RECONCILE_SSM_PARAMETERS", f"{PATH}/SUPABASE_SERVICE_ROLE_KEY")
    return monkeypatch


@pytest.mark.usefixtures("ssm", "environment")
def test_a_secret_is_read_decrypted() -> None:
    assert load_settings().supabase_service_role_key.get_secret_value() == KEY


@pytest.mark.usefixtures("ssm")
def test_what_is_kept_comes_before_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SUPABASE_SERVICE_ROLE_KEY", "another-key-that-is-long-enough")
    assert load_settings().supabase_service_role_key.get_secret_value() == KEY


def test_a_kept_list_is_read_as_one_of_the_environment_is(
    ssm: "SSMClient", environment: pytest.MonkeyPatch
) -> None:
    line = f"ops:admin:{'0f' * 32}"
    ssm.put_parameter(
        Name=f"{PATH}/RECONCILE_API_KEYS", Value=line, Type="SecureString", Overwrite=True
    )
    names = f"{PATH}/SUPABASE_SERVICE_ROLE_KEY, {PATH}/RECONCILE_API_KEYS"
    environment.setenv("RECONCILE_SSM_PARAMETERS", names)
    assert [key.name for key in load_settings().reconcile_api_keys] == ["ops"]


@pytest.mark.usefixtures("ssm")
def test_a_parameter_that_is_not_there_is_a_setting_that_is_not_set(
    environment: pytest.MonkeyPatch,
) -> None:
    assert read_parameters(f"{PATH}/SUPABASE_JWT_SECRET") == {}
    environment.setenv("RECONCILE_SSM_PARAMETERS", f"{PATH}/SUPABASE_JWT_SECRET")
    with pytest.raises(InvalidSettings, match="SUPABASE_SERVICE_ROLE_KEY: Field required"):
        load_settings()


@pytest.mark.usefixtures("aws", "environment")
def test_a_store_that_does_not_answer_is_a_fault_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(InvalidSettings, match=r"EndpointConnectionError.*ssm:GetParameters"):
        load_settings()


def test_a_refusal_names_its_code(ssm: "SSMClient", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameter_store, "_connect", lambda: ssm)
    with Stubber(ssm) as stubber:
        stubber.add_client_error("get_parameters", "AccessDeniedException")
        with pytest.raises(InvalidSettings, match=r"cannot be read \(AccessDeniedException\)"):
            read_parameters("/p")


def test_nobody_is_asked_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert read_parameters("") == read_parameters(" , ") == {}


def test_more_than_one_call_gives_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="11 parameters"):
        read_parameters(",".join(f"/p{number}" for number in range(NAMES_MAX + 1)))
