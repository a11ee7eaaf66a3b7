-- Rollbacks by audit row: undone once, by a new row, with the user held; everything else is refused and said why.
begin;
select plan(52);

insert into user_balances (user_address, balance) values
    ('0x0000000000000001', 10), ('0x0000000000000002', 20), ('0x0000000000000003', 30), ('0x0000000000000004', 40),
    ('0x0000000000000005', 50), ('odd key', 60);

set local role service_role;

-- The audit row of the n-th correction of a user, as text.
create function pg_temp.correction(p_user_address text, p_no integer default 1) returns text language sql as $$
    select a.id::text from balance_audit_log a
    where a.user_address = p_user_address and a.operation_type = 'reconciliation'
    order by a.id offset p_no - 1 limit 1
$$;
create function pg_temp.undo(variadic p_audit_ids text[]) returns jsonb language sql as $$
    select rollback_user_balances(p_audit_ids, 'alice', 'ticket 7')::jsonb
$$;
create function pg_temp.try_undo(variadic p_audit_ids text[]) returns jsonb language sql as $$
    select rollback_user_balances(p_audit_ids, 'alice', 'ticket 7', true)::jsonb
$$;

select reconcile_user_balances(
    array['0x0000000000000001', '0x0000000000000002', '0x0000000000000003', '0x0000000000000004', 'odd key'],
    array[11, 0, 31, 41, 61], array[10, 20, 30, 40, 60], 100, 'ADMIN', '00000000-0000-0000-0000-00000000000a');

-- A dry run says what would happen.
select is(pg_temp.try_undo(pg_temp.correction('odd key'), pg_temp.correction('0x0000000000000002'))
    - 'audit_ids', '{
    "outcomes": ["would_roll_back", "would_roll_back"], "codes": [null, null],
    "user_addresses": ["odd key", "0x0000000000000002"], "old_balances": ["61.00000000", "0.00000000"],
    "new_balances": ["60.00000000", "20.00000000"], "rollback_audit_ids": [null, null]}',
    'a dry run answers in the order of the input');
select is((select count(*) from balance_audit_log), 5::bigint, 'writes no audit row');
select is((select count(*) from reconciliation_holds), 0::bigint, 'and holds nobody');

-- The real thing.
create temp table done as select pg_temp.undo(pg_temp.correction('odd key'), 'nonsense',
    pg_temp.correction('0x0000000000000002')) as answer;
select is((select answer - 'audit_ids' - 'rollback_audit_ids' from done), '{
    "outcomes": ["rolled_back", "refused", "rolled_back"], "codes": [null, "audit_not_found", null],
    "user_addresses": ["odd key", null, "0x0000000000000002"], "old_balances": ["61.00000000", null, "0.00000000"],
    "new_balances": ["60.00000000", null, "20.00000000"]}', 'each has its outcome');
select is((select answer -> 'audit_ids' from done),
    jsonb_build_array(pg_temp.correction('odd key'), 'nonsense', pg_temp.correction('0x0000000000000002')),
    'the ids come back as they were given');
select results_eq(
    $$select user_address, operation_type, amount, balance_before, balance_after, transaction_hash, run_id,
        block_height, reason, reverses_audit_id
      from balance_audit_log where operation_type = 'reconciliation_rollback' order by user_address$$,
    $$values
        ('0x0000000000000002' collate "C", 'reconciliation_rollback', 20::numeric, 0::numeric, 20::numeric,
            'rollback_by_alice', null::uuid, null::bigint, 'ticket 7', pg_temp.correction('0x0000000000000002')),
        ('odd key', 'reconciliation_rollback', -1, 61, 60, 'rollback_by_alice', null, null, 'ticket 7',
            pg_temp.correction('odd key'))$$,
    'an audit row for each, field by field');
