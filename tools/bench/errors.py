"""What stops a benchmark."""


class BenchError(Exception):
    """A sweep did not do what it was measured for, so that its time means nothing."""
