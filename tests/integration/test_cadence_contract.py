"""OverflowGame on a real emulator: who may move what, and that no FLOW is made or lost."""

import random
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.chain import Chain, ChainAccount, ChainTransactionError, TransactionResult
from tools.chain.json_cadence import JsonCadence, address, amounts_by_address, ufix64
from tools.chain.sources import read_cadence

FIXTURES = Path(__file__).parents[1] / "cadence"
FLOW = 10**8


class Game:
    """The contract as a player and its admin use it. Amounts are integers of 1e-8."""

    def __init__(self, chain: Chain, contract_address: str) -> None:
        self.chain = chain
        self.addresses = {"OverflowGame": contract_address}

    def balance(self, user_address: str) -> int:
        return int(self.script("get_user_balance.cdc", address(user_address)))

    def total(self) -> int:
        return int(self.script("get_vault_balance.cdc")["totalUserBalance"])

    def vault(self) -> int:
        return int(self.script("get_vault_balance.cdc")["vaultBalance"])

    def new_user(self, flow_units: int = 0) -> ChainAccount:
        user = self.chain.create_account()
        if flow_units:
            self.run("transfer_flow.cdc", ufix64(flow_units), address(user.address))
        return user

    def new_player(self, deposit_units: int) -> ChainAccount:
        player = self.new_user()
        self.run("setup_player.cdc", by=player)
        self.deposit(player.address, deposit_units)
        return player

    def deposit(self, user_address: str, units: int) -> TransactionResult:
        return self.run("deposit.cdc", ufix64(units), address(user_address))

    def withdraw(self, by: ChainAccount, units: int) -> TransactionResult:
        return self.run("withdraw.cdc", ufix64(units), by=by)

    def settle(
        self, debits: dict[str, int], credits: dict[str, int], by: ChainAccount | None = None
    ) -> TransactionResult:
        return self.run(
            "settle.cdc", amounts_by_address(debits), amounts_by_address(credits), by=by
        )

    def run(
        self, name: str, *args: JsonCadence, by: ChainAccount | None = None
    ) -> TransactionResult:
        return self.run_code(read_cadence(f"transactions/{name}", self.addresses), *args, by=by)

    def run_code(
        self, code: str, *args: JsonCadence, by: ChainAccount | None = None
    ) -> TransactionResult:
        return self.chain.send(code, args, authorizers=None if by is None else [by])

    def script(self, name: str, *args: JsonCadence) -> Any:
        return self.chain.run_script(read_cadence(f"scripts/{name}", self.addresses), args)


@pytest.fixture
def game(chain: Chain, contract_address: str) -> Iterator[Game]:
    """The game, whose escrow must cover all balances when the test is over."""
    game = Game(chain, contract_address)
    yield game
    assert game.vault() >= game.total()


def new_address() -> str:
    return f"0x{secrets.token_hex(8)}"


def flow_in_own_vault(game: Game, user: ChainAccount) -> int:
    code = "access(all) fun main(a: Address): UFix64 { return getAccount(a).balance }"
    return int(game.chain.run_script(code, [address(user.address)]))


def test_a_deposit_reaches_the_user_the_total_and_the_vault(game: Game) -> None:
    user, total, vault = new_address(), game.total(), game.vault()

    game.deposit(user, 12_50000000)

    assert game.balance(user) == 12_50000000
    assert game.total() - total == 12_50000000
    assert game.vault() - vault == 12_50000000


def test_deposits_add_up_to_the_smallest_unit(game: Game) -> None:
    user = new_address()

    for units in (1, 2 * FLOW, 99_999_999):
        game.deposit(user, units)

    assert game.balance(user) == 1 + 2 * FLOW + 99_999_999


def test_a_balance_above_2_to_the_53_units_is_exact(game: Game) -> None:
    player = game.new_player(2**53 + 1)

    assert game.balance(player.address) == 2**53 + 1

    game.withdraw(player, 2**53)
    assert game.balance(player.address) == 1


def test_a_deposit_emits_the_user_the_amount_and_the_new_balance(game: Game) -> None:
    user = new_address()
    game.deposit(user, 3 * FLOW)

    result = game.deposit(user, 1 * FLOW)

    events = [event for event in result.events if event.type.endswith("OverflowGame.Deposited")]
    assert [event.fields for event in events] == [
        {"userAddress": user, "amount": 1 * FLOW, "newBalance": 4 * FLOW}
    ]