select is((select answer -> 'rollback_audit_ids' from done),
    (select jsonb_build_array(max(id::text) filter (where user_address = 'odd key'), null,
            max(id::text) filter (where user_address = '0x0000000000000002'))
     from balance_audit_log where operation_type = 'reconciliation_rollback'),
    'their ids, in the order of the input');
select is((select array_agg(balance order by user_address) from user_balances), array[11.0, 20, 31, 41, 50, 60],
    'the balances are what they were');
select ok((select bool_and(b.updated_at = a.created_at) from user_balances b join balance_audit_log a using (user_address)
    where a.operation_type = 'reconciliation_rollback'), 'and have its time');
select is((select array_agg(reconciled_height order by user_address) from user_balances),
    array[100, 100, 100, 100, null, 100]::bigint[], 'the fence stays');
select results_eq(
    'select user_address, held_by, reason, audit_id from reconciliation_holds where released_at is null order by 1',
    $$select a.user_address, 'alice', 'ticket 7', a.id::text from balance_audit_log a
      where a.operation_type = 'reconciliation_rollback' order by 1$$, 'the users are held, with the audit row');
select is(reconcile_user_balances(array['0x0000000000000002'], array[0], array[20], 101)::jsonb -> 'outcomes', '["held"]',
    'so that the next sweep leaves them alone');
select is(reconcile_user_balances(array['0x0000000000000002'], array[0], array[20], 100, 'ADMIN',
    '00000000-0000-0000-0000-00000000000a')::jsonb -> 'outcomes', '["corrected"]',
    'the run that corrected them reports so still');
select is((select balance from user_balances where user_address = '0x0000000000000002'), 20.0, 'and writes nothing');

-- Again: the first rollback stands.
select is(pg_temp.undo(pg_temp.correction('odd key')) - 'audit_ids', (
    select jsonb_build_object('outcomes', '["already_rolled_back"]'::jsonb, 'codes', '[null]'::jsonb,
        'user_addresses', '["odd key"]'::jsonb, 'old_balances', '["61.00000000"]'::jsonb,
        'new_balances', '["60.00000000"]'::jsonb,
        'rollback_audit_ids', jsonb_build_array(answer -> 'rollback_audit_ids' -> 0)) from done),
    'the same again reports the first rollback');
select is(pg_temp.try_undo(pg_temp.correction('odd key')) -> 'outcomes', '["already_rolled_back"]', 'so does a dry run');
select is((select count(*) from balance_audit_log), 7::bigint, 'and nothing is written');

-- What cannot be undone.
select is(apply_balance_event('0x0000000000000001', 1, 101, 'e') ->> 'applied', 'true', 'an event moves a balance');
select is(pg_temp.undo(pg_temp.correction('0x0000000000000001')) -> 'codes', '["changed_meanwhile"]',
    'a balance that has moved');
select is(apply_balance_event('0x0000000000000001', -1, 102, 'f') ->> 'applied', 'true', 'and moves it back');
select is(pg_temp.try_undo(pg_temp.correction('0x0000000000000001')) -> 'outcomes', '["would_roll_back"]',
    'what the correction wrote is there again');
select is(pg_temp.undo((select id::text from balance_audit_log where operation_type = 'balance_event' limit 1)) -> 'codes',
    '["not_a_correction"]', 'an event');
select is(reconcile_user_balance('0x0000000000000005', 50) ->> 'success', 'true', 'an admin agrees');
select is(pg_temp.undo(pg_temp.correction('0x0000000000000005')) -> 'codes', '["not_a_correction"]',
    'a reconciliation that moved nothing');
select is(pg_temp.undo((select id::text from balance_audit_log where operation_type = 'reconciliation_rollback' limit 1))
    -> 'codes', '["not_a_correction"]', 'a rollback');
select is(pg_temp.undo('0') -> 'codes', '["audit_not_found"]', 'an id of nothing');
select is(pg_temp.undo('', ' ', '1.5', '99999999999999999999', 'x'' or true --', 'é')-> 'codes', '["audit_not_found",
    "audit_not_found", "audit_not_found", "audit_not_found", "audit_not_found", "audit_not_found"]',
    'what is no id at all');
