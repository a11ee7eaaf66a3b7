import "FungibleToken"
import "FlowToken"

/// The on-chain truth about what every user of the game owns.
///
/// FLOW that users deposit goes into one escrow vault in the storage of the contract's account, and the contract
/// keeps a balance for every user address. Two sums tie them together and hold after every transaction:
///
/// - `totalUserBalance` is exactly the sum of all user balances;
/// - the escrow vault holds at least `totalUserBalance`. It may hold more, because the account's owner can put FLOW
///   into it directly; that surplus belongs to no user.
///
/// Who may do what:
///
/// - Anyone may read balances, and may deposit FLOW for any user.
/// - Only a user withdraws from that user's balance, through a `Player` (see there how it proves who the user is).
/// - Only the holder of the `Admin` settles games: it moves balances between users, never in or out of the escrow.
/// - The keys of the contract's account can do anything to the vault and to this code, as on any Flow account. A
///   deployment that holds users' money should revoke them or put them under a multi-signature arrangement.
///
/// A user whose balance falls to 0.0 leaves the dictionary, so that it grows with users who own something.
/// `getUserBalance` answers 0.0 for such a user, as for one who was never seen.
///
access(all) contract OverflowGame {

    /// Lets the holder of a `Player` reference withdraw that user's balance.
    access(all) entitlement Withdraw

    /// Lets the holder of an `Admin` reference move balances between users.
    access(all) entitlement Settle

    /// FLOW came into the escrow vault for a user.
    ///
    /// @param userAddress: the user whose balance grew
    /// @param amount: FLOW that was deposited
    /// @param newBalance: the user's balance afterwards
    ///
    access(all) event Deposited(userAddress: Address, amount: UFix64, newBalance: UFix64)

    /// A user took FLOW out of the escrow vault.
    ///
    /// @param userAddress: the user whose balance shrank
    /// @param amount: FLOW that was withdrawn
    /// @param newBalance: the user's balance afterwards
    ///
    access(all) event Withdrawn(userAddress: Address, amount: UFix64, newBalance: UFix64)

    /// A settlement changed a user's balance. A settlement emits one such event for each debit and each credit.
    ///
    /// @param userAddress: the user whose balance changed
    /// @param amount: by how much, always positive
    /// @param isCredit: true when the balance grew, false when it shrank
    /// @param newBalance: the user's balance afterwards
    ///
    access(all) event Settled(userAddress: Address, amount: UFix64, isCredit: Bool, newBalance: UFix64)

    /// Where the contract's account keeps the escrow vault.
    access(all) let EscrowVaultStoragePath: StoragePath

    /// Where the contract's account keeps the `Admin`.
    access(all) let AdminStoragePath: StoragePath

    /// Where a user's account keeps its `Player`.
    access(all) let PlayerStoragePath: StoragePath

    /// The sum of all user balances, exact after every change.
    access(all) var totalUserBalance: UFix64

    /// What each user owns. Holds no zero.
    access(self) let userBalances: {Address: UFix64}

    /// What a user owns.
    ///
    /// @param userAddress: any Flow address; it needs no account
    /// @return FLOW, 0.0 for a user the contract does not know
    ///
    access(all) view fun getUserBalance(userAddress: Address): UFix64 {
        return self.userBalances[userAddress] ?? 0.0
    }

    /// How many users own more than 0.0.
    ///
    access(all) view fun getUserCount(): Int {
        return self.userBalances.length
    }

    /// What the escrow vault holds, at least `totalUserBalance`.
    ///
    access(all) view fun getVaultBalance(): UFix64 {
        return self.borrowEscrowVault().balance
    }

    /// Puts FLOW into the escrow vault and adds it to a user's balance.
    ///
    /// @param from: the FLOW, more than 0.0; a vault of any other token is refused
    /// @param userAddress: whose balance grows
    ///
    access(all) fun deposit(from: @{FungibleToken.Vault}, userAddress: Address) {
        pre {
            from.isInstance(Type<@FlowToken.Vault>()):
                "OverflowGame.deposit: cannot take \(from.getType().identifier) for user \(userAddress.toString()). "
                    .concat("Deposit a vault of type \(Type<@FlowToken.Vault>().identifier).")
            from.balance > 0.0:
                "OverflowGame.deposit: the vault for user \(userAddress.toString()) is empty. "
                    .concat("Deposit more than 0.0 FLOW.")
        }
        post {
            self.totalUserBalance == before(self.totalUserBalance) + before(from.balance):
                "OverflowGame.deposit: the total of user balances did not grow by the deposit"
            self.getVaultBalance() >= self.totalUserBalance:
                "OverflowGame.deposit: the escrow vault does not cover the user balances"
        }
        let amount = from.balance
        self.borrowEscrowVault().deposit(from: <-from)
        self.totalUserBalance = self.totalUserBalance + amount
        emit Deposited(
            userAddress: userAddress,
            amount: amount,
            newBalance: self.credit(userAddress: userAddress, amount: amount)
        )
    }

    /// One user's right to withdraw that user's balance.
    ///
    /// The address is fixed when the `Player` is made, and `createPlayer` makes one only for an account that lends it
    /// a reference with an entitlement, which nobody can get but by that account's signature or delegation. From then
    /// on the resource is the proof. It does not ask for `self.owner`: a `Player` hidden inside some other resource
    /// and sent to a victim's account would then count as the victim.
    ///
    /// Whoever holds the resource, or a reference with `Withdraw`, can withdraw: never move a `Player` to another
    /// account, and publish no capability with `Withdraw`.
    ///
    access(all) resource Player {

        /// The user whose balance this `Player` withdraws.
        access(all) let userAddress: Address

        /// What the user owns.
        ///
        access(all) view fun getBalance(): UFix64 {
            return OverflowGame.getUserBalance(userAddress: self.userAddress)
        }

        /// Takes FLOW from the user's balance out of the escrow vault.
        ///
        /// @param amount: more than 0.0 and at most the user's balance
        /// @return a FlowToken vault with exactly that amount
        ///
        access(Withdraw) fun withdraw(amount: UFix64): @{FungibleToken.Vault} {
            return <-OverflowGame.withdraw(userAddress: self.userAddress, amount: amount)
        }

        init(userAddress: Address) {
            self.userAddress = userAddress
        }
    }

    /// Makes the `Player` of an account and saves it there at `PlayerStoragePath`.
    ///
    /// `SaveValue` is the narrowest entitlement that this needs. It is the proof as well: a reference that carries it
    /// comes only from the account itself.
    ///
    /// @param account: the user's own account
    ///
    access(all) fun createPlayer(account: auth(SaveValue) &Account) {
        pre {
            account.storage.type(at: self.PlayerStoragePath) == nil:
                "OverflowGame.createPlayer: account \(account.address.toString()) already stores something at "
                    .concat("\(self.PlayerStoragePath.toString()). Use it, or move it away first.")
        }
        account.storage.save(<-create Player(userAddress: account.address), to: self.PlayerStoragePath)
    }

    /// Settles games: moves balances between users.
    ///
    access(all) resource Admin {

        /// Debits some users and credits others, all or nothing. The debits are done first, so that a user who
        /// appears on both sides needs to cover the whole debit. Settle 1,500 users a transaction at most: the events
        /// of 2,000 exceed the network's limit of 256,000 bytes.
        ///
        /// @param debits: what each user loses, every amount more than 0.0 and covered by the user's balance
        /// @param credits: what each user gains, every amount more than 0.0; the sum equals the debits' sum exactly
        ///
        access(Settle) fun settle(debits: {Address: UFix64}, credits: {Address: UFix64}) {
            OverflowGame.settle(debits: debits, credits: credits)
        }
    }

    /// See `Player.withdraw`.
    ///
    access(contract) fun withdraw(userAddress: Address, amount: UFix64): @{FungibleToken.Vault} {
        pre {
            amount > 0.0:
                "OverflowGame.withdraw: user \(userAddress.toString()) asked for 0.0 FLOW. Ask for more than 0.0."
        }
        post {
            result.balance == amount:
                "OverflowGame.withdraw: the vault to return does not hold the amount asked for"
            self.totalUserBalance == before(self.totalUserBalance) - amount:
                "OverflowGame.withdraw: the total of user balances did not shrink by the withdrawal"
            self.getVaultBalance() >= self.totalUserBalance:
                "OverflowGame.withdraw: the escrow vault does not cover the user balances"
        }
        let newBalance = self.debit(userAddress: userAddress, amount: amount)
        self.totalUserBalance = self.totalUserBalance - amount
        emit Withdrawn(userAddress: userAddress, amount: amount, newBalance: newBalance)
        return <-self.borrowEscrowVault().withdraw(amount: amount)
    }

    /// See `Admin.settle`.
    ///
    access(contract) fun settle(debits: {Address: UFix64}, credits: {Address: UFix64}) {
        post {
            self.totalUserBalance == before(self.totalUserBalance):
                "OverflowGame.settle: a settlement must not change the total of user balances"
        }
        var debited = 0.0
        for userAddress in debits.keys {
            let amount = debits[userAddress]!
            debited = debited + amount
            emit Settled(
                userAddress: userAddress,
                amount: amount,
                isCredit: false,
                newBalance: self.debit(userAddress: userAddress, amount: amount)
            )
        }
        var credited = 0.0
        for userAddress in credits.keys {
            let amount = credits[userAddress]!
            credited = credited + amount
            emit Settled(
                userAddress: userAddress,
                amount: amount,
                isCredit: true,
                newBalance: self.credit(userAddress: userAddress, amount: amount)
            )
        }
        if debited != credited {
            panic(
                "OverflowGame.settle: the debits sum to \(debited.toString()) "
                    .concat("and the credits to \(credited.toString()). Settle with equal sums.")
            )
        }
    }

    /// Adds to a user's balance. Changes neither `totalUserBalance` nor the vault: the caller does.
    ///
    /// @return the user's new balance
    ///
    access(self) fun credit(userAddress: Address, amount: UFix64): UFix64 {
        if amount == 0.0 {
            panic("OverflowGame: the amount for user \(userAddress.toString()) is 0.0. Leave the user out.")
        }
        let newBalance = self.getUserBalance(userAddress: userAddress) + amount
        self.userBalances[userAddress] = newBalance
        return newBalance
    }

    /// Takes from a user's balance. Changes neither `totalUserBalance` nor the vault: the caller does.
    ///
    /// @return the user's new balance
    ///
    access(self) fun debit(userAddress: Address, amount: UFix64): UFix64 {
        if amount == 0.0 {
            panic("OverflowGame: the amount for user \(userAddress.toString()) is 0.0. Leave the user out.")
        }
        let balance = self.getUserBalance(userAddress: userAddress)
        if amount > balance {
            panic(
                "OverflowGame: cannot take \(amount.toString()) FLOW from user \(userAddress.toString()), "
                    .concat("whose balance is \(balance.toString()). Take at most the balance, or deposit first.")
            )
        }
        let newBalance = balance - amount
        if newBalance == 0.0 {
            self.userBalances.remove(key: userAddress)
        } else {
            self.userBalances[userAddress] = newBalance
        }
        return newBalance
    }

    /// The escrow vault, with the right to withdraw from it: never hand this reference out.
    ///
    access(self) view fun borrowEscrowVault(): auth(FungibleToken.Withdraw) &FlowToken.Vault {
        return self.account.storage.borrow<auth(FungibleToken.Withdraw) &FlowToken.Vault>(
                from: self.EscrowVaultStoragePath
            ) ?? panic(
                "OverflowGame: account \(self.account.address.toString()) stores no FlowToken vault at "
                    .concat("\(self.EscrowVaultStoragePath.toString()). Put the escrow vault back there.")
            )
    }

    /// Deploying again after a removal keeps the vault and the `Admin` that the account still stores.
    ///
    init() {
        self.EscrowVaultStoragePath = /storage/OverflowGameEscrowVault
        self.AdminStoragePath = /storage/OverflowGameAdmin
        self.PlayerStoragePath = /storage/OverflowGamePlayer
        self.totalUserBalance = 0.0
        self.userBalances = {}

        let storage = self.account.storage
        if storage.type(at: self.EscrowVaultStoragePath) == nil {
            storage.save(
                <-FlowToken.createEmptyVault(vaultType: Type<@FlowToken.Vault>()),
                to: self.EscrowVaultStoragePath
            )
        }
        if storage.type(at: self.AdminStoragePath) == nil {
            storage.save(<-create Admin(), to: self.AdminStoragePath)
        }
    }
}
