"""What the races share. Each module says in a fixture `url` what its databases hold."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.integration.sessions import Connection, open_session
from tools.pgtap import migrated_database


@pytest.fixture(scope="module")
def template(database_url: str) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to."""
    with migrated_database(database_url) as url:
        yield str(conninfo_to_dict(url)["dbname"])


@pytest.fixture
def first(url: str) -> Iterator[Connection]:
    with open_session(url) as connection:
        yield connection


@pytest.fixture
def second(url: str) -> Iterator[Connection]:
    with open_session(url) as connection:
        yield connection


@pytest.fixture
def observer(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as executor:
        yield executor