def test_an_empty_deposit_is_refused(game: Game) -> None:
    user = new_address()

    with pytest.raises(ChainTransactionError, match=f"for user {user} is empty"):
        game.deposit(user, 0)


def test_a_deposit_of_another_token_is_refused(game: Game) -> None:
    issuer = game.new_user()
    with Chain(game.chain.access_node, issuer.address, issuer.private_key_hex) as issuing:
        issuing.deploy_contract("PlayToken", read_cadence(FIXTURES / "PlayToken.cdc"))
    code = f"""
        import PlayToken from {issuer.address}
        import OverflowGame from {game.addresses["OverflowGame"]}

        transaction {{
            prepare(signer: &Account) {{
                OverflowGame.deposit(from: <-PlayToken.mint(amount: 5.0), userAddress:
                signer.address)
            }}
        }}
    """

    with pytest.raises(ChainTransactionError, match=r"cannot take A\.\w+\.PlayToken\.Vault"):
        game.run_code(code, by=issuer)
    assert game.balance(issuer.address) == 0


def test_a_user_withdraws_into_the_own_vault(game: Game) -> None:
    player = game.new_player(10 * FLOW)
    total, vault, own = game.total(), game.vault(), flow_in_own_vault(game, player)

    game.withdraw(player, 4 * FLOW)

    assert game.balance(player.address) == 6 * FLOW
    assert total - game.total() == 4 * FLOW
    assert vault - game.vault() == 4 * FLOW
    assert flow_in_own_vault(game, player) - own == 4 * FLOW


def test_a_withdrawal_emits_the_user_the_amount_and_the_new_balance(game: Game) -> None:
    player = game.new_player(10 * FLOW)

    result = game.withdraw(player, 4 * FLOW)

    events = [event for event in result.events if event.type.endswith("OverflowGame.Withdrawn")]
    assert [event.fields for event in events] == [
        {"userAddress": player.address, "amount": 4 * FLOW, "newBalance": 6 * FLOW}
    ]


def test_a_user_who_withdrew_everything_is_forgotten(game: Game) -> None:
    def user_count() -> int:
        contract = game.addresses["OverflowGame"]
        code = f"""
            import OverflowGame from {contract}
            access(all) fun main(): Int {{ return OverflowGame.getUserCount() }}
        """
        return int(game.chain.run_script(code))

    player = game.new_player(10 * FLOW)
    count = user_count()

    game.withdraw(player, 10 * FLOW)

    assert game.balance(player.address) == 0
    assert user_count() == count - 1


def test_a_withdrawal_above_the_balance_names_the_user_and_both_amounts(game: Game) -> None:
    player = game.new_player(10 * FLOW)

    with pytest.raises(ChainTransactionError) as caught:
        game.withdraw(player, 10 * FLOW + 1)

    assert (
        f"cannot take 10.00000001 FLOW from user {player.address}, whose balance is 10.00000000"
        in str(caught.value)
    )
    assert game.balance(player.address) == 10 * FLOW


def test_a_withdrawal_of_nothing_is_refused(game: Game) -> None:
    player = game.new_player(10 * FLOW)

    with pytest.raises(ChainTransactionError, match=f"user {player.address} asked for 0.0 FLOW"):
        game.withdraw(player, 0)


def test_without_a_player_a_withdrawal_names_the_account_the_path_and_the_remedy(
    game: Game,
) -> None:
    user = game.new_user()
    game.deposit(user.address, 1 * FLOW)

    with pytest.raises(ChainTransactionError) as caught:
        game.withdraw(user, 1 * FLOW)

    assert (
        f"account {user.address} stores no Player at /storage/OverflowGamePlayer. "
        "Run setup_player.cdc first." in str(caught.value)
    )


def test_setting_up_a_player_again_changes_nothing(game: Game) -> None:
    player = game.new_player(1 * FLOW)

    game.run("setup_player.cdc", by=player)

    game.withdraw(player, 1 * FLOW)


