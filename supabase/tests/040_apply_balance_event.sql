-- Events: applied once, in any order, unless a correction holds them already.
begin;
select plan(51);

insert into user_balances (user_address, balance, reconciled_height) values
    ('0x0000000000000001', 10, 100), ('0x0000000000000002', 184467440737, null);
update user_balances set updated_at = '2000-01-01';

create function pg_temp.state() returns text language sql security definer as $$
    select concat(
        (select json_agg(b order by user_address) from public.user_balances b),
        (select json_agg(a order by id) from public.balance_audit_log a),
        (select json_agg(e order by event_id) from public.balance_events e));
$$;
set local role service_role;

-- Applied.
select is(apply_balance_event('0x0000000000000001', 2.5, 101, 'e1')::jsonb - 'audit_id', '{
    "applied": true, "reason": null, "code": null, "error": null, "user_address": "0x0000000000000001",
    "old_balance": "10.00000000", "new_balance": "12.50000000"}', 'an event above the fence is added');
select results_eq(
    $$select user_address, operation_type, amount, balance_before, balance_after, transaction_hash, run_id,
        block_height from balance_audit_log$$,
    $$values ('0x0000000000000001' collate "C", 'balance_event', 2.5, 10.0, 12.5, null::text, null::uuid,
        101::bigint)$$, 'its audit row, field by field');
select results_eq(
    $$select user_address, event_id, delta, block_height, audit_id from balance_events$$,
    $$select '0x0000000000000001' collate "C", 'e1', 2.5, 101::bigint, id::text from balance_audit_log$$,
        'the event is remembered');
select results_eq(
    $$select balance, reconciled_height, event_height, updated_at = (select created_at from balance_audit_log)
      from user_balances where user_address = '0x0000000000000001'$$,
    $$values (12.5, 100::bigint, 101::bigint, true)$$, 'the row: balance, heights and time');
select is(apply_balance_event(p_event_id => 'e2', p_block_height => 103, p_delta => -0.5,
    p_user_address => '0x0000000000000001',
    p_operation_type => 'withdrawal', p_transaction_hash => 'f00') ->> 'new_balance', '12.00000000', 'by name');
select results_eq($$select operation_type, transaction_hash, amount from balance_audit_log order by id desc limit 1$$,
    $$values ('withdrawal', 'f00', -0.5)$$, 'the audit row takes the app''s words');
select is(apply_balance_event('0x0000000000000001', 1, 102, 'e3') ->> 'new_balance', '13.00000000',
    'an older event that comes later is added');
select is((select event_height from user_balances where user_address = '0x0000000000000001'), 103::bigint,
    'the highest block stays');
select is(apply_balance_event('0x0000000000000001', 0, 104, 'e4') ->> 'applied', 'true', 'an event may move nothing');

-- Twice.
create temp table before as select pg_temp.state() as state;
select is(apply_balance_event('0x0000000000000001', 2.5, 101, 'e1')::jsonb, (select jsonb_build_object(
    'applied', false, 'reason', 'duplicate', 'code', null, 'error', null, 'user_address', user_address, 'old_balance',
    '13.00000000',
    'new_balance', '13.00000000', 'audit_id', audit_id) from balance_events where event_id = 'e1'),
    'the same event again is a duplicate');
select is(apply_balance_event('0x0000000000000001', 3, 101, 'e1') ->> 'code', 'event_conflict',
    'the same id with another delta is a conflict');
select is(apply_balance_event('0x0000000000000001', 2.5, 102, 'e1') ->> 'code', 'event_conflict',
    'or with another height');
select is(pg_temp.state(), (select state from before), 'and nothing has changed');
select is(apply_balance_event('0x0000000000000002', -1, 101, 'e1') ->> 'applied', 'true',
    'one event may move two users'' money');

-- Fenced.
select is(apply_balance_event('0x0000000000000001', 5, 100, 'late')::jsonb, '{
    "applied": false, "reason": "already_reconciled", "code": null, "error": null, "user_address": "0x0000000000000001",
    "old_balance": "13.00000000", "new_balance": "13.00000000", "audit_id": null}',
    'an event at the fence is held by the correction already');
select is(apply_balance_event('0x0000000000000001', 5, 99, 'later') ->> 'reason', 'already_reconciled',
    'and so is one below');
select is((select balance from user_balances where user_address = '0x0000000000000001'), 13::numeric,
    'the balance stays');
select is((select count(*) from balance_events where event_id in ('late', 'later') and audit_id is null), 2::bigint,
    'they are remembered');
select is(apply_balance_event('0x0000000000000001', 5, 100, 'late') ->> 'reason', 'duplicate',
    'and known when they come again');
select is(reconcile_user_balance('0x0000000000000001', 20, p_block_height => 200) ->> 'success', 'true',
    'a correction at block 200');
