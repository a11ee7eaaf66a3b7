"""Signs and sends Flow transactions to a local emulator. Development only: nothing deployed imports
it.
"""

from tools.chain.client import Chain, ChainAccount, ChainEvent, TransactionResult
from tools.chain.errors import ChainError, ChainTransactionError

__all__ = [
    "Chain",
    "ChainAccount",
    "ChainError",
    "ChainEvent",
    "ChainTransactionError",
    "TransactionResult",
]
