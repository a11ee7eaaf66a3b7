import "FungibleToken"

/// A token that is not FLOW, and that anyone can make any amount of.
///
access(all) contract PlayToken: FungibleToken {

    access(all) resource Vault: FungibleToken.Vault {

        access(all) var balance: UFix64

        access(all) view fun getViews(): [Type] {
            return []
        }

        access(all) fun resolveView(_ view: Type): AnyStruct? {
            return nil
        }

        access(all) view fun isAvailableToWithdraw(amount: UFix64): Bool {
            return amount <= self.balance
        }

        access(all) view fun getSupportedVaultTypes(): {Type: Bool} {
            return {self.getType(): true}
        }

        access(all) view fun isSupportedVaultType(type: Type): Bool {
            return type == self.getType()
        }

        access(FungibleToken.Withdraw) fun withdraw(amount: UFix64): @PlayToken.Vault {
            self.balance = self.balance - amount
            return <-create Vault(balance: amount)
        }

        access(all) fun deposit(from: @{FungibleToken.Vault}) {
            self.balance = self.balance + from.balance
            destroy from
        }

        access(all) fun createEmptyVault(): @PlayToken.Vault {
            return <-create Vault(balance: 0.0)
        }

        access(contract) fun burnCallback() {}

        init(balance: UFix64) {
            self.balance = balance
        }
    }

    access(all) fun mint(amount: UFix64): @PlayToken.Vault {
        return <-create Vault(balance: amount)
    }

    access(all) fun createEmptyVault(vaultType: Type): @PlayToken.Vault {
        return <-create Vault(balance: 0.0)
    }

    access(all) view fun getContractViews(resourceType: Type?): [Type] {
        return []
    }

    access(all) fun resolveContractView(resourceType: Type?, viewType: Type): AnyStruct? {
        return nil
    }
}