select is(pg_temp.undo(null) -> 'codes', '["audit_not_found"]', 'a null');
select is(pg_temp.undo('99999999999999999999', pg_temp.correction('0x0000000000000003')) -> 'outcomes',
    '["refused", "rolled_back"]', 'one that is wrong costs no other');

-- A correction on top of a correction: the later one first.
select is(reconcile_user_balance('0x0000000000000004', 42, p_block_height => 103) ->> 'success', 'true', 'a second one');
select is(pg_temp.undo(pg_temp.correction('0x0000000000000004')) -> 'codes', '["changed_meanwhile"]',
    'the first one cannot be undone');
select is(pg_temp.undo(pg_temp.correction('0x0000000000000004'), pg_temp.correction('0x0000000000000004', 2))
    -> 'outcomes', '["refused", "rolled_back"]', 'of both in one call the later one is');
select is(pg_temp.undo(pg_temp.correction('0x0000000000000004')) -> 'outcomes', '["rolled_back"]', 'then the first one');
select is((select balance from user_balances where user_address = '0x0000000000000004'), 40.0, 'back where it began');
select is((select count(*) from reconciliation_holds where user_address = '0x0000000000000004'), 1::bigint,
    'held once');

-- The same balance again by a later correction that stands: undoing the first would undo the second.
select is(reconcile_user_balance('0x0000000000000001', 15, p_block_height => 104) ->> 'success', 'true', 'up');
select is(reconcile_user_balance('0x0000000000000001', 11, p_block_height => 105) ->> 'success', 'true', 'and down');
select is(pg_temp.undo(pg_temp.correction('0x0000000000000001')) -> 'codes', '["changed_meanwhile"]',
    'the balance alone does not tell');

-- Released and corrected again: a new correction, which can be undone as well.
select is(release_user('odd key', 'alice') ->> 'outcome', 'released', 'released');
select is(reconcile_user_balance('odd key', 61, p_block_height => 106) ->> 'success', 'true', 'corrected again');
select is(pg_temp.undo(pg_temp.correction('odd key')) -> 'outcomes', '["already_rolled_back"]', 'the first is undone');
select is(pg_temp.undo(pg_temp.correction('odd key', 2)) -> 'outcomes', '["rolled_back"]', 'the second now');

-- No row.
reset role;
delete from user_balances where user_address = '0x0000000000000001';
set local role service_role;
select is(pg_temp.undo(pg_temp.correction('0x0000000000000001', 3)) -> 'codes', '["ledger_row_missing"]', 'no row');
select is((select count(*) from user_balances), 5::bigint, 'none is made');

-- Calls that are wrong as a whole.
select is(pg_temp.undo(variadic '{}')::text, '{"codes": [], "outcomes": [], "audit_ids": [], "new_balances": [],'
    ' "old_balances": [], "user_addresses": [], "rollback_audit_ids": []}', 'nothing to undo');
select throws_ok('select rollback_user_balances(null, ''a'', ''b'')', 'BR001', null, 'null');
select throws_ok('select rollback_user_balances(''{{1},{2}}'', ''a'', ''b'')', 'BR001', null, 'nested');
select throws_ok('select rollback_user_balances(''{1}'', '' '', ''b'')', 'BR001', null, 'no admin');
select throws_ok('select rollback_user_balances(''{1}'', ''a'', '' '')', 'BR001', null, 'no reason');
select throws_ok('select rollback_user_balances(''{1}'', ''a'', ''b'', null)', 'BR001', null, 'neither dry nor not');
select throws_ok('select rollback_user_balances(''{1,1}'', ''a'', ''b'')', 'BR002', null, 'an id twice');
select throws_ok('select rollback_user_balances(array_fill(''1''::text, array[50001]), ''a'', ''b'')', 'BR003', null,
    'too many');

select * from finish();
rollback;
