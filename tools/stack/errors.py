"""The one error of the local stack."""


class StackError(Exception):
    """The stack could not be started or stopped. The text names the fault and the remedy."""