PREPARE_ATTACK = """
    import FungibleToken from 0xee82856bf20e2aa6
    import OverflowGame from {contract}

    transaction {{
        prepare(attacker: auth(Storage, Capabilities) &Account) {{
            let victim = getAccount({victim})
            {body}
        }}
    }}
"""


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        pytest.param(
            "OverflowGame.createPlayer(account: victim)",
            "mismatched types",
            id="a player made with a reference that anyone can get",
        ),
        pytest.param(
            "let player <- create OverflowGame.Player(userAddress: victim.address)\ndestroy player",
            "cannot create resource type outside of containing contract",
            id="a player made outside the contract",
        ),
        pytest.param(
            "destroy OverflowGame.withdraw(userAddress: victim.address, amount: 1.0)",
            "cannot access `withdraw`",
            id="the contract's own withdraw",
        ),
        pytest.param(
            "destroy victim.storage.borrow<auth(OverflowGame.Withdraw) &OverflowGame.Player>("
            "from: OverflowGame.PlayerStoragePath)!.withdraw(amount: 1.0)",
            "cannot access `borrow`",
            id="the victim's storage",
        ),
        pytest.param(
            "destroy victim.capabilities.borrow<&OverflowGame.Player>(/public/player)!"
            ".withdraw(amount: 1.0)",
            "cannot access `withdraw`",
            id="a published reference without the entitlement",
        ),
        pytest.param(
            "destroy victim.capabilities.borrow<auth(OverflowGame.Withdraw) &OverflowGame.Player>("
            "/public/player)!.withdraw(amount: 1.0)",
            "unexpectedly found nil",
            id="a published reference taken with more than it has",
        ),
    ],
)
def test_nobody_else_withdraws(game: Game, body: str, refusal: str) -> None:
    victim, attacker = game.new_player(10 * FLOW), game.new_player(1 * FLOW)
    game.run_code(PUBLISH_PLAYER.format(contract=game.addresses["OverflowGame"]), by=victim)
    attack = PREPARE_ATTACK.format(
        contract=game.addresses["OverflowGame"], victim=victim.address, body=body
    )

    with pytest.raises(ChainTransactionError, match=refusal):
        game.run_code(attack, by=attacker)
    assert game.balance(victim.address) == 10 * FLOW


PUBLISH_PLAYER = """
    import OverflowGame from {contract}

    transaction {{
        prepare(signer: auth(Capabilities) &Account) {{
            let player = signer.capabilities.storage.issue<&OverflowGame.Player>(
                OverflowGame.PlayerStoragePath
            )
            signer.capabilities.publish(player, at: /public/player)
        }}
    }}
"""


def test_a_player_moved_into_another_account_still_withdraws_its_own_user_only(game: Game) -> None:
    mover, other = game.new_player(5 * FLOW), game.new_user()
    game.deposit(other.address, 7 * FLOW)
    code = f"""
        import OverflowGame from {game.addresses["OverflowGame"]}

        transaction {{
            prepare(from: auth(Storage) &Account, to: auth(Storage) &Account) {{
                let path = OverflowGame.PlayerStoragePath
                to.storage.save(<-from.storage.load<@OverflowGame.Player>(from: path)!, to: path)
            }}
        }}
    """
    game.chain.send(code, authorizers=[mover, other])

    game.withdraw(other, 5 * FLOW)

    assert (game.balance(mover.address), game.balance(other.address)) == (0, 7 * FLOW)


def test_a_settlement_moves_balances_and_conserves_the_sum(game: Game) -> None:
    alice, bob, carol = new_address(), new_address(), new_address()
    game.deposit(alice, 10 * FLOW)
    game.deposit(bob, 5 * FLOW)
    total, vault = game.total(), game.vault()

    game.settle({alice: 10 * FLOW, bob: 1 * FLOW}, {bob: 2 * FLOW, carol: 9 * FLOW - 1, alice: 1})

    assert [game.balance(user) for user in (alice, bob, carol)] == [1, 6 * FLOW, 9 * FLOW - 1]
    assert (game.total(), game.vault()) == (total, vault)


