"""All settings, read from the environment (or a local stack's env file) in one place."""

import base64
import os
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    HttpUrl,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.core.access import ApiKey, Role, parse_api_keys, parse_role
from shared.core.address import FlowAddress, parse_address
from shared.core.amount import parse_amount
from shared.core.errors import InvalidInput, InvalidSettings
from shared.core.policy import Policy
from shared.parameter_store import read_parameters


def _address(text: str) -> FlowAddress:
    try:
        return parse_address(text)
    except InvalidInput as error:
        raise ValueError(error.fault) from error


def _roles(text: str) -> dict[str, Role]:
    pairs = [pair.split("=") for pair in text.split(",")]
    if not all(len(pair) == 2 and pair[0].strip() for pair in pairs):
        raise ValueError("is not theirs=ours,…")
    roles = {theirs.strip(): parse_role(ours.strip()) for theirs, ours in pairs}
    if len(roles) < len(pairs):
        raise ValueError("a role is there twice")
    return roles


def _webhook_secret(secret: SecretStr) -> SecretStr:
    prefix, encoded = secret.get_secret_value()[:6], secret.get_secret_value()[6:]
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except ValueError:
        size = 0
    if prefix != "whsec_" or not 24 <= size <= 64:
        raise ValueError("is not whsec_ and 24 to 64 bytes in base64")
    return secret


ContractAddress = Annotated[str, AfterValidator(_address)]
Secret = Annotated[SecretStr, Field(min_length=16)]
JwtSecret = Annotated[SecretStr, Field(min_length=32)]  # HS256 is as strong as its secret
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
AccessNode = Annotated[str, StringConstraints(pattern=r"^[^\s:/]+:[0-9]{1,5}$")]
QueueUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+/[^\s]+$")]
Origin = Annotated[
    str, StringConstraints(pattern=r"^https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?$")
]
Share = Annotated[float, Field(ge=0, le=1)]
CadenceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
EventName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(A\.[0-9a-f]{16}\.[A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*$"
    ),
]


