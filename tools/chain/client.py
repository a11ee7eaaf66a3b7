"""A synchronous client that signs transactions and waits for their results."""

import asyncio
import json
import threading
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import ecdsa
from flow_py_sdk import HashAlgo, InMemorySigner, ProposalKey, SignAlgo, Tx, flow_client
from flow_py_sdk.cadence import Address
from flow_py_sdk.proto.flow.access import AccessAPIStub
from grpclib.exceptions import GRPCError, StreamTerminatedError

from shared.adapters.loop_thread import shared_loop_thread
from tools.chain import templates
from tools.chain.errors import ChainError, ChainTransactionError
from tools.chain.json_cadence import JsonCadence, address, decode, normal_address, string
from tools.chain.sources import resolve_imports

T = TypeVar("T")

COMPUTE_LIMIT_DEFAULT = 9_999
TIMEOUT_S_DEFAULT = 60.0

_SEALED = 4
_WRONG_SEQUENCE_NUMBER = 1007
_POLL_DELAY_S_MIN = 0.01
_POLL_DELAY_S_MAX = 0.5


@dataclass(frozen=True)
class ChainAccount:
    """An account and the private key of its key 0: ECDSA_P256 with SHA3_256, full weight."""

    address: str
    private_key_hex: str = field(repr=False)


@dataclass(frozen=True)
class ChainEvent:
    """An event of a transaction. `type` is like `A.f8d6e0586b0a20c7.OverflowGame.Deposited`."""

    type: str
    payload: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """The last part of the type, like `Deposited`."""
        return self.type.rpartition(".")[2]

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The event's fields by name, as `json_cadence.decode` gives them."""
        return dict(decode(json.loads(self.payload)))


@dataclass(frozen=True)
class TransactionResult:
    """A sealed transaction that succeeded. Its events are decoded when somebody looks at them."""

    transaction_id: str
    events: tuple[ChainEvent, ...] = field(repr=False)

    def events_named(self, name: str) -> list[ChainEvent]:
        """The events whose last type part is `name`, in the order they were emitted."""
        return [event for event in self.events if event.name == name]


