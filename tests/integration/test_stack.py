"""The local stack starts, fails, is killed and ends, leaves nothing and disturbs no other stack."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tools.stack import Stack, StackError, find_pgtap_sql, start_stack
from tools.stack.env_file import read_env_file
from tools.stack.folder import StateFolder
from tools.stack.ports import free_ports

ROOT = Path(__file__).parents[2]
WAIT_S = 30.0
OWNER = """
import sys, time
from pathlib import Path
from tools.stack import start_stack
start_stack(Path(sys.argv[1]), progress=lambda text: print(text, flush=True))
print("ready", flush=True)
time.sleep(600)
"""


def quiet(text: str) -> None:
    """Shows nothing."""


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def python(*arguments: str | Path) -> list[str]:
    return [sys.executable, *map(str, arguments)]


def run_command(command: str, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python("-m", "tools.stack", command, "--root", root),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def spawn(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        python(*arguments),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def rest_status(stack: Stack, path: str, key: str | None = None) -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"{stack.rest_url}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def row_count(stack: Stack) -> int:
    with psycopg.connect(stack.database_url) as connection:
        row = connection.execute("select count(*) from public.user_balances").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder like a checkout's; whatever a test leaves running there is ended."""
    yield tmp_path
    run_command("down", tmp_path)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with start_stack(tmp_path_factory.mktemp("stack") / "state", progress=quiet) as stack:
        yield stack


def test_the_environment_leads_to_servers_that_answer(stack: Stack) -> None:
    assert rest_status(stack, "/user_balances", stack.env["SUPABASE_SERVICE_ROLE_KEY"]) == 200
    assert stack.env["SUPABASE_URL"] == stack.env["SUPABASE_REST_URL"] == stack.rest_url
    assert stack.env["FLOW_ACCESS_NODE"] == stack.access_node
    assert stack.env["FLOW_CONTRACT_ADDRESS"] == stack.env["STACK_SERVICE_ADDRESS"]
    assert read_env_file(stack.env_file) == stack.env


def test_a_key_that_the_stack_did_not_sign_is_refused(stack: Stack) -> None:
    key = stack.env["SUPABASE_SERVICE_ROLE_KEY"]
    assert rest_status(stack, "/user_balances", key[:-4] + "AAAA") == 401


def test_migrations_belong_to_a_role_that_is_no_superuser(stack: Stack) -> None:
    with psycopg.connect(stack.database_url) as connection:
        owner = connection.execute(
            "select rolname, rolsuper from pg_class join pg_roles on pg_roles.oid = relowner"
            " where pg_class.oid = 'public.user_balances'::regclass"
        ).fetchone()
    assert owner == ("postgres", False)


