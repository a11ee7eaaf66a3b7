-- A batch that is wrong as a whole is an error with our own SQLSTATE, and leaves the database as it was.
begin;
select plan(17);

set local role service_role;
insert into user_balances (user_address, balance) values ('0x0000000000000001', 10);

select throws_ok($$select reconcile_user_balances(null, array[1], array[1], 1)$$, 'BR001', 'p_user_addresses is null',
    'null addresses');
select throws_ok($$select reconcile_user_balances(array['a'], null, array[1], 1)$$, 'BR001',
    'p_contract_balances is null', 'null contract balances');
select throws_ok($$select reconcile_user_balances(array['a'], array[1], null, 1)$$, 'BR001',
    'p_expected_balances is null', 'null expected balances');
select throws_ok($$select reconcile_user_balances(array[['a', 'b']], array[1, 2], array[1, 2], 1)$$, 'BR001',
    'p_user_addresses is nested', 'nested addresses');
select throws_ok($$select reconcile_user_balances(array['a', 'b'], array[1], array[1, 2], 1)$$, 'BR001',
    'the arrays have 2 addresses, 1 contract balances and 2 expected balances', 'contract balances of another length');
select throws_ok($$select reconcile_user_balances(array['a', 'b'], array[1, 2], array[1], 1)$$, 'BR001', null,
    'expected balances of another length');
select throws_ok($$select reconcile_user_balances(array['a'], array[1], array[1], null)$$, 'BR001',
    'p_block_height is null', 'no height');
select throws_ok($$select reconcile_user_balances(array['a'], array[1], array[1], -1)$$, 'BR001',
    'p_block_height is -1', 'a negative height');
select throws_ok($$select reconcile_user_balances(array['a'], array[1], array[1], 1, ' ')$$, 'BR001', null,
    'a blank admin');
select throws_ok($$select reconcile_user_balances(array['a'], array[1], array[1], 1, null)$$, 'BR001', null,
    'no admin');
select throws_ok($$select reconcile_user_balances(array['a'], array[1], array[1], 1, repeat('x', 201))$$, 'BR001',
    null, 'an admin too long');
select throws_ok($$select reconcile_user_balances(array['0x0000000000000001', 'b', '0x0000000000000001'],
    array[1, 2, 3], array[10, 2, 3], 1)$$,
    'BR002', 'p_user_addresses names 0x0000000000000001 more than once', 'an address twice');
select throws_ok($$select reconcile_user_balances(array_agg(n::text), array_agg(n), array_agg(n),
    1) from generate_series(1, 50001) n$$,
    'BR003', 'p_user_addresses has 50001 elements', 'over 50,000 users');
select throws_ok($$select reconcile_user_balances(array['a'], array_fill(1::numeric, array[50001]), array[1], 1)$$,
    'BR003', null, 'over 50,000 balances');

select results_eq('select user_address, balance from user_balances',
    $$values ('0x0000000000000001' collate "C", 10::numeric)$$, 'the ledger is as it was');
select is_empty('select * from balance_audit_log', 'and so is the audit log');
select volatility_is('public', 'reconcile_user_balances', 'volatile', 'a dry run cannot call it by GET');

select * from finish();
rollback;
