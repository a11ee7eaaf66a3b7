-- Reconciling a chunk: one outcome for every user, in the order of the input.
begin;
select plan(35);

set local role service_role;
insert into user_balances (user_address, balance, reconciled_height, event_height) values
    ('0x0000000000000001', 10, null, null),
    ('0x0000000000000002', 20, 500, null),
    ('0x0000000000000003', 30, null, null),
    ('0x0000000000000004', 40, null, null),
    ('0x0000000000000005', 50, 2000, null),
    ('0x0000000000000006', 60, null, 2000),
    ('0x0000000000000007', 70, null, null),
    ('odd key', 80, null, null),
    ('0xABCDEF0000000009', 90, null, null);
update user_balances set updated_at = '2000-01-01';

-- Not in address order: the answer has to be in the input's.
create temp table call as select * from (values
    -- address, contract, expected, outcome, code, old balance, new balance
    ('0x0000000000000003', 31, 30, 'corrected', null, '30.00000000', '31.00000000'),
    ('0x0000000000000001', 10, 10, 'in_sync', null, '10.00000000', '10.00000000'),
    ('0x0000000000000002', 0.00000001, 20, 'corrected', null, '20.00000000', '0.00000001'),
    ('0x0000000000000004', 41, 39, 'changed_meanwhile', 'changed_meanwhile', null, null),
    ('0x0000000000000005', 51, 50, 'changed_meanwhile', 'stale_height', null, null),
    ('0x0000000000000006', 61, 60, 'changed_meanwhile', 'stale_height', null, null),
    ('0x0000000000000007', 71, null, 'changed_meanwhile', 'changed_meanwhile', null, null),
    ('odd key', 81, 80, 'corrected', null, '80.00000000', '81.00000000'),
    ('0x00000000000000aa', 5, null, 'corrected', null, '0.00000000', '5.00000000'),
    ('0x00000000000000bb', 0, null, 'in_sync', null, '0.00000000', '0.00000000'),
    ('0x00000000000000cc', 5, 4, 'changed_meanwhile', 'changed_meanwhile', null, null),
    ('nobody', 5, null, 'failed', 'invalid_address', null, null),
    ('0xabcdef0000000009', 5, null, 'failed', 'invalid_address', null, null),
    (null, 5, 5, 'failed', 'invalid_address', null, null),
    (null, 5, null, 'failed', 'invalid_address', null, null),
    ('0x00000000000000d1', null, null, 'failed', 'invalid_balance', null, null),
    ('0x00000000000000d2', -1, null, 'failed', 'invalid_balance', null, null),
    ('0x00000000000000d3', 'NaN', null, 'failed', 'invalid_balance', null, null),
    ('0x00000000000000d4', 'Infinity', null, 'failed', 'invalid_balance', null, null),
    ('0x00000000000000d5', 0.000000001, null, 'failed', 'invalid_balance', null, null),
    ('0x00000000000000d6', 184467440737.09551616, null, 'failed', 'invalid_balance', null, null)
) as c (user_address, contract_balance, expected_balance, outcome, code, old_balance, new_balance);
alter table call add position serial;

create temp table answer as
select reconcile_user_balances(
    array_agg(user_address order by position), array_agg(contract_balance::numeric order by position),
    array_agg(expected_balance::numeric order by position), 1000, '0xf8d6e0586b0a20c7',
    '00000000-0000-0000-0000-00000000000a') as answer
from call;

select is((select json_agg(key) from (select json_object_keys(answer) from answer) k (key))::jsonb,
    '["outcomes", "codes", "old_balances", "new_balances", "audit_ids"]', 'the answer has these arrays');
select is((select answer -> 'outcomes' from answer)::jsonb, (select jsonb_agg(outcome order by position) from call),
    'outcomes, in the order of the input');
select is((select answer -> 'codes' from answer)::jsonb, (select jsonb_agg(code order by position) from call),
    'codes, in the order of the input');
select is((select answer -> 'old_balances' from answer)::jsonb,
    (select jsonb_agg(old_balance order by position) from call),
    'old balances, in the order of the input');
select is((select answer -> 'new_balances' from answer)::jsonb,
    (select jsonb_agg(new_balance order by position) from call),
    'new balances, in the order of the input');
select is(
    (select answer -> 'audit_ids' from answer)::jsonb,
    (select jsonb_agg(a.id::text order by c.position) from call c left join balance_audit_log a using (user_address)),
    'audit ids, in the order of the input');

