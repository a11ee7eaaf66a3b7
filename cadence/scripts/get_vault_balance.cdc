import "OverflowGame"

/// What the escrow vault holds and what all users own together, at the same block.
///
/// @return FLOW: "vaultBalance", and "totalUserBalance", which it covers
///
access(all) fun main(): {String: UFix64} {
    return {
        "vaultBalance": OverflowGame.getVaultBalance(),
        "totalUserBalance": OverflowGame.totalUserBalance
    }
}