class Chain:
    """One account's view of a Flow network: it proposes, pays and by default authorizes what it
    sends.

    Safe to use from several threads; transactions are sent one after another. Every method raises
    `ChainError` when the access node refuses or cannot be reached, and TimeoutError after
    `timeout_s`.
    """

    def __init__(
        self,
        access_node: str,
        address: str,
        private_key_hex: str,
        *,
        timeout_s: float = TIMEOUT_S_DEFAULT,
    ) -> None:
        self.access_node = access_node
        self.account = ChainAccount(normal_address(address), private_key_hex)
        self._timeout_s = timeout_s
        self._send_lock = threading.Lock()
        self._sequence_number: int | None = None
        self._client = self._run(self._connect())

    @property
    def address(self) -> str:
        """The account's address in its normal form."""
        return self.account.address

    def close(self) -> None:
        """Closes the channel."""
        self._run(self._disconnect())

    def __enter__(self) -> "Chain":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def latest_height(self) -> int:
        """The height of the latest sealed block."""
        return int(self._run(self._client.get_latest_block_header(is_sealed=True)).height)

    def run_script(
        self, code: str, args: Sequence[JsonCadence] = (), *, height: int | None = None
    ) -> Any:
        """A script's result as `json_cadence.decode` gives it, at a block height or at the latest
        sealed block.
        """
        call = {
            "script": resolve_imports(code).encode(),
            "arguments": [json.dumps(arg).encode() for arg in args],
        }
        if height is None:
            answer = self._run(self._client.execute_script_at_latest_block(**call))
        else:
            answer = self._run(
                self._client.execute_script_at_block_height(block_height=height, **call)
            )
        return decode(json.loads(answer))

    def send(
        self,
        code: str,
        args: Sequence[JsonCadence] = (),
        *,
        authorizers: Sequence[ChainAccount] | None = None,
        compute_limit: int = COMPUTE_LIMIT_DEFAULT,
    ) -> TransactionResult:
        """Signs a transaction, sends it and waits until it is sealed.

        `authorizers` sign in the order of the parameters of `prepare`; without them this client's
        own account does. Raises `ChainTransactionError` with Cadence's message when the transaction
        fails.
        """

        def send_once() -> TransactionResult:
            return self.result(
                self.submit(code, args, authorizers=authorizers, compute_limit=compute_limit)
            )

        try:
            return send_once()
        except ChainError as error:
            # Somebody else proposed with this key, and the transaction was not executed: sign anew.
            if error.error_code != _WRONG_SEQUENCE_NUMBER:
                raise
            return send_once()

    def submit(
        self,
        code: str,
        args: Sequence[JsonCadence] = (),
        *,
        authorizers: Sequence[ChainAccount] | None = None,
        compute_limit: int = COMPUTE_LIMIT_DEFAULT,
    ) -> str:
        """Signs a transaction and hands it to the network; returns its id, with which `result`
        tells what came of it.

        Cheaper than `send` for transactions with thousands of events.
        """
        tx = _unsigned(resolve_imports(code), args, compute_limit)
        signers = [self.account] if authorizers is None else list(authorizers)
        with self._send_lock:
            return self._run(self._submit(tx, signers))

    def result(self, transaction_id: str) -> TransactionResult:
        """Waits until a transaction is sealed; raises `ChainTransactionError` when it failed."""
        result = self._run(self._sealed(bytes.fromhex(transaction_id)))
        if result.error_message:
            error = ChainTransactionError(result.error_message, transaction_id)
            if error.error_code == _WRONG_SEQUENCE_NUMBER:
                self._sequence_number = None
            raise error
        events = tuple(ChainEvent(event.type, event.payload) for event in result.events)
        return TransactionResult(transaction_id, events)

    def create_account(self) -> ChainAccount:
        """A new account without FLOW, paid for by this one, with a key of its own."""
        key = ecdsa.SigningKey.generate(curve=ecdsa.NIST256p)
        public_key_hex = key.get_verifying_key().to_string().hex()
        result = self.send(templates.CREATE_ACCOUNT, [string(public_key_hex)])
        created = result.events_named("AccountCreated")[0]
        return ChainAccount(created.fields["address"], key.to_string().hex())

    def deploy_contract(self, name: str, code: str) -> TransactionResult:
        """Puts a new contract into this client's account."""
        return self.send(templates.ADD_CONTRACT, [string(name), string(resolve_imports(code))])

    def update_contract(self, name: str, code: str) -> TransactionResult:
        """Replaces the code of a contract in this client's account; its stored fields stay."""
        return self.send(templates.UPDATE_CONTRACT, [string(name), string(resolve_imports(code))])

    def contract_code(self, name: str) -> str | None:
        """The code of a contract in this client's account, None when there is none."""
        code: str | None = self.run_script(
            templates.CONTRACT_CODE, [address(self.address), string(name)]
        )
        return code

    async def _connect(self) -> Any:
        host, _, port = self.access_node.rpartition(":")
        return flow_client(host=host, port=int(port))

    async def _submit(self, tx: Any, authorizers: Sequence[ChainAccount]) -> str:
        header = await self._client.get_latest_block_header(is_sealed=True)
        number = self._sequence_number
        if number is None:
            number = await self._read_sequence_number()
        # Unknown again until the node has taken the transaction: a refused one does not use its
        # number up.
        self._sequence_number = None
        self._sign(tx.with_reference_block_id(header.id), authorizers, number)
        sent = await self._client.send_transaction(transaction=tx.to_signed_grpc())
        self._sequence_number = number + 1
        return str(sent.id.hex())

    def _sign(self, tx: Any, authorizers: Sequence[ChainAccount], sequence_number: int) -> None:
        proposer = Address.from_hex(self.address)
        tx.with_payer(proposer).with_proposal_key(
            ProposalKey(key_address=proposer, key_id=0, key_sequence_number=sequence_number)
        )
        for account in authorizers:
            authorizer = Address.from_hex(account.address)
            tx.add_authorizers(authorizer)
            if account.address != self.address:
                tx.with_payload_signature(authorizer, 0, _signer(account))
        tx.with_envelope_signature(proposer, 0, _signer(self.account))

    async def _read_sequence_number(self) -> int:
        account = await self._client.get_account_at_latest_block(address=self.address)
        return int(account.keys[0].sequence_number)

    async def _sealed(self, transaction_id: bytes) -> Any:
        delay_s = _POLL_DELAY_S_MIN
        while True:
            # The stub's own method: the client's would decode every event.
            result = await AccessAPIStub.get_transaction_result(self._client, id=transaction_id)
            if int(result.status) >= _SEALED:
                return result
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, _POLL_DELAY_S_MAX)

    async def _disconnect(self) -> None:
        self._client.channel.close()

    def _run(self, coroutine: Coroutine[object, object, T]) -> T:
        started_s = time.monotonic()
        try:
            bounded = asyncio.wait_for(coroutine, self._timeout_s)
            return shared_loop_thread().run(bounded)
        except TimeoutError as error:
            waited_s = time.monotonic() - started_s
            raise TimeoutError(f"no answer from {self.access_node} in {waited_s:.1f} s") from error
        except GRPCError as error:
            raise ChainError(f"{error.status.name}: {error.message}") from error
        except (OSError, StreamTerminatedError) as error:
            raise ChainError(f"cannot reach the access node {self.access_node}: {error}") from error


def _unsigned(code: str, args: Sequence[JsonCadence], compute_limit: int) -> Any:
    tx = Tx(code=code).with_gas_limit(compute_limit)
    # Set, not added: the SDK's check admits its own classes only, while its encoder takes
    # JSON-Cadence as it is.
    tx.arguments = list(args)
    return tx


def _signer(account: ChainAccount) -> Any:
    return InMemorySigner(
        hash_algo=HashAlgo.SHA3_256,
        sign_algo=SignAlgo.ECDSA_P256,
        private_key_hex=account.private_key_hex,
    )
