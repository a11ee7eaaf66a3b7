import "BalanceFixture"

/// Sets what BalanceFixture answers for some users. The signer is the contract's account.
///
transaction(balances: {Address: UFix64}) {

    prepare(signer: auth(BorrowValue) &Account) {
        signer.storage.borrow<auth(BalanceFixture.Control) &BalanceFixture.Admin>(
            from: BalanceFixture.AdminStoragePath
        )!.setBalances(balances)
    }
}