select results_eq(
    'select user_address, operation_type, amount, balance_before, balance_after, transaction_hash, run_id, block_height
     from balance_audit_log order by user_address',
    $$select user_address collate "C", 'reconciliation', new_balance::numeric - old_balance::numeric,
          old_balance::numeric, new_balance::numeric, 'reconciliation_by_0xf8d6e0586b0a20c7',
          '00000000-0000-0000-0000-00000000000a'::uuid, 1000::bigint
      from call where outcome = 'corrected' order by user_address collate "C"$$,
    'an audit row for every correction and for nothing else, field by field');
select results_eq(
    'select user_address, balance from user_balances order by 1',
    $$values
        ('0x0000000000000001' collate "C", 10::numeric), ('0x0000000000000002', 0.00000001),
        ('0x0000000000000003', 31), ('0x0000000000000004', 40), ('0x0000000000000005', 50),
        ('0x0000000000000006', 60), ('0x0000000000000007', 70), ('0x00000000000000aa', 5),
        ('0xABCDEF0000000009', 90), ('odd key', 81)$$,
    'the ledger holds what the answer says');
select results_eq(
    'select user_address, reconciled_height from user_balances where reconciled_height is not null order by 1',
    $$values
        ('0x0000000000000002' collate "C", 1000::bigint), ('0x0000000000000003', 1000), ('0x0000000000000005', 2000),
        ('0x00000000000000aa', 1000), ('odd key', 1000)$$,
    'the fence rises for what was corrected, and never falls');
select is((select array_agg(user_address order by user_address) from user_balances where updated_at = '2000-01-01'),
    (select array_agg(user_address order by user_address) from user_balances
     where user_address not in (select user_address from balance_audit_log)),
    'no other row was written');
select ok((select bool_and(b.updated_at = a.created_at and b.reconciled_at = a.created_at)
    from user_balances b join balance_audit_log a using (user_address)),
        'a corrected row''s times are its audit row''s');

-- The same run again: the first outcomes, and nothing written.
create temp table state as
select (select json_agg(b order by user_address)::text from user_balances b) as ledger,
    (select count(*) from balance_audit_log) as audit;
create temp table again as
select reconcile_user_balances(
    array['0x0000000000000003', '0x00000000000000aa', 'odd key'], array[999, 998, 81], array[31, 5, 81], 1001,
    'someone else', '00000000-0000-0000-0000-00000000000a')::jsonb as answer;
select is((select answer - 'audit_ids' from again), '{
    "outcomes": ["corrected", "corrected", "corrected"], "codes": [null, null, null],
    "old_balances": ["30.00000000", "0.00000000", "80.00000000"],
    "new_balances": ["31.00000000", "5.00000000", "81.00000000"]}',
    'the same run reports what it did first');
select is((select answer -> 'audit_ids' -> 0 from again), (select (answer -> 'audit_ids' -> 0)::jsonb from answer),
    'with the first audit row');
select is((select json_agg(b order by user_address)::text from user_balances b), (select ledger from state),
    'and leaves the ledger');
select is((select count(*) from balance_audit_log), (select audit from state), 'and the audit log');
select is(reconcile_user_balances(array['0x0000000000000003'], array[32], array[31], 1001, 'ADMIN',
    '00000000-0000-0000-0000-00000000000b')::jsonb -> 'outcomes', '["corrected"]', 'another run corrects again');
select is(reconcile_user_balances(array['0x0000000000000003'], array[33], array[32], 1001)::jsonb -> 'outcomes',
    '["corrected"]', 'without a run');
select is((select transaction_hash from balance_audit_log order by id desc limit 1), 'reconciliation_by_ADMIN',
    'ADMIN is the default');
select is((select run_id from balance_audit_log order by id desc limit 1), null, 'and there is no run id');

-- A user whom one procedure corrected in a run is known to the other.
select is(reconcile_user_balance('0x0000000000000003', 99,
    p_run_id => '00000000-0000-0000-0000-00000000000b')::jsonb -> 'new_balance',
    '"32.00000000"', 'the single procedure reports the batch''s result');
select is(reconcile_user_balance('0x0000000000000001', 10,
    p_run_id => '00000000-0000-0000-0000-00000000000b') ->> 'discrepancy',
    '0.00000000', 'audited without a discrepancy');
select is(reconcile_user_balances(array['0x0000000000000001'], array[11], array[10], 1001, 'ADMIN',
    '00000000-0000-0000-0000-00000000000b')::jsonb -> 'outcomes', '["in_sync"]',
    'the batch reports the single procedure''s result');

