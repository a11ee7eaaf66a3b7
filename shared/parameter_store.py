"""Settings kept in AWS Systems Manager's Parameter Store: secrets that no environment shows.

Read at the first use of the settings. boto3 is imported here only then.
"""

from typing import TYPE_CHECKING

from shared.core.errors import InvalidSettings

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient

NAMES_MAX = 10
"""Parameters that Parameter Store gives in one call."""

_CONNECT_TIMEOUT_S = 3
_READ_TIMEOUT_S = 5
_ATTEMPTS_MAX = 3


def read_parameters(names: str) -> dict[str, str]:
    """The values of comma-separated parameters, decrypted, by the last parts of their names.

    A parameter that does not exist is left out. Raises InvalidSettings when they cannot be read.
    """
    wanted = [name for part in names.split(",") if (name := part.strip())]
    if not wanted:
        return {}
    if len(wanted) > NAMES_MAX:
        raise InvalidSettings(
            f"RECONCILE_SSM_PARAMETERS names {len(wanted)} parameters",
            remedy=f"Name {NAMES_MAX} at most.",
        )
    return _read(wanted)


def _read(names: list[str]) -> dict[str, str]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = _connect()
        answer = client.get_parameters(Names=names, WithDecryption=True)
        client.close()
    except (BotoCoreError, ClientError, ValueError) as error:
        # Its text may say what was sent, but the answer to a refused call holds no value.
        raise InvalidSettings(
            f"the parameters of RECONCILE_SSM_PARAMETERS cannot be read ({_fault(error)})",
            remedy="Give this function's role ssm:GetParameters on them, and try again.",
        ) from error
    return {each["Name"].rpartition("/")[2]: each["Value"] for each in answer["Parameters"]}


def _connect() -> "SSMClient":
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "ssm",
        config=Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS_MAX},
        ),
    )


def _fault(error: Exception) -> str:
    """The error's code, or its class's name."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "no code")
    return type(error).__name__
