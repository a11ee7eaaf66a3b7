"""Alerts to an SNS topic, which hands them on to its subscribers: e-mail, a queue, a pager.

boto3 is imported when the first message is sent.
"""

from typing import TYPE_CHECKING

from shared.adapters.alert_channel_name import channel_name
from shared.core.alert import Severity
from shared.core.errors import AlertNotDelivered
from shared.ports.alerts import AlertText

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

SUBJECT_CHARS_MAX = 100
"""SNS takes this many, ASCII alone, in one line."""

_CONNECT_TIMEOUT_S = 3
_READ_TIMEOUT_S = 5
_ATTEMPTS_MAX = 2
_REMEDY = (
    "Check RECONCILE_ALERT_TOPIC_ARN, and that this function's role has sns:Publish on the topic."
)


class SnsChannel:
    """Implements the port `AlertChannel` for the topic of RECONCILE_ALERT_TOPIC_ARN.

    Subscribers may filter by the attribute `severity`.
    """

    def __init__(self, topic_arn: str) -> None:
        self._topic_arn = topic_arn
        self.name = channel_name(f"sns:{topic_arn}")

    def check(self) -> None:
        """The setting's form is all that can be checked."""

    def send(self, text: AlertText, severity: Severity) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = self._connect()
            try:
                client.publish(
                    TopicArn=self._topic_arn,
                    Subject=subject(text.title),
                    Message=f"{text.title}\n\n{text.body}",
                    MessageAttributes={
                        "severity": {"DataType": "String", "StringValue": severity.value}
                    },
                )
            finally:
                client.close()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "no code")
            raise AlertNotDelivered(
                f"SNS did not take the message ({code})", remedy=_REMEDY
            ) from error
        except (BotoCoreError, ValueError) as error:
            raise AlertNotDelivered(
                f"SNS cannot be reached ({type(error).__name__})", remedy=_REMEDY
            ) from error

    def _connect(self) -> "SNSClient":
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "sns",
            region_name=self._topic_arn.split(":")[3],
            config=Config(
                connect_timeout=_CONNECT_TIMEOUT_S,
                read_timeout=_READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS_MAX},
            ),
        )


def subject(title: str) -> str:
    """A title as SNS takes it."""
    line = "".join(each if " " <= each <= "~" else "?" for each in title).strip()
    return line if len(line) <= SUBJECT_CHARS_MAX else line[: SUBJECT_CHARS_MAX - 3] + "..."
