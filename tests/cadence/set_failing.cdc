import "BalanceFixture"

/// Makes BalanceFixture panic for some users, or answer them again. The signer is the contract's account.
///
transaction(userAddresses: [Address], fails: Bool) {

    prepare(signer: auth(BorrowValue) &Account) {
        let admin = signer.storage.borrow<auth(BalanceFixture.Control) &BalanceFixture.Admin>(
            from: BalanceFixture.AdminStoragePath
        )!
        for userAddress in userAddresses {
            admin.setFailing(userAddress: userAddress, fails: fails)
        }
    }
}
