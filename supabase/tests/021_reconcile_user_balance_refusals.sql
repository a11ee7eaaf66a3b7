-- What reconcile_user_balance refuses, and that a refusal leaves the database as it was.
begin;
select plan(52);

insert into user_balances (user_address, balance, reconciled_height, event_height) values
    ('0x0000000000000001', 10, 100, null), ('0x0000000000000002', 10, 100, 200), ('0xABCDEF0000000003', 1, null, null);

-- Everything the procedure could write to.
create function pg_temp.state() returns text language sql security definer as $$
    select concat(
        (select json_agg(b order by user_address) from public.user_balances b),
        (select json_agg(a order by id) from public.balance_audit_log a),
        (select json_agg(e order by event_id) from public.balance_events e));
$$;
create temp table before as select pg_temp.state() as state;
grant select on before to service_role;
set local role service_role;

create function pg_temp.refusal(
    p_code text, p_error text, p_address text, p_balance numeric, p_admin text default 'ADMIN',
    p_expected numeric default null, p_height bigint default null
) returns setof text language plpgsql as $$
declare
    v_answer jsonb := reconcile_user_balance(p_address, p_balance, p_admin, p_expected, p_height);
begin
    return next is(v_answer - 'error', jsonb_build_object(
        'success', false, 'code', p_code, 'user_address', p_address, 'old_balance', null, 'new_balance', null,
        'discrepancy', null, 'audit_id', null, 'block_height', null), p_code || ': ' || p_error);
    return next matches(v_answer ->> 'error', p_error, 'and says so');
    return next is(pg_temp.state(), (select state from before), 'and leaves nothing');
end;
$$;

select pg_temp.refusal('invalid_balance', '^p_contract_balance is null: .*read it again', '0x0000000000000001', null);
select pg_temp.refusal('invalid_balance', '^p_contract_balance is negative: ', '0x0000000000000001', -0.00000001);
select pg_temp.refusal('invalid_balance', '^p_contract_balance is not a number: ', '0x0000000000000001', 'NaN');
select pg_temp.refusal('invalid_balance', 'above 184467440737.09551615', '0x0000000000000001', 'Infinity');
select pg_temp.refusal('invalid_balance', '^p_contract_balance is negative: ', '0x0000000000000001', '-Infinity');
select pg_temp.refusal('invalid_balance', 'above 184467440737.09551615', '0x0000000000000001', 184467440737.09551616);
select pg_temp.refusal('invalid_balance', '^p_contract_balance is finer than 1e-8', '0x0000000000000001', 0.000000001);
select pg_temp.refusal('invalid_balance', '^p_contract_balance is null', '0x00000000000000aa', null);
select pg_temp.refusal('invalid_admin', '^p_admin_address is blank', '0x0000000000000001', 1, ' ');
select pg_temp.refusal('invalid_admin', '^p_admin_address is blank', '0x0000000000000001', 1, null);
select pg_temp.refusal('invalid_admin', 'longer than 200', '0x0000000000000001', 1, repeat('x', 201));
select pg_temp.refusal('invalid_height', '^p_block_height is negative', '0x0000000000000001', 1, p_height => -1);
select pg_temp.refusal('stale_height', 'seen block 100, .* at 99', '0x0000000000000001', 1, p_height => 99);
select pg_temp.refusal('stale_height', 'seen block 200, .* at 199', '0x0000000000000002', 1, p_height => 199);
select pg_temp.refusal('changed_meanwhile', 'holds 10.00000000, not p_expected_balance 9', '0x0000000000000001', 1,
    p_expected => 9);
select pg_temp.refusal('changed_meanwhile', 'holds 0, not p_expected_balance 9', '0x00000000000000aa', 1,
    p_expected => 9);

select ok(
    (select bool_and(reconcile_user_balance(key, 1) ->> 'code' = 'invalid_address')
     from unnest(array[null, '', 'nobody', '0x1', '0x00000000000000aaa', '0X00000000000000aa', '0x00000000000000ag',
         E'0x00000000000000aa\n']) as key),
    'no malformed key becomes a row');
select matches(reconcile_user_balance('0xabcdef0000000003', 1) ->> 'error', 'holds this account as 0xABCDEF0000000003',
    'another spelling of an account does not become a second row');
select is(pg_temp.state(), (select state from before), 'and nothing is left');

reset role;
alter table user_balances alter column balance type numeric;
update user_balances set balance = 'NaN' where user_address = '0x0000000000000001';
set local role service_role;
select is(reconcile_user_balance('0x0000000000000001', 1) ->> 'code', 'invalid_ledger_balance',
    'a stored balance that is no number is not hidden');

select * from finish();
rollback;
