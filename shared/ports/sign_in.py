"""Where people have accounts with a password."""

from typing import Protocol


class SignIn(Protocol):
    """Accounts of people."""

    def token(self, email: str, password: str) -> str:
        """A signed token of the account, to be verified as any other.

        Raises SignInRefused when there is no such account, the password is another or the account
        may not sign in: which of them is not said. Raises SignInUnreachable.
        """
