import "OverflowGame"

/// What one user owns.
///
/// @param userAddress: any Flow address; it needs no account
/// @return FLOW, 0.0 for a user the contract does not know
///
access(all) fun main(userAddress: Address): UFix64 {
    return OverflowGame.getUserBalance(userAddress: userAddress)
}
