"""All settings, read from the environment (or a local stack's env file) in one place."""

import base64
import os
import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
)

from shared.core.access import ApiKey, Role, parse_api_keys, parse_role
from shared.core.address import FlowAddress, parse_address
from shared.core.amount import FlowAmount, parse_amount
from shared.core.errors import InvalidInput, InvalidSettings
from shared.core.policy import Policy
from shared.environment import read_environment
from shared.parameter_store import read_parameters

if TYPE_CHECKING:
    from shared.core.run_alert import AlertLimits


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


def _alert_urls(text: str) -> list[str]:
    # A URL may hold commas: one divides only before the next URL.
    urls = [url for url in re.split(r"\s+|,+(?=\s|$|[A-Za-z][\w.+-]*://)", text) if url]
    for number, url in enumerate(urls, 1):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", url):
            raise ValueError(f"number {number} is no URL, such as slack://…")
    if len(urls) != len(set(urls)):
        raise ValueError("a URL is there twice")
    return urls


def _flow(value: Decimal) -> Decimal:
    try:
        units = parse_amount(format(value, "f"))
    except InvalidInput as error:
        raise ValueError(error.fault) from error
    if units < 0:
        raise ValueError("must not be negative")
    return value


ContractAddress = Annotated[str, AfterValidator(_address)]
Secret = Annotated[SecretStr, Field(min_length=16)]
SessionSecret = Annotated[SecretStr, Field(min_length=32)]  # it signs who is signed in
JwtSecret = Annotated[SecretStr, Field(min_length=32)]  # HS256 is as strong as its secret
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
AccessNode = Annotated[str, StringConstraints(pattern=r"^[^\s:/]+:[0-9]{1,5}$")]
# A bucket and what all names in it begin with; no part of that is . or ..
ReportStoreUrl = Annotated[
    str,
    StringConstraints(
        pattern=r"^(s3|supabase)://[A-Za-z0-9][A-Za-z0-9._-]{1,62}"
        r"(/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*/?$"
    ),
]
QueueUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+/[^\s]+$")]
Origin = Annotated[
    str, StringConstraints(pattern=r"^https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?$")
]
Share = Annotated[float, Field(ge=0, le=1)]
Flow = Annotated[Decimal, AfterValidator(_flow)]
TopicArn = Annotated[
    str,
    StringConstraints(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}$"),
]
CadenceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
EventName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(A\.[0-9a-f]{16}\.[A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*$"
    ),
]


class Settings(BaseModel):
    """Names are those of the environment variables, in lower case; see the README's table.

    Durations in seconds. `flow_max_scripts_per_s` 0 means no limit.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    supabase_url: HttpUrl
    supabase_service_role_key: Secret
    supabase_rest_url: HttpUrl | None = None
    supabase_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0

    flow_access_node: AccessNode
    flow_access_tls: bool = False
    flow_contract_address: ContractAddress
    flow_contract_name: CadenceName = "OverflowGame"
    flow_balance_script: Path | None = None
    flow_vault_script: Path | None = None
    flow_timeout_s: Annotated[float, Field(gt=0, le=600)] = 15.0
    flow_max_scripts_per_s: Annotated[float, Field(ge=0)] = 5.0
    flow_rate_budget: Annotated[str, StringConstraints(pattern=r"^\S{1,100}$")] = "default"
    flow_events: tuple[EventName, ...] = ("Deposited", "Withdrawn", "Settled")
    flow_event_user_field: CadenceName = "userAddress"

    reconcile_api_keys: tuple[ApiKey, ...] = ()
    supabase_jwt_secret: JwtSecret | None = None
    supabase_jwks_url: HttpUrl | None = None
    supabase_jwt_issuer: str | None = None
    supabase_jwt_audience: str = "authenticated"
    reconcile_roles: dict[str, Role] = {
        "viewer": Role.VIEWER,
        "admin": Role.ADMIN,
    }
    reconcile_requests_per_min: Annotated[int, Field(ge=0, le=100_000)] = 120
    reconcile_cors_origins: tuple[Origin, ...] = ()
    reconcile_session_secret: SessionSecret | None = None
    reconcile_dashboard_url: HttpUrl | None = None
    reconcile_tolerance: Decimal = Decimal("0.00000001")
    reconcile_solvency_tolerance: Decimal = Decimal("0.00000001")
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
    reconcile_report_store: ReportStoreUrl | None = None
    reconcile_webhook_secrets: Annotated[tuple[WebhookSecret, ...], Field(max_length=2)] = ()
    reconcile_webhook_tolerance_s: Annotated[float, Field(ge=1, le=3_600)] = 300.0
    reconcile_webhook_inline_users: Annotated[int, Field(ge=0, le=1_000)] = 25
    reconcile_alert_urls: Annotated[tuple[SecretStr, ...], Field(max_length=20)] = ()
    reconcile_alert_topic_arn: TopicArn | None = None
    reconcile_alert_min_flow: Flow = Decimal(0)
    reconcile_alert_critical_flow: Flow = Decimal(100)
    reconcile_alert_critical_share: Share = 0.01
    reconcile_overdue_hours: Annotated[float, Field(gt=0, le=8_760)] = 3.0
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

    @field_validator("reconcile_alert_urls", mode="before")
    @classmethod
    def _parse_alert_urls(cls, value: object) -> object:
        return _alert_urls(value) if isinstance(value, str) else value

    @field_validator("reconcile_tolerance", "reconcile_solvency_tolerance")
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

    @property
    def solvency_tolerance(self) -> FlowAmount:
        """In units of 1e-8 FLOW."""
        return parse_amount(format(self.reconcile_solvency_tolerance, "f"))

    def alert_limits(self) -> "AlertLimits":
        """From when on drift is told, and critical."""
        from shared.core.run_alert import AlertLimits  # few functions tell of drift

        return AlertLimits(
            min_flow=parse_amount(format(self.reconcile_alert_min_flow, "f")),
            critical_flow=parse_amount(format(self.reconcile_alert_critical_flow, "f")),
            critical_share=self.reconcile_alert_critical_share,
        )

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
    names = [name.upper() for name in Settings.model_fields]
    found = read_environment(names) | read_parameters(
        os.environ.get("RECONCILE_SSM_PARAMETERS", "")
    )
    try:
        return Settings.model_validate({name.lower(): value for name, value in found.items()})
    except ValidationError as error:
        raise InvalidSettings(
            "; ".join(
                f"{'.'.join(map(str, each['loc'])).upper()}: {each['msg']}"
                for each in error.errors()
            ),
            remedy="Set these environment variables; the README's configuration table tells how.",
        ) from error
