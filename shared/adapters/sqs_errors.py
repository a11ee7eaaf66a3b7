"""From what botocore raises to our errors, by class and error code, never by text."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from shared.core.errors import QueueError

TRANSPORT_ERRORS = (BotoCoreError, ClientError, ValueError)
"""Everything that a call of SQS raises; ValueError is an AWS_ENDPOINT_URL that is no URL."""

_MISSING = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_UNAUTHORIZED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "KMS.AccessDeniedException",
        "KmsAccessDenied",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_CREDENTIALS = (
    "Give this function's role sqs:SendMessage on the queue, or set credentials that have it."
)


def queue_error(error: Exception) -> QueueError:
    """Translate one of TRANSPORT_ERRORS; the caller raises it `from` the original."""
    if isinstance(error, ClientError):
        return _of_answer(error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return QueueError("there are no AWS credentials for SQS", remedy=_CREDENTIALS)
    if isinstance(error, NoRegionError):
        return QueueError(
            "the region of the SQS queue is not known", remedy="Set AWS_DEFAULT_REGION."
        )
    return QueueError(
        f"SQS cannot be reached ({type(error).__name__})",
        remedy="Check RECONCILE_QUEUE_URL and AWS_ENDPOINT_URL; the next tick sends again.",
    )


def _of_answer(error: ClientError) -> QueueError:
    answer = error.response.get("Error", {})
    code, message = answer.get("Code", "no code"), answer.get("Message", "no message")
    if code in _MISSING:
        return QueueError(
            f"the SQS queue does not exist ({code})",
            remedy="Set RECONCILE_QUEUE_URL to the queue's URL, in the region where it is.",
        )
    if code in _UNAUTHORIZED:
        return QueueError(f"SQS refused the credentials ({code})", remedy=_CREDENTIALS)
    return QueueError(
        f"SQS failed ({code}: {message[:200]})",
        remedy="The next tick sends again; look at the queue's settings if it persists.",
    )