class Settings(BaseSettings):
    """Names are those of the environment variables, in lower case; see the README's table.

    Durations in seconds. `flow_max_scripts_per_s` 0 means no limit.
    """

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    supabase_url: HttpUrl
    supabase_service_role_key: Secret
    supabase_rest_url: HttpUrl | None = None
    supabase_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0

    flow_access_node: AccessNode
    flow_access_tls: bool = False
    flow_contract_address: ContractAddress
    flow_contract_name: CadenceName = "OverflowGame"
    flow_balance_script: Path | None = None
    flow_timeout_s: Annotated[float, Field(gt=0, le=600)] = 15.0
    flow_max_scripts_per_s: Annotated[float, Field(ge=0)] = 5.0
    flow_rate_budget: Annotated[str, StringConstraints(pattern=r"^\S{1,100}$")] = "default"
    flow_events: Annotated[tuple[EventName, ...], NoDecode] = ("Deposited", "Withdrawn", "Settled")
    flow_event_user_field: CadenceName = "userAddress"

    reconcile_api_keys: Annotated[tuple[ApiKey, ...], NoDecode] = ()
    supabase_jwt_secret: JwtSecret | None = None
    supabase_jwks_url: HttpUrl | None = None
    supabase_jwt_issuer: str | None = None
    supabase_jwt_audience: str = "authenticated"
    reconcile_roles: Annotated[dict[str, Role], NoDecode] = {
        "viewer": Role.VIEWER,
        "admin": Role.ADMIN,
    }
    reconcile_requests_per_min: Annotated[int, Field(ge=0, le=100_000)] = 120
    reconcile_cors_origins: Annotated[tuple[Origin, ...], NoDecode] = ()
    reconcile_tolerance: Decimal = Decimal("0.00000001")
    reconcile_batch_size: Annotated[int, Field(ge=1, le=50_000)] = 10_000
    reconcile_settle_s: Annotated[float, Field(ge=0, le=900)] = 30.0
    reconcile_halt_share: Share = 0.5
    reconcile_halt_unread_share: Share = 0.1
    reconcile_halt_min_users: Annotated[int, Field(ge=1)] = 100
    reconcile_event_blocks_max: Annotated[int, Field(ge=1)] = 10_000
    reconcile_rotate_chunks: Annotated[int, Field(ge=0, le=1_000)] = 1
    reconcile_lease_s: Annotated[float, Field(ge=1, le=3_600)] = 120.0
    reconcile_deadline_s: Annotated[float, Field(gt=0, le=3_600)] = 50.0
    reconcile_queue_url: QueueUrl | None = None
    reconcile_webhook_secrets: Annotated[
        tuple[WebhookSecret, ...], NoDecode, Field(max_length=2)
    ] = ()
    reconcile_webhook_tolerance_s: Annotated[float, Field(ge=1, le=3_600)] = 300.0
    reconcile_webhook_inline_users: Annotated[int, Field(ge=0, le=1_000)] = 25
    reconcile_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    reconcile_metrics: Literal["emf", "off"] | None = None
    reconcile_stage: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,50}$")] = "local"

    @field_validator("reconcile_api_keys", mode="before")
    @classmethod
    def _parse_keys(cls, value: object) -> object:
        return parse_api_keys(value) if isinstance(value, str) else value

    @field_validator("reconcile_roles", mode="before")
    @classmethod
    def _parse_roles(cls, value: object) -> object:
        return _roles(value) if isinstance(value, str) else value

    @field_validator(
        "flow_events", "reconcile_cors_origins", "reconcile_webhook_secrets", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value

    @field_validator("reconcile_tolerance")
    @classmethod
    def _tolerance_in_units(cls, value: Decimal) -> Decimal:
        try:
            units = parse_amount(format(value, "f"))
        except InvalidInput as error:
            raise ValueError(error.fault) from error
        if units < 1:
            raise ValueError("must be at least 0.00000001")
        return value

    @property
    def checks_tokens(self) -> bool:
        """Is there anything to check a Supabase Auth token by?"""
        return bool(self.supabase_jwt_secret or self.supabase_jwks_url)

    @property
    def token_issuer(self) -> str:
        """Who must have signed a token."""
        return self.supabase_jwt_issuer or str(self.supabase_url).rstrip("/") + "/auth/v1"

    def policy(self) -> Policy:
        """The part of the settings that the core decides by."""
        return Policy(
            tolerance=parse_amount(format(self.reconcile_tolerance, "f")),
            batch_size=self.reconcile_batch_size,
            settle_s=self.reconcile_settle_s,
            halt_share=self.reconcile_halt_share,
            halt_min_users=self.reconcile_halt_min_users,
            halt_unread_share=self.reconcile_halt_unread_share,
        )


@cache
def settings() -> Settings:
    """The process's settings. Raises InvalidSettings, naming every wrong or missing variable."""
    return load_settings()


def load_settings() -> Settings:
    """Read the settings now. Raises InvalidSettings.

    Those that RECONCILE_SSM_PARAMETERS names come first. The env file is read only when
    SUPABASE_URL is not in the environment: a local stack's file never mixes with a production
    environment.
    """
    in_environment = bool(os.environ.get("SUPABASE_URL"))
    env_file = None if in_environment else os.environ.get("RECONCILE_ENV_FILE", ".env.local")
    try:
        return Settings(_env_file=env_file, **_stored())  # type: ignore[arg-type, call-arg]
    except ValidationError as error:
        raise InvalidSettings(
            "; ".join(
                f"{'.'.join(map(str, each['loc'])).upper()}: {each['msg']}"
                for each in error.errors()
            ),
            remedy="Set these environment variables; the README's configuration table tells how.",
        ) from error


def _stored() -> dict[str, str]:
    kept = read_parameters(os.environ.get("RECONCILE_SSM_PARAMETERS", ""))
    return {name.lower(): value for name, value in kept.items()}
