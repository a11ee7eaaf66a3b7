"""No part of a channel's URL may be read in an error."""

import pytest

from shared.adapters.alert_channel_name import channel_name
from shared.adapters.apprise_channels import without_parts_of
from shared.adapters.sns_channel import subject


@pytest.mark.parametrize(
    ("url", "said", "left"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdn/#ops", "T1JJ3T3L2 and TIiajkdn", "[…] and […]"),
        ("json://user:hunter2@host.example:80/p", "hunter2 at host.example", "[…] at […]"),
        ("json://user:pw@host.example", "pw", "[…]"),
        ("json://h/?token=abcd%20efgh", "abcd%20efgh abcd efgh", "[…] […]"),
        ("json://127.0.0.1:8/secret", "error=500 of /secret", "error=500 of /[…]"),
        ("slack://T1JJ3T3L2", "error=404.", "error=404."),
    ],
)
def test_what_stands_in_the_url_is_taken_out(url: str, said: str, left: str) -> None:
    assert without_parts_of(url, said) == left


def test_a_name_is_the_scheme_and_a_part_of_the_hash() -> None:
    assert channel_name("Slack://a/b") == f"slack-{channel_name('Slack://a/b')[-8:]}"
    assert channel_name("slack://a/b") != channel_name("slack://a/c")
    assert channel_name("://").startswith("channel-")


@pytest.mark.parametrize(
    ("title", "line"),
    [("fine", "fine"), ("ä\nb", "??b"), ("x" * 101, "x" * 97 + "...")],
)
def test_a_subject_is_a_short_line_of_ascii(title: str, line: str) -> None:
    assert subject(title) == line
