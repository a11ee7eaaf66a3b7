import base64
from pathlib import Path

import pytest

from shared.core.access import ApiKey, Role
from shared.core.amount import FlowAmount
from shared.core.errors import InvalidSettings
from shared.core.policy import Policy
from shared.core.run_alert import AlertLimits
from shared.settings import Settings, load_settings

SECRET = "secret-key-never-to-be-seen-in-a-message"
HASH = "0123456789abcdef" * 4
GOOD = {
    "SUPABASE_URL": "https://project.example",
    "SUPABASE_SERVICE_ROLE_KEY": SECRET,
    "FLOW_ACCESS_NODE": "access.example:9000",
    "FLOW_CONTRACT_ADDRESS": "0xF8D6E0586B0A20C7",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The four required settings alone, in an empty folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("RECONCILE_ENV_FILE", raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def write_env_file(path: Path, **changes: str) -> None:
    path.write_text("".join(f"{name}={value}\n" for name, value in {**GOOD, **changes}.items()))


@pytest.mark.usefixtures("environment")
def test_four_settings_are_enough() -> None:
    settings = load_settings()
    assert settings.flow_contract_address == "0xf8d6e0586b0a20c7"
    assert settings.flow_contract_name == "OverflowGame"
    assert settings.policy() == Policy()


def test_the_solvency_tolerance_is_flow(environment: pytest.MonkeyPatch) -> None:
    assert load_settings().solvency_tolerance == 1
    environment.setenv("RECONCILE_SOLVENCY_TOLERANCE", "12.5")
    assert load_settings().solvency_tolerance == 1_250_000_000


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_setting_is_named(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    with pytest.raises(InvalidSettings, match=name):
        load_settings()


BAD = [
    ("SUPABASE_URL", "project.example"),
    ("SUPABASE_URL", "ftp://project.example"),
    ("SUPABASE_SERVICE_ROLE_KEY", "short"),
    ("SUPABASE_REST_URL", "nowhere"),
    ("SUPABASE_TIMEOUT_S", "0"),
    ("SUPABASE_TIMEOUT_S", "601"),
    ("SUPABASE_TIMEOUT_S", "soon"),
    ("RECONCILE_SOLVENCY_TOLERANCE", "0"),
    ("RECONCILE_SOLVENCY_TOLERANCE", "-1"),
    ("RECONCILE_SOLVENCY_TOLERANCE", "0.000000001"),
    ("RECONCILE_SOLVENCY_TOLERANCE", "much"),
    ("FLOW_ACCESS_NODE", "access.example"),
    ("FLOW_ACCESS_NODE", "https://access.example:9000"),
    ("FLOW_ACCESS_NODE", ":9000"),
    ("FLOW_ACCESS_TLS", "perhaps"),
    ("FLOW_CONTRACT_ADDRESS", "0x01"),
    ("FLOW_CONTRACT_ADDRESS", ""),
    ("FLOW_CONTRACT_NAME", "Overflow Game"),
    ("FLOW_CONTRACT_NAME", "1Game"),
    ("FLOW_TIMEOUT_S", "-1"),
    ("FLOW_MAX_SCRIPTS_PER_S", "-1"),
    ("FLOW_EVENTS", ","),
    ("FLOW_EVENTS", "Deposited,"),
    ("FLOW_EVENTS", "Deposited Withdrawn"),
    ("FLOW_EVENTS", "OverflowGame.Deposited"),
    ("FLOW_EVENTS", "A.0xf8d6e0586b0a20c7.OverflowGame.Deposited"),
    ("FLOW_EVENTS", "A.F8D6E0586B0A20C7.OverflowGame.Deposited"),
    ("FLOW_EVENT_USER_FIELD", "user address"),
    ("RECONCILE_API_KEYS", SECRET),
    ("RECONCILE_API_KEYS", f"{SECRET}:admin:{HASH[1:]}"),
    ("RECONCILE_API_KEYS", f"alice:root:{HASH}"),
    ("RECONCILE_API_KEYS", f"alice smith:admin:{HASH}"),
    ("RECONCILE_API_KEYS", f"alice@example.com:admin:{HASH}"),
    ("RECONCILE_API_KEYS", f"a:admin:{HASH},"),
    ("RECONCILE_API_KEYS", f"a:admin:{HASH},b:admin:{HASH.upper()}"),
    ("RECONCILE_API_KEYS", f"a:admin:{HASH},a:viewer:{HASH[::-1]}"),
    ("SUPABASE_JWT_SECRET", SECRET[:31]),
    ("SUPABASE_JWKS_URL", "jwks.json"),
    ("RECONCILE_ROLES", "admin"),
    ("RECONCILE_ROLES", "admin=root"),
    ("RECONCILE_ROLES", "=admin"),
    ("RECONCILE_ROLES", "a=admin,a=viewer"),
    ("RECONCILE_REQUESTS_PER_MIN", "-1"),
    ("RECONCILE_CORS_ORIGINS", "*"),
    ("RECONCILE_CORS_ORIGINS", "null"),
    ("RECONCILE_CORS_ORIGINS", "https://app.example/"),
    ("RECONCILE_CORS_ORIGINS", "https://*.example"),
    ("RECONCILE_CORS_ORIGINS", "https://App.example"),
    ("RECONCILE_CORS_ORIGINS", "https://app.example,"),
    ("RECONCILE_TOLERANCE", "0"),
    ("RECONCILE_TOLERANCE", "-1"),
    ("RECONCILE_TOLERANCE", "0.000000001"),
    ("RECONCILE_TOLERANCE", "NaN"),
    ("RECONCILE_TOLERANCE", "much"),
    ("RECONCILE_BATCH_SIZE", "0"),
    ("RECONCILE_BATCH_SIZE", "50001"),
    ("RECONCILE_BATCH_SIZE", "1.5"),
    ("RECONCILE_SETTLE_S", "-1"),
    ("RECONCILE_SETTLE_S", "901"),
    ("RECONCILE_HALT_SHARE", "1.1"),
    ("RECONCILE_HALT_SHARE", "50"),
    ("RECONCILE_HALT_UNREAD_SHARE", "-0.1"),
    ("RECONCILE_HALT_MIN_USERS", "0"),
    ("RECONCILE_EVENT_BLOCKS_MAX", "0"),
    ("RECONCILE_ALERT_URLS", SECRET),
    ("RECONCILE_ALERT_URLS", f"json://127.0.0.1/a {SECRET}"),
    ("RECONCILE_ALERT_URLS", "json://127.0.0.1/a,json://127.0.0.1/a"),
    ("RECONCILE_ALERT_TOPIC_ARN", "alerts"),
    ("RECONCILE_ALERT_TOPIC_ARN", "arn:aws:sqs:eu-west-1:123456789012:alerts"),
    ("RECONCILE_ALERT_MIN_FLOW", "-1"),
    ("RECONCILE_ALERT_MIN_FLOW", "0.000000001"),
    ("RECONCILE_ALERT_CRITICAL_FLOW", "much"),
    ("RECONCILE_ALERT_CRITICAL_SHARE", "1.1"),
    ("RECONCILE_OVERDUE_HOURS", "0"),
    ("RECONCILE_QUEUE_URL", "chunks"),
    ("RECONCILE_QUEUE_URL", "arn:aws:sqs:eu-west-1:123456789012:chunks"),
    ("RECONCILE_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_named_and_not_shown(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    assert name in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.code == "invalid_settings"


def test_every_bad_value_is_named_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("SUPABASE_URL")
    environment.setenv("FLOW_CONTRACT_ADDRESS", "x")
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    assert "SUPABASE_URL" in str(caught.value)
    assert "FLOW_CONTRACT_ADDRESS" in str(caught.value)


def test_a_short_key_is_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SUPABASE_SERVICE_ROLE_KEY", "hush-hush")
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    shown = [str(caught.value), repr(caught.value)]
    assert not any("hush" in text for text in shown)


@pytest.mark.usefixtures("environment")
def test_secrets_are_not_in_the_settings_text() -> None:
    settings = load_settings()
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.model_dump())


def test_the_policy_is_read_in_units(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RECONCILE_TOLERANCE", "1e-6")
    environment.setenv("RECONCILE_BATCH_SIZE", "500")
    environment.setenv("RECONCILE_SETTLE_S", "0")
    environment.setenv("RECONCILE_HALT_SHARE", "1")
    policy = load_settings().policy()
    assert (policy.tolerance, policy.batch_size, policy.settle_s, policy.halt_share) == (
        100,
        500,
        0,
        1,
    )


@pytest.mark.usefixtures("environment")
def test_the_events_are_those_of_the_contract_that_ships() -> None:
    settings = load_settings()
    assert settings.flow_events == ("Deposited", "Withdrawn", "Settled")
    assert settings.flow_event_user_field == "userAddress"


def test_events_are_named_or_given_by_type_id(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FLOW_EVENTS", "Moved, A.0000000000000001.Bank.Moved")
    assert load_settings().flow_events == ("Moved", "A.0000000000000001.Bank.Moved")


def test_an_env_file_serves_when_the_environment_has_none(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in GOOD:
        environment.delenv(name)
    write_env_file(tmp_path / ".env.local", RECONCILE_BATCH_SIZE="7")
    assert load_settings().reconcile_batch_size == 7


def test_another_env_file_can_be_named(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in GOOD:
        environment.delenv(name)
    write_env_file(tmp_path / "other.env", RECONCILE_BATCH_SIZE="8")
    environment.setenv("RECONCILE_ENV_FILE", str(tmp_path / "other.env"))
    assert load_settings().reconcile_batch_size == 8


def test_an_env_file_never_mixes_with_a_supabase_url_in_the_environment(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_env_file(tmp_path / ".env.local", RECONCILE_BATCH_SIZE="7")
    assert load_settings().reconcile_batch_size == 10_000
    environment.delenv("SUPABASE_SERVICE_ROLE_KEY")
    with pytest.raises(InvalidSettings, match="SUPABASE_SERVICE_ROLE_KEY"):
        load_settings()


def test_the_queue_url_is_taken_as_it_is(environment: pytest.MonkeyPatch) -> None:
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/chunks"
    environment.setenv("RECONCILE_QUEUE_URL", url)
    assert load_settings().reconcile_queue_url == url
    environment.setenv("RECONCILE_QUEUE_URL", "")
    assert load_settings().reconcile_queue_url is None


def test_keys_are_named_and_kept_as_hashes(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(
        "RECONCILE_API_KEYS", f"alice:admin:{HASH}, alice:admin:{HASH[::-1].upper()}"
    )
    assert load_settings().reconcile_api_keys == (
        ApiKey("alice", Role.ADMIN, HASH),
        ApiKey("alice", Role.ADMIN, HASH[::-1]),
    )
    assert HASH not in repr(load_settings())


@pytest.mark.usefixtures("environment")
def test_nobody_is_let_in_by_default() -> None:
    settings = load_settings()
    assert not settings.reconcile_api_keys
    assert not settings.checks_tokens
    assert not settings.reconcile_cors_origins


def test_tokens_are_the_projects_own(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SUPABASE_JWKS_URL", "https://project.example/jwks.json")
    settings = load_settings()
    assert settings.checks_tokens
    assert settings.token_issuer == "https://project.example/auth/v1"
    assert settings.supabase_jwt_audience == "authenticated"
    assert settings.reconcile_roles == {"viewer": Role.VIEWER, "admin": Role.ADMIN}
    environment.setenv("SUPABASE_JWT_ISSUER", "https://ref.supabase.co/auth/v1")
    environment.setenv("RECONCILE_ROLES", "staff = viewer, boss=delegate")
    assert load_settings().token_issuer == "https://ref.supabase.co/auth/v1"
    assert load_settings().reconcile_roles == {"staff": Role.VIEWER, "boss": Role.DELEGATE}


def test_an_empty_variable_is_one_that_is_not_set(environment: pytest.MonkeyPatch) -> None:
    for name in (
        "SUPABASE_REST_URL",
        "FLOW_BALANCE_SCRIPT",
        "RECONCILE_API_KEYS",
        "FLOW_TIMEOUT_S",
    ):
        environment.setenv(name, "")
    settings = load_settings()
    assert settings.supabase_rest_url is None
    assert settings.flow_balance_script is None
    assert settings.reconcile_api_keys == ()
    assert settings.flow_timeout_s == 15


def test_an_empty_supabase_url_leaves_the_env_file_in_force(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("SUPABASE_URL", "")
    write_env_file(tmp_path / ".env.local", SUPABASE_URL="https://local.example")
    assert str(load_settings().supabase_url) == "https://local.example/"


WEBHOOK_SECRETS = [
    "whsec_" + base64.b64encode(bytes([number]) * size).decode()
    for number, size in enumerate([24, 64])
]


@pytest.mark.parametrize("separator", [",", ", "])
def test_the_webhook_has_one_secret_or_two(environment: pytest.MonkeyPatch, separator: str) -> None:
    assert load_settings().reconcile_webhook_secrets == ()
    environment.setenv("RECONCILE_WEBHOOK_SECRETS", separator.join(WEBHOOK_SECRETS))
    settings = load_settings()
    given = [each.get_secret_value() for each in settings.reconcile_webhook_secrets]
    assert given == WEBHOOK_SECRETS
    assert not any(secret in repr(settings) for secret in WEBHOOK_SECRETS)


@pytest.mark.parametrize(
    "secrets",
    [
        "hush",
        "whsec_",
        "whsec_hush!hush!hush!hush!hush!hush!hush!",
        "whsec_" + base64.b64encode(b"hush" * 5).decode(),
        "whsec_" + base64.b64encode(b"hush" * 17).decode(),
        WEBHOOK_SECRETS[0] + ",",
        ",".join([*WEBHOOK_SECRETS, WEBHOOK_SECRETS[0]]),
    ],
)
def test_a_webhook_secret_that_is_none_is_refused_and_not_shown(
    environment: pytest.MonkeyPatch, secrets: str
) -> None:
    environment.setenv("RECONCILE_WEBHOOK_SECRETS", secrets)
    with pytest.raises(InvalidSettings, match="RECONCILE_WEBHOOK_SECRETS") as caught:
        load_settings()
    assert "hush" not in str(caught.value)
    assert WEBHOOK_SECRETS[0] not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("json://a/x", ["json://a/x"]),
        ("json://a/x,slack://b", ["json://a/x", "slack://b"]),
        (" json://a/x ,\n slack://b, ", ["json://a/x", "slack://b"]),
        ("mailto://h?to=a@b.c,d@e.f,json://a", ["mailto://h?to=a@b.c,d@e.f", "json://a"]),
    ],
)
def test_alert_urls_are_divided_by_commas_and_spaces(
    environment: pytest.MonkeyPatch, text: str, urls: list[str]
) -> None:
    environment.setenv("RECONCILE_ALERT_URLS", text)
    found = load_settings().reconcile_alert_urls
    assert [each.get_secret_value() for each in found] == urls


def test_a_bad_alert_url_is_named_by_its_position(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RECONCILE_ALERT_URLS", f"json://a/x {SECRET}")
    with pytest.raises(InvalidSettings, match="number 2 is no URL") as refused:
        load_settings()
    assert SECRET not in str(refused.value)


@pytest.mark.usefixtures("environment")
def test_alert_limits_are_amounts(environment: pytest.MonkeyPatch) -> None:
    assert load_settings().alert_limits() == AlertLimits()
    environment.setenv("RECONCILE_ALERT_MIN_FLOW", "0.5")
    environment.setenv("RECONCILE_ALERT_CRITICAL_FLOW", "1e3")
    environment.setenv("RECONCILE_ALERT_CRITICAL_SHARE", "0.5")
    assert load_settings().alert_limits() == AlertLimits(
        min_flow=FlowAmount(50_000_000),
        critical_flow=FlowAmount(100_000_000_000),
        critical_share=0.5,
    )