select is(apply_balance_event('0x0000000000000001', 7, 200, 'in 200') ->> 'applied', 'false',
    'holds the event of block 200');
select is(apply_balance_event('0x0000000000000001', 7, 201, 'in 201') ->> 'new_balance', '27.00000000',
    'and not that of block 201');
select is(reconcile_user_balance('0x0000000000000001', 20, p_block_height => 200) ->> 'code', 'stale_height',
    'a balance read before an applied event is stale');

-- Below zero.
select is(apply_balance_event('0x00000000000000aa', -5, 11, 'withdrawal') ->> 'new_balance', '-5.00000000',
    'a withdrawal before its deposit, of a user not seen before');
select is(apply_balance_event('0x00000000000000aa', 8, 10, 'deposit') ->> 'new_balance', '3.00000000',
    'and the deposit mends it');

-- Refused: nothing changes.
drop table before;
create temp table before as select pg_temp.state() as state;
select is(apply_balance_event(address, delta, height, id, type, hash)::jsonb - 'error', jsonb_build_object(
    'applied', false, 'reason', null, 'code', code, 'user_address', address, 'old_balance', null, 'new_balance', null,
    'audit_id', null),
    format('%s: %s', code, about))
from (values
    ('0x0000000000000001', null::numeric, 300::bigint, 'x', 'deposit', null, 'invalid_delta', 'null'),
    ('0x0000000000000001', 'NaN', 300, 'x', 'deposit', null, 'invalid_delta', 'not a number'),
    ('0x0000000000000001', '-Infinity', 300, 'x', 'deposit', null, 'invalid_delta', 'infinite'),
    ('0x0000000000000001', 0.000000001, 300, 'x', 'deposit', null, 'invalid_delta', 'too fine'),
    ('0x0000000000000001', -184467440737.09551616, 300, 'x', 'deposit', null, 'invalid_delta', 'too large'),
    ('0x0000000000000001', 1, null, 'x', 'deposit', null, 'invalid_height', 'null'),
    ('0x0000000000000001', 1, -1, 'x', 'deposit', null, 'invalid_height', 'negative'),
    ('0x0000000000000001', 1, 300, null, 'deposit', null, 'invalid_event_id', 'null'),
    ('0x0000000000000001', 1, 300, ' ', 'deposit', null, 'invalid_event_id', 'blank'),
    ('0x0000000000000001', 1, 300, repeat('x', 201), 'deposit', null, 'invalid_event_id', 'too long'),
    ('0x0000000000000001', 1, 300, 'x', null, null, 'invalid_operation_type', 'null'),
    ('0x0000000000000001', 1, 300, 'x', 'reconciliation', null, 'invalid_operation_type', 'kept for corrections'),
    ('0x0000000000000001', 1, 300, 'x', 'reconciliation_rollback', null, 'invalid_operation_type', 'for rollbacks'),
    ('0x0000000000000001', 1, 300, 'x', 'sync_check', null, 'invalid_operation_type', 'for solvency checks'),
    ('0x0000000000000001', 1, 300, 'x', repeat('x', 51), null, 'invalid_operation_type', 'too long'),
    ('0x0000000000000001', 1, 300, 'x', 'deposit', repeat('x', 201), 'invalid_transaction_hash', 'too long'),
    ('nobody', 1, 300, 'x', 'deposit', null, 'invalid_address', 'no row and no address'),
    (null, 1, 300, 'x', 'deposit', null, 'invalid_address', 'null'),
    ('0x00000000000000AA', 1, 300, 'x', 'deposit', null, 'invalid_address', 'another spelling of an account')
) as refused (address, delta, height, id, type, hash, code, about);
select is(pg_temp.state(), (select state from before), 'a refused event leaves nothing');
select is(apply_balance_event('0x0000000000000001', 1, 300, 'x') ->> 'applied', 'true', 'not even its id');

-- The edge of a balance.
reset role;
update user_balances set balance = 999999999999 where user_address = '0x0000000000000002';
set local role service_role;
select is(apply_balance_event('0x0000000000000002', 1, 300, 'x') ->> 'code', 'balance_out_of_range',
    'a sum that does not fit is refused');

-- The app's own CHECK.
reset role;
alter table user_balances add constraint no_debt check (balance >= 0);
set local role service_role;
select throws_ok($$select apply_balance_event('0x00000000000000aa', -4, 12, 'too early')$$, '23514', null,
    'a CHECK that forbids debt raises');
select is((select count(*) from balance_events where event_id = 'too early'), 0::bigint, 'the event is not remembered');
select is(apply_balance_event('0x00000000000000aa', 1, 11, 'overtaken') ->> 'applied', 'true', 'the event it overtook');
select is(apply_balance_event('0x00000000000000aa', -4, 12, 'too early') ->> 'new_balance', '0.00000000',
    'and then it goes through');

select * from finish();
rollback;
