-- An example ledger that has drifted from its contract. Balances the contract is meant to hold are in the comments;
-- the amounts are FLOW. May be loaded again: rows that are there stay.

insert into public.user_balances (user_address, balance) values
    ('0x01cf0e2f2f715450', 120.00000000),    -- contract 120: in sync
    ('0x179b6b1cb6755e31', 75.50000000),     -- contract 80.5: a deposit of 5 was lost
    ('0xf3fcd2c1a78f5eee', 40.00000000),     -- contract 20: a deposit of 20 was counted twice
    ('0xe03daebed8ca0615', 0.30000001),      -- contract 0.3: one unit of rounding
    ('0x045a1763c93006ca', 0.00000000),      -- contract 0: never played
    ('0x120e725050340cab', 999.99000000)     -- contract 12: edited by hand
on conflict (user_address) do nothing;

-- How they came to it, as the app recorded it.
insert into public.balance_audit_log (user_address, operation_type, amount, balance_before, balance_after, transaction_hash)
select seeded.*
from (
    values
        ('0x01cf0e2f2f715450', 'deposit', 120.0, 0.0, 120.0, 'seed-1'),
        ('0x179b6b1cb6755e31', 'deposit', 75.5, 0.0, 75.5, 'seed-2'),
        ('0xf3fcd2c1a78f5eee', 'deposit', 20.0, 0.0, 20.0, 'seed-3'),
        ('0xf3fcd2c1a78f5eee', 'deposit', 20.0, 20.0, 40.0, 'seed-3'),
        ('0xe03daebed8ca0615', 'settlement', 0.30000001, 0.0, 0.30000001, 'seed-4'),
        ('0x120e725050340cab', 'deposit', 12.0, 0.0, 12.0, 'seed-5')
) as seeded (user_address, operation_type, amount, balance_before, balance_after, transaction_hash)
where not exists (select from public.balance_audit_log a where a.transaction_hash like 'seed-%');
