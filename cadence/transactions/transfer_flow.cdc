import "FungibleToken"
import "FlowToken"

/// Sends FLOW from the signer's vault to another account's vault, for a start before any deposit.
///
/// @param amount: FLOW
/// @param to: an account that is set up for FLOW
///
transaction(amount: UFix64, to: Address) {

    let payment: @{FungibleToken.Vault}

    prepare(signer: auth(BorrowValue) &Account) {
        let vault = signer.storage.borrow<auth(FungibleToken.Withdraw) &FlowToken.Vault>(from: /storage/flowTokenVault)
            ?? panic(
                "transfer_flow: account \(signer.address.toString()) stores no FlowToken vault at "
                    .concat("/storage/flowTokenVault. Set the account up for FLOW first.")
            )
        self.payment <- vault.withdraw(amount: amount)
    }

    execute {
        let receiver = getAccount(to).capabilities.borrow<&{FungibleToken.Receiver}>(/public/flowTokenReceiver)
            ?? panic(
                "transfer_flow: account \(to.toString()) offers no receiver at /public/flowTokenReceiver. "
                    .concat("Set the account up for FLOW first.")
            )
        receiver.deposit(from: <-self.payment)
    }
}