def test_a_settlement_emits_every_debit_and_credit(game: Game) -> None:
    loser, winner = new_address(), new_address()
    game.deposit(loser, 10 * FLOW)

    result = game.settle({loser: 4 * FLOW}, {winner: 4 * FLOW})

    assert [event.fields for event in result.events_named("Settled")] == [
        {
            "userAddress": loser,
            "amount": 4 * FLOW,
            "isCredit": False,
            "newBalance": 6 * FLOW,
        },
        {
            "userAddress": winner,
            "amount": 4 * FLOW,
            "isCredit": True,
            "newBalance": 4 * FLOW,
        },
    ]


@pytest.mark.parametrize("excess_units", [-1, 1])
def test_an_unbalanced_settlement_is_refused(game: Game, excess_units: int) -> None:
    loser, winner = new_address(), new_address()
    game.deposit(loser, 10 * FLOW)

    with pytest.raises(ChainTransactionError, match="the debits sum to 4"):
        game.settle({loser: 4 * FLOW}, {winner: 4 * FLOW + excess_units})

    assert (game.balance(loser), game.balance(winner)) == (10 * FLOW, 0)


def test_a_debit_above_the_balance_names_the_user_and_settles_nobody(game: Game) -> None:
    loser, poor, winner = new_address(), new_address(), new_address()
    game.deposit(loser, 10 * FLOW)
    game.deposit(poor, 1 * FLOW)

    with pytest.raises(ChainTransactionError) as caught:
        game.settle({loser: 4 * FLOW, poor: 2 * FLOW}, {winner: 6 * FLOW})

    assert f"cannot take 2.00000000 FLOW from user {poor}, whose balance is 1.00000000" in str(
        caught.value
    )
    assert [game.balance(user) for user in (loser, poor, winner)] == [10 * FLOW, 1 * FLOW, 0]


def test_a_credit_of_the_same_settlement_does_not_cover_a_debit(game: Game) -> None:
    user, other = new_address(), new_address()
    game.deposit(other, 5 * FLOW)

    with pytest.raises(ChainTransactionError, match=f"from user {user}, whose balance is 0.0"):
        game.settle({user: 5 * FLOW, other: 5 * FLOW}, {user: 5 * FLOW, other: 5 * FLOW})


def test_an_amount_of_zero_is_refused_with_the_user(game: Game) -> None:
    user = new_address()

    with pytest.raises(ChainTransactionError, match=f"the amount for user {user} is 0.0"):
        game.settle({}, {user: 0})


def test_only_the_contract_account_settles(game: Game) -> None:
    player, winner = game.new_player(5 * FLOW), new_address()

    with pytest.raises(ChainTransactionError) as caught:
        game.settle({player.address: 5 * FLOW}, {winner: 5 * FLOW}, by=player)

    assert f"account {player.address} stores no Admin at /storage/OverflowGameAdmin" in str(
        caught.value
    )


def test_1_500_users_settle_in_one_transaction_of_an_ordinary_account(game: Game) -> None:
    house = game.new_user(2_000 * FLOW)
    credits = {new_address(): FLOW for _ in range(1_499)}
    with Chain(game.chain.access_node, house.address, house.private_key_hex) as owner:
        owner.deploy_contract("OverflowGame", read_cadence("contracts/OverflowGame.cdc"))
        own = Game(owner, house.address)
        own.deposit(house.address, 1_500 * FLOW)

        result = own.settle({house.address: 1_499 * FLOW}, credits)

        assert len(result.events_named("Settled")) == 1_500
        assert own.balance(house.address) == 1 * FLOW
        assert own.total() == own.vault() == 1_500 * FLOW


def test_the_total_stays_the_sum_of_all_balances(game: Game) -> None:
    rng = random.Random(20_251)
    players = [game.new_player(rng.randrange(1, 5 * FLOW)) for _ in range(4)]
    users = [player.address for player in players]
    surplus = game.vault() - game.total()
    others = game.total() - sum(map(game.balance, users))

    for _ in range(10):
        player = rng.choice(players)
        balance = game.balance(player.address)
        action = rng.randrange(3)
        if action == 0 or balance == 0:
            game.deposit(player.address, rng.randrange(1, FLOW))
        elif action == 1:
            game.withdraw(player, rng.randrange(1, balance + 1))
        else:
            units = rng.randrange(1, balance + 1)
            game.settle({player.address: units}, {rng.choice(users): units})
        assert game.total() == others + sum(map(game.balance, users))
        assert game.vault() - game.total() == surplus
