"""`reconcile keys new`: a key that the functions accept, shown once."""

import json

import pytest

from shared.cli.main import main
from shared.core.access import Role, find_api_key, parse_api_keys


def made(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["keys", "new", *argv]) == 0
    return capsys.readouterr().out


def test_the_key_and_its_line_belong_together(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = made(capsys, "alice", "--role", "admin").splitlines()
    key, setting = first.split()[-1], second.split()[-1]
    found = find_api_key(parse_api_keys(setting), key)
    assert found is not None
    assert (found.name, found.role) == ("alice", Role.ADMIN)
    assert key not in second


def test_as_json_it_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(made(capsys, "dashboard", "--json"))
    assert (shown["name"], shown["role"]) == ("dashboard", "viewer")
    assert find_api_key(parse_api_keys(shown["setting"]), shown["key"])


def test_no_two_are_alike_and_all_are_long(capsys: pytest.CaptureFixture[str]) -> None:
    keys = {json.loads(made(capsys, "a", "--json"))["key"] for _ in range(20)}
    assert len(keys) == 20
    assert all(len(key) == 46 and key.startswith("rk_") for key in keys)
