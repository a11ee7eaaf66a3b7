import "OverflowGame"

/// Gives the signer a `Player`, the right to withdraw the signer's balance. Changes nothing when there is one.
///
transaction {

    prepare(signer: auth(SaveValue, BorrowValue) &Account) {
        if signer.storage.borrow<&OverflowGame.Player>(from: OverflowGame.PlayerStoragePath) == nil {
            OverflowGame.createPlayer(account: signer)
        }
    }
}
