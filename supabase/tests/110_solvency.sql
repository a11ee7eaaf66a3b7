-- The ledger in sums, and the checks that are made with them.
begin;
select plan(50);

-- ledger_totals
set local role service_role;
select is(ledger_totals()::jsonb, '{"total": "0.00000000", "users": 0, "negative_users": 0,
    "negative_total": "0.00000000", "unusable_users": 0, "respelled_users": 0}', 'an empty ledger holds nothing');
reset role;
select is((select p.provolatile::text from pg_proc p where p.oid = 'public.ledger_totals()'::regprocedure), 's',
    'summing writes nothing');

insert into user_balances (user_address, balance) values
    ('0x0000000000000001', 0.1), ('0x0000000000000002', 0.2), ('0x0000000000000003', 100000000000.00000001),
    ('0x0000000000000004', -0.00000003), ('0x0000000000000005', 'NaN'), ('SYSTEM-like', 1);
select is(ledger_totals() ->> 'total', '100000000001.29999998', 'the sum is exact, and has what is below zero');
select is(ledger_totals() ->> 'users', '6', 'every row counts');
select is(ledger_totals() ->> 'negative_users', '1', 'those below zero are counted');
select is(ledger_totals() ->> 'negative_total', '-0.00000003', 'and summed');
select is(ledger_totals() ->> 'unusable_users', '1', 'what is no number is not in the sum');
select is(ledger_totals() ->> 'respelled_users', '0', 'each account has one row');

insert into user_balances (user_address, balance) values
    ('00000000000000AB', 1), ('0x00000000000000AB', 1), ('00000000000000ab', 1), ('0x00000000000000ab', 1),
    ('00000000000000CD', 1), ('0x00000000000000EF', 1), ('0X00000000000000ef', 1), ('ab', 1);
select is(ledger_totals() ->> 'respelled_users', '3', 'rows beyond one for each account are counted, junk is not');

-- Columns of an app's own: null, too fine, too large, infinite.
alter table user_balances alter column balance drop not null, alter column balance type numeric;
delete from user_balances;
insert into user_balances (user_address, balance) values
    ('a', null), ('b', 0.000000001), ('c', 1000000000000), ('d', 'Infinity'), ('e', '-Infinity'), ('f', 'NaN'),
    ('g', 999999999999.99999999), ('h', 999999999999.99999999), ('i', 0.500000000000);
select is((ledger_totals() ->> 'total', ledger_totals() ->> 'users', ledger_totals() ->> 'unusable_users'),
    ('2000000000000.49999998'::text, '9'::text, '6'::text),
    'what is no amount is left out and counted, and a sum may be larger than every amount');
delete from user_balances;
insert into user_balances (user_address, balance) select lpad(n::text, 16, '0'), 1 from generate_series(1, 100001) n;
select is(ledger_totals() ->> 'respelled_users', null, 'too many unusual addresses are not looked up');
delete from user_balances where user_address = '0000000000000001';
select is(ledger_totals() ->> 'respelled_users', '0', 'a hundred thousand are');
delete from user_balances;
alter table user_balances alter column balance type numeric(20, 8), alter column balance set not null;

-- record_solvency_check
set local role service_role;
create function pg_temp.record(
    p_no integer, p_state text, p_vault numeric, p_ledger numeric, p_contract numeric, p_confirmed boolean default true
) returns jsonb language sql as $$
    select public.record_solvency_check(('00000000-0000-0000-0000-' || lpad(p_no::text, 12, '0'))::uuid, 'alice',
        p_state, p_confirmed, 0.00000001, 42, p_ledger, 3, 0, 0, 0, 0, p_vault, p_contract)::jsonb;
$$;

select is(pg_temp.record(1, 'solvent', 5, 5, 5, false) - '{checked_at,since}'::text[], '{
    "check_id": "00000000-0000-0000-0000-000000000001", "admin_address": "alice", "state": "solvent",
    "confirmed": false, "tolerance": "0.00000001", "block_height": 42, "ledger_total": "5.00000000",
    "ledger_users": 3, "negative_users": 0, "negative_total": "0.00000000", "unusable_users": 0, "respelled_users": 0,
    "vault_balance": "5.00000000", "contract_total": "5.00000000", "audit_id": null, "error_code": null,
    "error": null}', 'a check is stored as it was found');
select is((select count(*) from balance_audit_log), 0::bigint, 'without an audit row when all agree');
select is(pg_temp.record(2, 'deficit', 4, 5, 4, false) ->> 'audit_id', null, 'nor when it is not confirmed');

select isnt(pg_temp.record(3, 'deficit', 4, 5.00000001, 4) ->> 'audit_id', null, 'a confirmed mismatch has one');
select is((select concat_ws(' ', user_address, operation_type, amount, balance_before, balance_after, transaction_hash,
    block_height, coalesce(run_id::text, 'no run')) from balance_audit_log),
    'SYSTEM sync_check -1.00000001 5.00000001 4.00000000 sync_check_by_alice 42 no run',
    'which says what was set against what');
select is((select a.id::text from balance_audit_log a),
    (select c.audit_id from solvency_checks c where c.state = 'deficit' and c.confirmed), 'and which the check names');
