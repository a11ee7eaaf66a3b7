import "OverflowGame"

/// Settles games: debits some users and credits others, all or nothing. The signer holds the `Admin`.
///
/// @param debits: what each user loses, every amount more than 0.0
/// @param credits: what each user gains, every amount more than 0.0; the sum equals the debits' sum exactly
///
transaction(debits: {Address: UFix64}, credits: {Address: UFix64}) {

    let admin: auth(OverflowGame.Settle) &OverflowGame.Admin

    prepare(signer: auth(BorrowValue) &Account) {
        self.admin = signer.storage.borrow<auth(OverflowGame.Settle) &OverflowGame.Admin>(
                from: OverflowGame.AdminStoragePath
            ) ?? panic(
                "settle: account \(signer.address.toString()) stores no Admin at "
                    .concat("\(OverflowGame.AdminStoragePath.toString()). Sign with the contract's account.")
            )
    }

    execute {
        self.admin.settle(debits: debits, credits: credits)
    }
}
