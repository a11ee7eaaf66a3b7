"""Cadence for accounts and contracts, whatever the project's own contract is."""

CREATE_ACCOUNT = """
/// Makes an account with one key of full weight.
///
/// @param publicKey: hex of an ECDSA_P256 key, which signs SHA3_256 hashes
///
transaction(publicKey: String) {
    prepare(signer: auth(BorrowValue) &Account) {
        let key = PublicKey(
            publicKey: publicKey.decodeHex(),
            signatureAlgorithm: SignatureAlgorithm.ECDSA_P256
        )
        Account(payer: signer).keys.add(
            publicKey: key,
            hashAlgorithm: HashAlgorithm.SHA3_256,
            weight: 1000.0
        )
    }
}
"""

ADD_CONTRACT = """
transaction(name: String, code: String) {
    prepare(signer: auth(AddContract) &Account) {
        signer.contracts.add(name: name, code: code.utf8)
    }
}
"""

UPDATE_CONTRACT = """
transaction(name: String, code: String) {
    prepare(signer: auth(UpdateContract) &Account) {
        signer.contracts.update(name: name, code: code.utf8)
    }
}
"""

CONTRACT_CODE = """
access(all) fun main(address: Address, name: String): String? {
    if let deployed = getAccount(address).contracts.get(name: name) {
        return String.fromUTF8(deployed.code)
    }
    return nil
}
"""
