import "FungibleToken"
import "FlowToken"
import "OverflowGame"

/// Withdraws FLOW from the signer's balance into the signer's own vault.
///
/// @param amount: FLOW, more than 0.0 and at most the signer's balance
///
transaction(amount: UFix64) {

    let player: auth(OverflowGame.Withdraw) &OverflowGame.Player
    let vault: &FlowToken.Vault

    prepare(signer: auth(BorrowValue) &Account) {
        self.player = signer.storage.borrow<auth(OverflowGame.Withdraw) &OverflowGame.Player>(
                from: OverflowGame.PlayerStoragePath
            ) ?? panic(
                "withdraw: account \(signer.address.toString()) stores no Player at "
                    .concat("\(OverflowGame.PlayerStoragePath.toString()). Run setup_player.cdc first.")
            )
        self.vault = signer.storage.borrow<&FlowToken.Vault>(from: /storage/flowTokenVault)
            ?? panic(
                "withdraw: account \(signer.address.toString()) stores no FlowToken vault at /storage/flowTokenVault. "
                    .concat("Set the account up for FLOW first.")
            )
    }

    execute {
        self.vault.deposit(from: <-self.player.withdraw(amount: amount))
    }
}
