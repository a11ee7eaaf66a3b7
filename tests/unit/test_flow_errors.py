"""The texts are those of flow-emulator v1.20.0 with Cadence 1.10, as flow-py-sdk raises them.

NO_BLOCK and RANGE hold those of access nodes, read off flow-go 0.47 (engine/access/rpc/backend).
"""

import socket
import ssl
from collections.abc import Callable

import pytest
from grpclib import GRPCError, Status
from grpclib.exceptions import StreamTerminatedError

from shared.adapters.flow_errors import (
    TRANSPORT_ERRORS,
    contract_error,
    events_error,
    first_line,
    script_fault,
)
from shared.core.errors import ContractError

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
                Status.RESOURCE_EXHAUSTED,
                "script execution computation limit exceeded: [Error Code: 1110] computation",
            ),
            "contract_limit_exceeded",
            False,
        ),
        (
            GRPCError(Status.INVALID_ARGUMENT, "script and/or arguments are too large"),
            "contract_limit_exceeded",
            False,
        ),
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


NO_BLOCK = [
    (
        Status.NOT_FOUND,
        "not found: block height 5 is less than the spork root block height 10. Try to use a "
        "historic node: could not retrieve resource: key not found",
    ),
    (
        Status.NOT_FOUND,
        "not found: block height 5 is less than the node's root block height 10. Try to use a "
        "different Access node: key not found",
    ),
    (Status.NOT_FOUND, "data not found: key not found"),
    (Status.OUT_OF_RANGE, "data for block height 5 is not available"),
    (Status.OUT_OF_RANGE, "start height 9 is greater than the last sealed block height 8"),
    (Status.FAILED_PRECONDITION, "data for block is not available: index not initialized"),
    (
        Status.INTERNAL,
        "failed to get events: failed to retrieve block ID for height 5: could not retrieve "
        "resource: key not found",
    ),
]


@pytest.mark.parametrize("translate", [contract_error, events_error])
@pytest.mark.parametrize(("status", "message"), NO_BLOCK)
def test_a_block_that_the_node_does_not_have_may_be_asked_for_again(
    translate: Callable[[Exception, str], ContractError], status: Status, message: str
) -> None:
    error = translate(GRPCError(status, message), NODE)
    assert (error.code, error.retryable) == ("contract_height_unavailable", True)
    assert "another FLOW_ACCESS_NODE" in str(error)


RANGE = [
    "invalid event type: invalid event type: Deposited",
    "invalid event type",
    "start height must not be larger than end height",
    "requested block range (251) exceeded maximum (250)",
]


@pytest.mark.parametrize("message", RANGE)
def test_a_refused_question_for_events_is_told_as_one(message: str) -> None:
    error = events_error(GRPCError(Status.INVALID_ARGUMENT, message), NODE)
    assert (error.code, error.retryable) == ("contract_error", False)
    assert message in str(error)
    assert "Check FLOW_EVENTS" in str(error)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionRefusedError(111, "refused"), "contract_unreachable"),
        (GRPCError(Status.UNAVAILABLE, "no healthy upstream"), "contract_unreachable"),
        (GRPCError(Status.INTERNAL, "failed to get execution nodes"), "contract_unreachable"),
        (TimeoutError("Deadline exceeded"), "contract_timeout"),
        (GRPCError(Status.RESOURCE_EXHAUSTED, "rate limit"), "contract_rate_limited"),
    ],
)
def test_a_node_that_does_not_tell_events_now_may_do_so_later(error: Exception, code: str) -> None:
    translated = events_error(error, NODE)
    assert (translated.code, translated.retryable) == (code, True)
