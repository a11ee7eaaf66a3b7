import pytest

from shared.core.admin import DEFAULT_ADMIN_ADDRESS, check_admin_address
from shared.core.errors import InvalidAdmin


@pytest.mark.parametrize(
    "admin", [DEFAULT_ADMIN_ADDRESS, "0xf8d6e0586b0a20c7", "x" * 200, "Zoë", "cron job", " a "]
)
def test_a_name_is_kept_as_it_is(admin: str) -> None:
    assert check_admin_address(admin) == admin


@pytest.mark.parametrize("admin", ["", " ", "\t\n", "x" * 201, "a\nb", "a\x00b", "a\u2028b"])
def test_a_name_that_an_audit_row_cannot_keep_is_refused(admin: str) -> None:
    with pytest.raises(InvalidAdmin) as caught:
        check_admin_address(admin)
    assert caught.value.code == "invalid_admin"


def test_something_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidAdmin):
        check_admin_address(None)  # type: ignore[arg-type]
