-- Reconciling one user: the published call, the balance, the audit row.
begin;
select plan(38);

set local role service_role;
insert into user_balances (user_address, balance) values
    ('0x0000000000000001', 10), ('0x0000000000000002', 7.5), ('odd key', 1),
    ('0x0000000000000003', 184467440737.09551615);
update user_balances set updated_at = '2000-01-01';

-- The published call, by position and by name.
select is(reconcile_user_balance('0x0000000000000001', 12.5)::jsonb - 'audit_id', '{
    "success": true, "error": null, "code": null, "user_address": "0x0000000000000001", "old_balance": "10.00000000",
    "new_balance": "12.50000000", "discrepancy": "2.50000000", "block_height": null}', 'two arguments by position');
select is((select balance from user_balances where user_address = '0x0000000000000001'), 12.5,
    'the ledger holds the contract''s');
select results_eq(
    $$select user_address, operation_type, amount, balance_before, balance_after, transaction_hash, run_id, block_height
      from balance_audit_log$$,
    $$values ('0x0000000000000001' collate "C", 'reconciliation', 2.5, 10.0, 12.5, 'reconciliation_by_ADMIN',
        null::uuid, null::bigint)$$,
    'the audit row, field by field; ADMIN is the default');
select ok((select created_at between now() and clock_timestamp() from balance_audit_log),
    'created_at is the time of the write');
select is((select array[b.updated_at, b.reconciled_at] from user_balances b where user_address = '0x0000000000000001'),
    (select array[created_at, created_at] from balance_audit_log), 'the row''s times are the audit row''s');

select is(reconcile_user_balance('0x0000000000000002', 5, '0xf8d6e0586b0a20c7')::jsonb - 'audit_id', '{
    "success": true, "error": null, "code": null, "user_address": "0x0000000000000002", "old_balance": "7.50000000",
    "new_balance": "5.00000000", "discrepancy": "-2.50000000", "block_height": null}', 'three arguments by position');
select is((select transaction_hash from balance_audit_log where user_address = '0x0000000000000002'),
    'reconciliation_by_0xf8d6e0586b0a20c7', 'the audit row keeps the admin');
select is((select amount from balance_audit_log where user_address = '0x0000000000000002'), -2.5, 'amount is signed');

select is(
    reconcile_user_balance(p_contract_balance => 3, p_admin_address => 'ops', p_user_address => 'odd key')::jsonb
        - 'audit_id', '{
    "success": true, "error": null, "code": null, "user_address": "odd key", "old_balance": "1.00000000",
    "new_balance": "3.00000000", "discrepancy": "2.00000000", "block_height": null}',
    'three arguments by name; an existing key is matched as it is stored');
select is(
    (select array_agg(key) from json_object_keys(reconcile_user_balance('odd key', 3)) as key),
    array['success', 'error', 'code', 'user_address', 'old_balance', 'new_balance', 'discrepancy', 'audit_id',
        'block_height'],
    'the answer has these fields');

-- No discrepancy: audited all the same.
select is(reconcile_user_balance('0x0000000000000001', 12.5) ->> 'discrepancy', '0.00000000', 'nothing to correct');
select results_eq(
    $$select amount, balance_before, balance_after from balance_audit_log
      where user_address = '0x0000000000000001' order by id offset 1$$,
    $$values (0.0, 12.5, 12.5)$$, 'an admin who acted leaves an audit row');
create temp table answer as select reconcile_user_balance('0x0000000000000001', 12.5) as answer;
select is((select answer ->> 'audit_id' from answer), (select max(id)::text from balance_audit_log),
    'audit_id is the row that was written');

-- The ends of the range.
select is(reconcile_user_balance('0x0000000000000003', 0) ->> 'discrepancy', '-184467440737.09551615',
    'down from the largest');
select is(reconcile_user_balance('0x0000000000000003', 184467440737.09551615) ->> 'new_balance',
    '184467440737.09551615', 'up to the largest');