select is((select a.created_at from balance_audit_log a),
    (select c.checked_at from solvency_checks c where c.state = 'deficit' and c.confirmed), 'at the same moment');
select is(pg_temp.record(3, 'deficit', 1, 2, 1), pg_temp.record(3, 'deficit', 4, 5.00000001, 4),
    'recording it again gives the first answer');
select is((select count(*) from balance_audit_log), 1::bigint, 'and writes no second audit row');

select is(pg_temp.record(4, 'contract_short', 4, 5, 6) ->> 'audit_id' is null, false, 'a contract that is short has one');
select is(pg_temp.record(5, 'contract_mismatch', 5, 5, 4) ->> 'audit_id' is null, false, 'as has a mismatch of its total');
select is(pg_temp.record(6, 'surplus', 6, 5, 5) ->> 'audit_id' is null, false, 'and a surplus');

-- Too much for an audit row.
select is(pg_temp.record(7, 'deficit', 1, 1000000000000, 1) ->> 'error_code', 'audit_amount_out_of_range',
    'a sum that no audit row holds is said to be');
select is(pg_temp.record(8, 'deficit', 1, 12345678901234567890123.00000001, 1) ->> 'ledger_total',
    '12345678901234567890123.00000001', 'the check keeps a sum of any size exactly');
select is(pg_temp.record(9, 'surplus', 100000000000, -999999999999, 100000000000) ->> 'error_code',
    'audit_amount_out_of_range', 'a difference that does not fit is no audit row either');
select is((select count(*) from balance_audit_log), 4::bigint, 'none of them is in the audit log');

-- An app's own constraint.
reset role;
alter table balance_audit_log add constraint known check (operation_type in ('reconciliation', 'deposit')) not valid;
set local role service_role;
select is(pg_temp.record(10, 'deficit', 4, 5, 4) ->> 'error_code', 'audit_row_refused',
    'a constraint of the app that refuses the audit row does not lose the check');
select matches(pg_temp.record(10, 'deficit', 4, 5, 4) ->> 'error', 'known', 'which names the constraint');
reset role;
alter table balance_audit_log drop constraint known;
set local role service_role;

-- What contradicts itself.
select throws_ok(format('select record_solvency_check(%s)', v.arguments), 'BR001', null, v.about)
from (values
    ('null, ''a'', ''solvent'', false, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1', 'no id'),
    ('gen_random_uuid(), '' '', ''solvent'', false, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1', 'nobody asked'),
    ('gen_random_uuid(), ''a'', ''fine'', false, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1', 'no such state'),
    ('gen_random_uuid(), ''a'', ''solvent'', true, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1', 'nothing to confirm'),
    ('gen_random_uuid(), ''a'', ''solvent'', false, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1', 'no tolerance'),
    ('gen_random_uuid(), ''a'', ''solvent'', false, 1, 1, 1, 1, 0, 0, 0, 0, 2, 1', 'solvent with a difference'),
    ('gen_random_uuid(), ''a'', ''solvent'', false, 1, 1, 1, 1, 0, 0, 0, 0, 1, 2', 'or with one of the contract'),
    ('gen_random_uuid(), ''a'', ''deficit'', false, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1', 'a deficit of nothing'),
    ('gen_random_uuid(), ''a'', ''deficit'', false, 1, null, 3, 1, 0, 0, 0, 0, 1, 1', 'no height'),
    ('gen_random_uuid(), ''a'', ''deficit'', false, 1, 1, ''NaN'', 1, 0, 0, 0, 0, 1, 1', 'a sum that is no number'),
    ('gen_random_uuid(), ''a'', ''deficit'', false, 1, 1, 3.000000001, 1, 0, 0, 0, 0, 1, 1', 'a sum that is too fine'),
    ('gen_random_uuid(), ''a'', ''unreadable'', false, 1', 'unreadable without a reason'),
    ('gen_random_uuid(), ''a'', ''unreadable'', false, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, ''e''', 'unreadable with amounts')
) as v (arguments, about);

-- SYSTEM is no user, and cannot become one.
select is(reconcile_user_balance('SYSTEM', 5) ->> 'code', 'invalid_address', 'SYSTEM cannot be reconciled');
select is(apply_balance_event('SYSTEM', 5, 1, 'e') ->> 'code', 'invalid_address', 'nor be given an event');
select is(reconcile_user_balances(array['SYSTEM'], array[5], array[null]::numeric[], 1) #>> '{codes,0}',
    'invalid_address', 'nor in a batch');
select is(reconcile_user_balance('0x0000000000000001', 5) ->> 'success', 'true', 'users go on as before');

-- list_solvency_checks
select is(list_solvency_checks(p_limit => 1) #>> '{checks,0,check_id}', '00000000-0000-0000-0000-000000000010',
    'the newest comes first');
select is(json_array_length(list_solvency_checks('00000000-0000-0000-0000-000000000003') -> 'checks'), 2,
    'and those before one by pages');
select throws_ok('select list_solvency_checks(p_limit => 1001)', 'BR001', null, 'a page has a limit');

select * from finish();
rollback;
