import "FungibleToken"
import "FlowToken"
import "OverflowGame"

/// Moves FLOW between the escrow vault and the owner's own, past the contract: what its keys can do to a vault. The
/// signer is the contract's account.
///
/// @param amount: FLOW
/// @param isOut: from the escrow to the owner, or the other way
///
transaction(amount: UFix64, isOut: Bool) {

    prepare(signer: auth(BorrowValue) &Account) {
        let own = signer.storage.borrow<auth(FungibleToken.Withdraw) &FlowToken.Vault>(from: /storage/flowTokenVault)!
        let escrow = signer.storage.borrow<auth(FungibleToken.Withdraw) &FlowToken.Vault>(
            from: OverflowGame.EscrowVaultStoragePath
        )!
        if isOut {
            own.deposit(from: <-escrow.withdraw(amount: amount))
        } else {
            escrow.deposit(from: <-own.withdraw(amount: amount))
        }
    }
}