select is(reconcile_user_balance('0x0000000000000003', 0.00000001) ->> 'new_balance', '0.00000001', 'one unit');
select is(reconcile_user_balance('0x0000000000000003', 2.500000000000) ->> 'new_balance', '2.50000000',
    'trailing zeros are not finer');
update user_balances set balance = -99 where user_address = '0x0000000000000003';
select is(reconcile_user_balance('0x0000000000000003', 1) ->> 'discrepancy', '100.00000000', 'up from below zero');

-- A missing user.
select is(reconcile_user_balance('0x00000000000000aa', 4)::jsonb - 'audit_id', '{
    "success": true, "error": null, "code": null, "user_address": "0x00000000000000aa", "old_balance": "0.00000000",
    "new_balance": "4.00000000", "discrepancy": "4.00000000", "block_height": null}',
    'a missing user is created from 0');
select is((select balance from user_balances where user_address = '0x00000000000000aa'), 4::numeric,
    'with the contract''s balance');
select is(reconcile_user_balance('00000000000000BB', 0) ->> 'success', 'true',
    'without 0x and in upper case, and with 0');
select is((select count(*) from user_balances where user_address = '00000000000000BB'), 1::bigint,
    'under the key as given');
select is((select balance_before from balance_audit_log where user_address = '00000000000000BB'), 0::numeric,
    'and audited from 0');

-- Compare-and-set.
select is(reconcile_user_balance('0x0000000000000002', 9, p_expected_balance => 5.0) ->> 'success', 'true',
    'the ledger holds the expected balance');
select is(reconcile_user_balance('0x00000000000000cc', 9, p_expected_balance => 0) ->> 'success', 'true',
    'a missing user is expected to hold 0');

-- Heights.
select is(reconcile_user_balance('0x0000000000000002', 10, p_block_height => 100) ->> 'block_height', '100',
    'the height comes back');
select is((select reconciled_height from user_balances where user_address = '0x0000000000000002'), 100::bigint,
    'the row keeps the height');
select is((select max(block_height) from balance_audit_log where user_address = '0x0000000000000002'), 100::bigint,
    'so does the audit row');
select is(reconcile_user_balance('0x0000000000000002', 11, p_block_height => 100) ->> 'success', 'true',
    'the same height again is fine');
select is(reconcile_user_balance('0x0000000000000002', 12) ->> 'success', 'true', 'no height asks for no check');
select is((select reconciled_height from user_balances where user_address = '0x0000000000000002'), 100::bigint,
    'and leaves the fence');
select is((select event_height from user_balances where user_address = '0x0000000000000002'), null,
    'event_height belongs to events');

-- Runs.
select is(
    reconcile_user_balance('0x0000000000000001', 20, p_block_height => 50,
        p_run_id => '00000000-0000-0000-0000-00000000000a')::text,
    reconcile_user_balance('0x0000000000000001', 33, p_block_height => 60,
        p_run_id => '00000000-0000-0000-0000-00000000000a')::text,
    'the same run and user again reports the first result');
select is((select balance from user_balances where user_address = '0x0000000000000001'), 20::numeric,
    'and writes nothing');
select is((select count(*) from balance_audit_log where run_id = '00000000-0000-0000-0000-00000000000a'), 1::bigint,
    'and audits nothing');
select is(
    reconcile_user_balance('0x0000000000000001', 33, p_block_height => 60,
        p_run_id => '00000000-0000-0000-0000-00000000000b') ->> 'old_balance',
    '20.00000000', 'another run is another correction');
delete from user_balances where user_address = '0x0000000000000001';
select is(
    reconcile_user_balance('0x0000000000000001', 33,
        p_run_id => '00000000-0000-0000-0000-00000000000a') ->> 'new_balance',
    '20.00000000', 'the first result outlives the row');
select is((select count(*) from user_balances where user_address = '0x0000000000000001'), 0::bigint,
    'and does not bring it back');

select * from finish();
rollback;
