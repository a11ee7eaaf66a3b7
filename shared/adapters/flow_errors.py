"""From what the Access API raises to our errors.

Nodes report every fault of a script as INVALID_ARGUMENT; only the text tells them apart. The texts
were read off flow-emulator v1.20.0 (Cadence 1.10); an unknown one is a failed script, and
`ContractReader` then finds out by asking whether a user or the script is to blame.

Of a block that it does not have, the emulator says INVALID_ARGUMENT "could not find block". An
access node (flow-go 0.47, engine/access/rpc) says NOT_FOUND for a block before its first one,
OUT_OF_RANGE for one that it has not indexed, no longer has, or that is not sealed yet, and
FAILED_PRECONDITION while it starts; older ones say INTERNAL "key not found".
"""

import re

from grpclib import GRPCError, Status
from grpclib.exceptions import ProtocolError, StreamTerminatedError

from shared.core.errors import (
    ContractError,
    ContractFunctionMissing,
    ContractHeightUnavailable,
    ContractLimitExceeded,
    ContractNotDeployed,
    ContractRateLimited,
    ContractScriptFailed,
    ContractScriptInvalid,
    ContractTimeout,
    ContractUnreachable,
)

TRANSPORT_ERRORS = (OSError, GRPCError, ProtocolError, StreamTerminatedError)
"""Everything that a call of the SDK raises for the node's or the network's sake; OSError covers
refused connections, name resolution, TLS and TimeoutError."""

_CHECK_CONTRACT = (
    "Check FLOW_CONTRACT_ADDRESS, FLOW_CONTRACT_NAME and that FLOW_ACCESS_NODE is of their network."
)
_LIMITS = (
    "[Error Code: 1110]",  # computation
    "[Error Code: 1111]",  # memory
    "script and/or arguments are too large",
)
_NO_BLOCK = (
    "could not find block",
    "block not found",
    "could not retrieve resource: key not found",
)
_SCRIPT_FAULTS = (
    "missing entry point",
    "parameter count mismatch",
    "invalid argument at index",
    "Parsing failed",
)


def contract_error(error: Exception, access_node: str) -> ContractError:
    """Translate one of TRANSPORT_ERRORS; the caller raises it `from` the original."""
    if isinstance(error, GRPCError):
        message = error.message or ""
        match error.status:
            case Status.INVALID_ARGUMENT | Status.NOT_FOUND | Status.INTERNAL:
                return _of_script(error.status, message)
            # "larger than max" is gRPC's own limit on a message.
            case Status.RESOURCE_EXHAUSTED if _says(message, *_LIMITS, "larger than max"):
                return _too_large(script_fault(message))
    return _of_node(error, access_node)


def events_error(error: Exception, access_node: str) -> ContractError:
    """Translate one of TRANSPORT_ERRORS that a question for events raised."""
    if isinstance(error, GRPCError):
        message = error.message or ""
        if error.status is Status.INVALID_ARGUMENT:
            return ContractError(
                f"the Flow access node refuses to tell events: {first_line(message)}",
                remedy=f"Check FLOW_EVENTS. {_CHECK_CONTRACT}",
            )
        if error.status is Status.INTERNAL and _says(message, *_NO_BLOCK):
            return _no_block(message)
    return _of_node(error, access_node)


def _of_node(error: Exception, access_node: str) -> ContractError:
    if isinstance(error, TimeoutError):
        return _timeout(access_node)
    if isinstance(error, GRPCError):
        return _of_status(error, access_node)
    return _unreachable(access_node, str(error) or type(error).__name__)


def _of_status(error: GRPCError, access_node: str) -> ContractError:
    message = error.message or ""
    match error.status:
        case Status.NOT_FOUND | Status.OUT_OF_RANGE | Status.FAILED_PRECONDITION:
            return _no_block(message)
        case Status.RESOURCE_EXHAUSTED:
            return ContractRateLimited(
                f"the Flow access node {access_node} limits the rate of calls",
                remedy="Lower FLOW_MAX_SCRIPTS_PER_S (public nodes allow 5 a second).",
            )
        case Status.DEADLINE_EXCEEDED | Status.CANCELLED:
            return _timeout(access_node)
        case _:
            return _unreachable(access_node, f"{error.status.name} {first_line(message)}")


def _of_script(status: Status, message: str) -> ContractError:
    fault = script_fault(message)
    if _says(message, *_LIMITS):
        return _too_large(fault)
    if _says(message, "cannot find declaration", "could not find account"):
        return ContractNotDeployed(f"the contract is not deployed: {fault}", remedy=_CHECK_CONTRACT)
    if status is Status.NOT_FOUND or _says(message, *_NO_BLOCK):
        return _no_block(message)
    if "has no member" in message:
        return ContractFunctionMissing(
            f"the contract lacks a function that the balance script calls: {fault}",
            remedy="Point FLOW_BALANCE_SCRIPT at a script for this contract, or redeploy it.",
        )
    if _says(message, *_SCRIPT_FAULTS):
        return ContractScriptInvalid(
            f"the balance script cannot run: {fault}",
            remedy="It must be `access(all) fun main(addresses: [Address]): [UFix64]`.",
        )
    return ContractScriptFailed(
        f"the contract failed to tell the balance: {fault}",
        remedy="Ask the contract's owner about this user; nothing was changed in the ledger.",
    )


def _too_large(fault: str) -> ContractError:
    return ContractLimitExceeded(
        f"the balance script is too large for the node: {first_line(fault)}",
        remedy="Lower RECONCILE_BATCH_SIZE.",
    )


def _no_block(message: str) -> ContractError:
    return ContractHeightUnavailable(
        f"the Flow access node does not have the block: {script_fault(message)}",
        remedy="It is behind or has pruned it: try again, or use another FLOW_ACCESS_NODE.",
    )


def _timeout(access_node: str) -> ContractError:
    return ContractTimeout(
        f"the Flow access node {access_node} did not answer in time",
        remedy="Try again; raise FLOW_TIMEOUT_S or lower RECONCILE_BATCH_SIZE if it persists.",
    )


def _unreachable(access_node: str, reason: str) -> ContractError:
    return ContractUnreachable(
        f"the Flow access node {access_node} cannot be reached ({reason})",
        remedy="Check FLOW_ACCESS_NODE (host:port of the gRPC API) and FLOW_ACCESS_TLS; try again.",
    )


def _says(message: str, *texts: str) -> bool:
    return any(text in message for text in texts)


def script_fault(message: str) -> str:
    """The line of a Cadence error report that says what went wrong."""
    faults = re.findall(r"^error: (.+)$", message, re.MULTILINE)
    return faults[0][:300] if faults else first_line(message)  # later ones follow from the first


def first_line(message: str) -> str:
    """The first line that says something, cut to 300 characters."""
    lines = (line.strip() for line in message.splitlines())
    return next((line for line in lines if line), "no message")[:300]
