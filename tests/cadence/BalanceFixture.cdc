/// Answers `getUserBalance` with whatever a test wants: balances that the FLOW supply cannot reach, up to the largest
/// UFix64, and failures for chosen users. Holds no tokens.
///
access(all) contract BalanceFixture {

    access(all) entitlement Control

    access(all) let AdminStoragePath: StoragePath

    access(self) let balances: {Address: UFix64}
    access(self) let failing: {Address: Bool}

    /// The balance that was set, 0.0 for an unknown user. Panics for a user that was set to fail.
    ///
    access(all) view fun getUserBalance(userAddress: Address): UFix64 {
        if self.failing[userAddress] != nil {
            panic("BalanceFixture: user \(userAddress.toString()) is set to fail")
        }
        return self.balances[userAddress] ?? 0.0
    }

    access(all) resource Admin {

        access(Control) fun setBalances(_ balances: {Address: UFix64}) {
            for userAddress in balances.keys {
                BalanceFixture.balances[userAddress] = balances[userAddress]!
            }
        }

        access(Control) fun setFailing(userAddress: Address, fails: Bool) {
            if fails {
                BalanceFixture.failing[userAddress] = true
            } else {
                BalanceFixture.failing.remove(key: userAddress)
            }
        }
    }

    init() {
        self.AdminStoragePath = /storage/BalanceFixtureAdmin
        self.balances = {}
        self.failing = {}
        self.account.storage.save(<-create Admin(), to: self.AdminStoragePath)
    }
}
