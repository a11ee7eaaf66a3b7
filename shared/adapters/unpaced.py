"""No limit on how fast the access node is asked: for one's own node."""


class Unpaced:
    """Implements the port `Pace`."""

    def wait(self) -> None:
        """Return at once."""
