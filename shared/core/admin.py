"""Who acts: the name that the audit row records."""

from shared.core.errors import InvalidAdmin

DEFAULT_ADMIN_ADDRESS = "ADMIN"
ADMIN_LENGTH_MAX = 200


def check_admin_address(admin_address: str) -> str:
    """Return the name unchanged. Raises InvalidAdmin if it is blank, too long or not printable."""
    if not isinstance(admin_address, str) or not admin_address.strip():
        fault = "the admin address is blank"
    elif len(admin_address) > ADMIN_LENGTH_MAX:
        fault = f"the admin address has {len(admin_address)} characters"
    elif not admin_address.isprintable():
        fault = "the admin address has control characters"
    else:
        return admin_address
    raise InvalidAdmin(
        fault,
        remedy=f"Give 1 to {ADMIN_LENGTH_MAX} printable characters, or leave it out for 'ADMIN'.",
    )
