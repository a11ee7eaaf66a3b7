"""What can go wrong between this machine and the chain."""

import re

_ERROR_CODE = re.compile(r"\[Error Code: (\d+)\]")


class ChainError(Exception):
    """The access node refused a request, or could not be reached.

    `error_code` is Flow's own number for the fault (1101 is an error in Cadence code), None when
    the message has none.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        match = _ERROR_CODE.search(message)
        self.error_code = int(match.group(1)) if match else None


class ChainTransactionError(ChainError):
    """A transaction was executed and failed, so it changed nothing but the proposer's sequence
    number.

    The message is Cadence's own, which names the line and carries the text of a panic.
    """

    def __init__(self, message: str, transaction_id: str) -> None:
        super().__init__(message)
        self.transaction_id = transaction_id
