import "FungibleToken"
import "FlowToken"
import "OverflowGame"

/// Deposits FLOW of the signer for a user: for the signer, or for anyone else.
///
/// @param amount: FLOW, more than 0.0
/// @param userAddress: whose balance grows
///
transaction(amount: UFix64, userAddress: Address) {

    let deposit: @{FungibleToken.Vault}

    prepare(signer: auth(BorrowValue) &Account) {
        let vault = signer.storage.borrow<auth(FungibleToken.Withdraw) &FlowToken.Vault>(from: /storage/flowTokenVault)
            ?? panic(
                "deposit: account \(signer.address.toString()) stores no FlowToken vault at /storage/flowTokenVault. "
                    .concat("Set the account up for FLOW first.")
            )
        self.deposit <- vault.withdraw(amount: amount)
    }

    execute {
        OverflowGame.deposit(from: <-self.deposit, userAddress: userAddress)
    }
}
