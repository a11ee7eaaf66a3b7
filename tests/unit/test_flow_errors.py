"""The texts are those of flow-emulator v1.20.0 with Cadence 1.10, as flow-py-sdk raises them."""

import socket
import ssl

import pytest
from grpclib import GRPCError, Status
from grpclib.exceptions import StreamTerminatedError

from shared.adapters.flow_errors import (
    TRANSPORT_ERRORS,
    contract_error,
    first_line,
    script_fault,
)

NODE = "access.example:9000"
HEAD = (
    "[Error Code: {code}] error caused by: 1 error occurred:\n"
    "\t* [Error Code: 1101] cadence runtime error: Execution failed:\n"
)
TAIL = (
    "\n --> 2ba8e6a7bf3a:4:32\n  |\n1 | import OG from 0xf8d6e0586b0a20c7\n  |        ^^\n\n\n"
    "Was this error unhelpful?\nConsider suggesting an improvement here: "
    "https://github.com/onflow/cadence/issues.\n\n\n\n"
)
PANIC = (
    HEAD.format(code=1101)
    + " --> 2ba8e6a7bf3aa682:4:32\n  |\n4 |   for a in addresses { r.append(1) }\n  |      ^^^^\n\n"
    + "error: panic: BalanceFixture: no balance for 0x0000000000000001\n"
    + " --> f8d6e0586b0a20c7.OG:5:29\n"
)


def report(fault: str, code: int = 1101) -> str:
    return HEAD.format(code=code) + f"error: {fault}" + TAIL


UNDECODABLE = (
    "invalid argument at index 0: decodeing argument failed: [Error Code: 1052] transaction "
    "arguments are invalid: (argument is not json decodable: failed to decode JSON)"
)
SCRIPTS = [
    (report("cannot find declaration `OG` in `f8d6e0586b0a20c7.OG`"), "contract_not_deployed"),
    (report("cannot find declaration `Nope` in `f8d6e0586b0a20c7.Nope`"), "contract_not_deployed"),
    (report("value of type `&OG` has no member `getUserBalance`"), "contract_function_missing"),
    (PANIC, "contract_query_failed"),
    (report("computation exceeds limit (500)", 1110), "contract_limit_exceeded"),
    (
        report("memory error: [Error Code: 1111] memory usage exceeds limit (4294967295)", 1111),
        "contract_limit_exceeded",
    ),
    ("could not find block at height 10000000", "contract_height_unavailable"),
    (
        report("invalid argument at index 0: expected value of type `[Address]`"),
        "contract_script_invalid",
    ),
    (
        report("entry point parameter count mismatch: expected 1, got 0"),
        "contract_script_invalid",
    ),
    (report(UNDECODABLE, 1052), "contract_script_invalid"),
    (report("missing entry point: expected function `main`"), "contract_script_invalid"),
    (report("something new"), "contract_query_failed"),
    ("", "contract_query_failed"),
]


@pytest.mark.parametrize(("message", "code"), SCRIPTS)
def test_tells_the_faults_of_a_script_apart(message: str, code: str) -> None:
    error = contract_error(GRPCError(Status.INVALID_ARGUMENT, message), NODE)
    assert error.code == code
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (ConnectionRefusedError(111, "refused"), "contract_unreachable", True),
        (socket.gaierror(-2, "Name or service not known"), "contract_unreachable", True),
        (ssl.SSLError(1, "wrong version number"), "contract_unreachable", True),
        (StreamTerminatedError("Connection lost"), "contract_unreachable", True),
        (TimeoutError("Deadline exceeded"), "contract_timeout", True),
        (GRPCError(Status.UNAVAILABLE, "no healthy upstream"), "contract_unreachable", True),
        (GRPCError(Status.DEADLINE_EXCEEDED), "contract_timeout", True),
        (GRPCError(Status.CANCELLED, "context canceled"), "contract_timeout", True),
        (
            GRPCError(Status.NOT_FOUND, "could not find block at height 9"),
            "contract_height_unavailable",
            True,
        ),
        (
            GRPCError(
                Status.RESOURCE_EXHAUSTED,
                "grpc: received message larger than max (5760227 vs. 4194304)",
            ),
            "contract_limit_exceeded",
            False,
        ),
        (GRPCError(Status.RESOURCE_EXHAUSTED, "rate limit"), "contract_rate_limited", True),
        (
            GRPCError(
                Status.INTERNAL,
                "rpc error: code = NotFound desc = could not find account with address 01",
            ),
            "contract_not_deployed",
            False,
        ),
    ],
)
def test_tells_the_faults_of_node_and_network_apart(
    error: Exception, code: str, retryable: bool
) -> None:
    assert isinstance(error, TRANSPORT_ERRORS)
    translated = contract_error(error, NODE)
    assert (translated.code, translated.retryable) == (code, retryable)


def test_a_panic_keeps_the_contracts_own_words() -> None:
    assert script_fault(PANIC) == "panic: BalanceFixture: no balance for 0x0000000000000001"


def test_an_unreachable_node_is_named() -> None:
    assert NODE in str(contract_error(ConnectionRefusedError(111, "refused"), NODE))


def test_long_and_empty_texts_are_cut_to_a_line() -> None:
    assert first_line("\n\n  hello \nthere") == "hello"
    assert first_line("") == "no message"
    assert len(script_fault("error: " + "x" * 1000)) == 300


def test_of_several_faults_the_first_is_told() -> None:
    message = (
        "[Error Code: 1101] cadence runtime error: Execution failed:\n"
        "error: cannot find declaration `OG` in `0000000000000001.OG`\n --> 2ba8:1:7\n\n"
        "error: cannot infer type argument for type parameter `U`\n --> 2ba8:4:11\n"
    )
    error = contract_error(GRPCError(Status.INVALID_ARGUMENT, message), "node:1")
    assert error.code == "contract_not_deployed"
    assert "cannot find declaration `OG`" in str(error)
    assert "infer" not in str(error)