-- A row that was deleted after the run corrected it stays deleted.
delete from user_balances where user_address = '0x00000000000000aa';
select is(reconcile_user_balances(array['0x00000000000000aa'], array[5], array[null]::numeric[], 1001, 'ADMIN',
    '00000000-0000-0000-0000-00000000000a')::jsonb -> 'outcomes', '["corrected"]',
    'the first outcome outlives the row');
select is((select count(*) from user_balances where user_address = '0x00000000000000aa'), 0::bigint,
    'and does not bring it back');

-- Heights: at the fence is fresh enough.
select is(reconcile_user_balances(array['0x0000000000000005', '0x0000000000000006'], array[51, 61], array[50, 60],
    2000)::jsonb -> 'outcomes',
    '["corrected", "corrected"]', 'a balance read at the fence''s own block counts');

-- Empty and full.
select is(reconcile_user_balances('{}', '{}', '{}', 1)::jsonb,
    '{"outcomes": [], "codes": [], "old_balances": [], "new_balances": [], "audit_ids": []}', 'no users, no outcomes');
select is(
    (select count(*)
     from (
         select reconcile_user_balances(
             array_agg('0x1' || lpad(to_hex(n), 15, '0')), array_agg(n), array_agg(null::numeric), 1) as answer
         from generate_series(1, 50000) n
     ) call, json_array_elements_text(answer -> 'outcomes') as outcome
     where outcome = 'corrected'),
    50000::bigint, '50,000 users in one call');

-- A chunk is found by the key, even where the planner would rather read the whole ledger.
reset role;
analyze user_balances;
set local role service_role;
create temp view scans as select seq_scan from pg_stat_xact_user_tables where relname = 'user_balances';
create temp table before as select * from scans;
create temp table chunk as
select reconcile_user_balances(
    array_agg('0x1' || lpad(to_hex(n), 15, '0')), array_agg(n + 1), array_agg(n::numeric), 2) as answer
from generate_series(1, 20000) n;
create temp table after as select * from scans;
select is((select count(*) from chunk, json_array_elements_text(answer -> 'outcomes') as outcome
    where outcome = 'corrected'), 20000::bigint, '20,000 of 50,000 users');
select is((select seq_scan from after), (select seq_scan from before), 'without a scan of the table');

-- A balance that cannot be audited fails alone.
reset role;
alter table user_balances alter column balance type numeric;
update user_balances set balance = 'NaN' where user_address = '0x0000000000000001';
update user_balances set balance = 1e12 where user_address = '0x0000000000000002';
update user_balances set balance = 0.123456789 where user_address = '0x0000000000000003';
set local role service_role;
select is(reconcile_user_balances(
        array['0x0000000000000001', '0x0000000000000002', '0x0000000000000003', '0x0000000000000004'],
        array[1, 2, 3, 4], array['NaN', 1e12, 0.123456789, 40], 5000)::jsonb - 'audit_ids',
    '{"outcomes": ["failed", "failed", "failed", "corrected"],
      "codes": ["invalid_ledger_balance", "invalid_ledger_balance", "invalid_ledger_balance", null],
      "old_balances": [null, null, null, "40.00000000"], "new_balances": [null, null, null, "4.00000000"]}',
    'a stored balance that is no number, too large or too fine');

-- A null balance counts as 0 and is expected as null.
reset role;
alter table user_balances alter column balance drop not null;
update user_balances set balance = null
where user_address in ('0x0000000000000004', '0x0000000000000005', '0x0000000000000006');
set local role service_role;
select is(reconcile_user_balances(
        array['0x0000000000000004', '0x0000000000000005', '0x0000000000000006'], array[1, 0, 2],
        array[null, null, 0], 5000)::jsonb -> 'outcomes',
    '["corrected", "in_sync", "changed_meanwhile"]', 'a null balance is expected as null');
select is(
    (select balance_before from balance_audit_log where user_address = '0x0000000000000004' order by id desc limit 1),
    0::numeric,
    'and audited as 0');

-- The app's own constraint rolls the whole call back.
reset role;
alter table user_balances add constraint house_limit check (balance < 1000000) not valid;
set local role service_role;
select throws_ok($$select reconcile_user_balances(array['0x0000000000000004', '0x0000000000000007'], array[5, 1000000],
    array[1, 70], 6000)$$,
    '23514', null, 'a CHECK of the app''s own is an error of the call');
select is((select balance from user_balances where user_address = '0x0000000000000004'), 1::numeric,
    'and nothing of the call stays');
select throws_ok($$select reconcile_user_balance('0x0000000000000007', 1000000)$$, '23514', null,
    'for a single user as well');

select * from finish();
rollback;