def test_servers_listen_on_the_loopback_interface_only(stack: Stack) -> None:
    # The emulator's debugger is excepted: one that was found on PATH binds it to every interface.
    for server in (stack.postgres, stack.postgrest):
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(server.pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening == ["127.0.0.1"]


def test_no_secret_is_readable_by_others_or_on_a_command_line(stack: Stack) -> None:
    secrets = [stack.env["STACK_SERVICE_PRIVATE_KEY"], stack.env["SUPABASE_SERVICE_ROLE_KEY"]]
    for server in stack.servers:
        command_line = " ".join(psutil.Process(server.pid).cmdline())
        assert not any(secret in command_line for secret in secrets)
    for path in (stack.env_file, stack.folder.postgrest_config):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_stopped_postgrest_refuses_and_comes_back_on_its_port(stack: Stack) -> None:
    url = stack.rest_url
    stack.postgrest.stop()
    with pytest.raises(urllib.error.URLError, match="refused"):
        rest_status(stack, "/")
    stack.postgrest.start()
    assert stack.rest_url == url
    assert rest_status(stack, "/user_balances", stack.env["SUPABASE_SERVICE_ROLE_KEY"]) == 200


def test_a_stopped_database_keeps_its_data(stack: Stack) -> None:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("insert into public.user_balances (user_address) values ('0x01')")
    before = row_count(stack)
    stack.postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        row_count(stack)
    stack.postgres.start()
    assert row_count(stack) == before > 0
    # PostgREST lost its connections; it finds the database again by itself.
    assert wait_for(lambda: rest_status(stack, "/") == 200)


def test_a_paused_postgrest_lets_its_clients_wait(stack: Stack) -> None:
    stack.postgrest.pause()
    try:
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(f"{stack.rest_url}/", timeout=0.3)
    finally:
        stack.postgrest.resume()
    assert rest_status(stack, "/") == 200


def test_a_restarted_emulator_takes_the_contract_again(stack: Stack) -> None:
    address = stack.env["FLOW_CONTRACT_ADDRESS"]
    stack.emulator.stop()
    stack.emulator.start()
    assert stack.deploy_contract() == address


def test_pgtap_loads_into_the_database(stack: Stack) -> None:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("create schema tap; set local search_path = tap")
        connection.execute(find_pgtap_sql(quiet).read_bytes())
        assert connection.execute("select pgtap_version()::text").fetchone() == ("1.3",)
        connection.rollback()


def test_a_second_stack_in_the_same_folder_is_refused(stack: Stack) -> None:
    with pytest.raises(StackError, match="is running in"):
        start_stack(stack.folder.path, progress=quiet)
    assert rest_status(stack, "/") == 200


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("kept")
    with pytest.raises(StackError, match=r"mine\.txt"):
        start_stack(tmp_path, progress=quiet)
    assert file.read_text() == "kept"


def test_a_port_that_was_taken_meanwhile_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as other_program:
        taken = int(other_program.getsockname()[1])

        def first_a_taken_one(count: int) -> list[int]:
            ports = free_ports(count)
            if len(refused) < 3:
                refused.append(ports[0])
                return [taken, *ports[1:]]
            return ports

        monkeypatch.setattr("tools.stack.server.free_ports", first_a_taken_one)
        with start_stack(tmp_path / "state", progress=quiet) as stack:
            assert taken not in {server.port for server in stack.servers}
            assert rest_status(stack, "/") == 200
    assert len(refused) == 3


def test_up_status_up_again_and_down(root: Path, stack: Stack) -> None:
    started = run_command("up", root)
    assert started.returncode == 0, started.stderr
    env = read_env_file(root / ".env.local")
    assert (root / ".env.local").stat().st_mode & 0o777 == 0o600
    status = run_command("status", root)
    assert (status.returncode, status.stdout.count("running, pid")) == (0, 3)

    again = run_command("up", root)
    assert again.returncode == 0
    assert "running already" in again.stderr
    assert read_env_file(root / ".env.local") == env

    assert run_command("down", root).returncode == 0
    assert list(root.iterdir()) == []
    assert StateFolder(root / ".stack").processes() == []
    assert run_command("status", root).returncode == 3
    # The other stack, of this module, went on all the while.
    assert rest_status(stack, "/") == 200
    assert len(stack.folder.processes()) == 3


def test_up_after_a_server_died_starts_a_whole_stack(root: Path) -> None:
    run_command("up", root)
    folder = StateFolder(root / ".stack")
    os.kill(folder.running()["PostgREST"], signal.SIGKILL)
    assert wait_for(lambda: len(folder.running()) == 2)
    assert run_command("status", root).returncode == 3
    assert run_command("up", root).returncode == 0
    assert len(folder.running()) == len(folder.processes()) == 3


@pytest.mark.parametrize("command", ["up", "down"])
def test_what_a_killed_up_left_is_cleaned_up(root: Path, command: str) -> None:
    folder = StateFolder(root / ".stack")
    with spawn("-m", "tools.stack", "up", "--root", root) as starting:
        assert wait_for(lambda: len(folder.processes()) > 0)
        starting.kill()
    left = folder.processes()
    assert left
    assert run_command("status", root).returncode == 3

    done = run_command(command, root)
    assert done.returncode == 0, done.stderr
    now = folder.processes()
    assert set(now).isdisjoint(left)
    assert len(now) == (3 if command == "up" else 0)


def test_down_with_nothing_running_says_so(root: Path) -> None:
    done = run_command("down", root)
    assert done.returncode == 0
    assert "No stack was running" in done.stderr
    assert list(root.iterdir()) == []


def test_up_does_not_overwrite_settings_of_a_person(root: Path) -> None:
    own = root / ".env.local"
    own.write_text("SUPABASE_URL=https://ledger.example\n")
    done = run_command("up", root)
    assert done.returncode == 1
    assert "Move it away" in done.stderr
    run_command("down", root)
    assert own.read_text() == "SUPABASE_URL=https://ledger.example\n"


def test_a_program_that_only_names_the_folder_is_not_ended(root: Path) -> None:
    config = root / ".stack" / "postgrest.conf"
    with spawn("-c", "import time; time.sleep(60)", config) as reader:
        run_command("down", root)
        assert reader.poll() is None
        reader.kill()


@pytest.mark.parametrize("moment", ["PostgreSQL answers", "ready"])
def test_servers_end_with_a_killed_owner(tmp_path: Path, moment: str) -> None:
    folder = StateFolder(tmp_path / "state")
    with spawn("-c", OWNER, folder.path) as owner:
        assert owner.stdout is not None
        for line in owner.stdout:
            if line.startswith(moment):
                break
        left = folder.processes()
        owner.kill()
    assert left
    assert wait_for(lambda: not folder.path.exists())
    assert folder.processes() == []
