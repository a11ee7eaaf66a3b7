-- The migrations on top of an app's own tables with data: additive, and the procedures work on them.
begin;
select plan(27);

drop schema reconciliation cascade;
drop table user_balances, balance_audit_log, balance_events cascade;
set local role postgres;

create table user_balances (
    id bigint generated always as identity primary key,
    user_address varchar(40) unique,
    balance numeric(30, 10),
    nickname text not null default 'player'
);
create table balance_audit_log (
    id uuid primary key default gen_random_uuid(),
    user_address varchar(40) not null references user_balances (user_address),
    operation_type varchar(50) not null,
    amount numeric not null,
    balance_before numeric not null,
    balance_after numeric not null,
    transaction_hash varchar(250)
);
insert into user_balances (user_address, balance, nickname) values
    ('0x0000000000000001', 10, 'ada'), ('0X0000000000000002', null, 'bob'), ('guest-3', 3.5, 'cy');
insert into balance_audit_log (user_address, operation_type, amount, balance_before, balance_after)
values ('0x0000000000000001', 'deposit', 10, 0, 10);
create temp table before as select id, user_address, balance, nickname, xmin::text as written_by from user_balances;
grant select on before to public;

select lives_ok('select tap.migrate()', 'the migrations apply');
select results_eq('select id, user_address, balance, nickname, xmin::text from user_balances order by id',
    'select * from before order by id', 'no row is rewritten');
select columns_are('public', 'user_balances',
    array['id', 'user_address', 'balance', 'nickname', 'reconciled_height', 'reconciled_at',
    'event_height', 'created_at', 'updated_at', 'audit_chain_no', 'audit_hash'], 'the ledger gets what it lacked');
select columns_are('public', 'balance_audit_log',
    array['id', 'user_address', 'operation_type', 'amount', 'balance_before',
    'balance_after', 'transaction_hash', 'run_id', 'block_height', 'created_at', 'reason', 'reverses_audit_id',
    'chain_no', 'previous_hash', 'row_hash'], 'so does the audit log');
select ok((select bool_and(created_at is null and updated_at is null) from user_balances),
    'no time is invented for old rows');
select is((select count(*) from pg_index where indrelid = 'user_balances'::regclass), 2::bigint,
    'the key''s own index serves');
select ok((select relrowsecurity from pg_class where oid = 'user_balances'::regclass), 'row level security is on now');
select policies_are('public', 'user_balances', array['user_balances_read_as_before'], 'reads go on by a policy');
select policies_are('public', 'balance_audit_log', array['balance_audit_log_read_as_before'],
    'of the audit log as well');
select lives_ok('select tap.migrate()', 'and apply again');

set local role anon;
select is((select count(*) from user_balances), 3::bigint, 'anon reads what it read before');
select throws_ok($$insert into public.user_balances (user_address, balance) values ('x', 1)$$, '42501', null,
    'anon writes no more');
update user_balances set balance = 1000000;
set local role authenticated;
select is((select count(*) from balance_audit_log), 1::bigint, 'authenticated reads what it read before');
select throws_ok('delete from public.balance_audit_log', '42501', null, 'authenticated removes no history');

set local role service_role;
select is((select array_agg(balance order by id) from user_balances), array[10, null, 3.5],
    'anon''s update reached no row');
select is(list_user_balances()::jsonb, '{"user_addresses": ["0X0000000000000002", "0x0000000000000001", "guest-3"],
    "balances": [null, "10.0000000000", "3.5000000000"], "reconciled_heights": [null, null, null], "held": []}',
    'the rows are listed as they are stored');
select is(reconcile_user_balance('guest-3', 4, p_block_height => 9)::jsonb - 'audit_id', '{
    "success": true, "error": null, "code": null, "user_address": "guest-3", "old_balance": "3.50000000",
    "new_balance": "4.00000000", "discrepancy": "0.50000000", "block_height": 9}',
    'a user with an odd key is reconciled');
select matches(reconcile_user_balance('guest-3', 4) ->> 'audit_id', '^[0-9a-f-]{36}$',
    'audit ids are the table''s own');
select is(reconcile_user_balance('0X0000000000000002', 4) ->> 'old_balance', '0.00000000',
    'a null balance counts as 0');
select is(reconcile_user_balances(array['0x0000000000000001', '0x00000000000000aa'], array[11, 5], array[10, null], 9,
    'ADMIN',
        '00000000-0000-0000-0000-00000000000a')::jsonb - 'audit_ids',
    '{"outcomes": ["corrected", "corrected"], "codes": [null, null], "old_balances": ["10.00000000", "0.00000000"],
      "new_balances": ["11.00000000", "5.00000000"]}', 'a batch works on them');
select is(reconcile_user_balances(array['0x0000000000000001'], array[12], array[11], 9, 'ADMIN',
        '00000000-0000-0000-0000-00000000000a')::jsonb -> 'new_balances', '["11.00000000"]', 'and knows its run');
select is(apply_balance_event('0x0000000000000001', 1, 10, 'e') ->> 'new_balance', '12.00000000',
    'an event works on them');
select ok((select bool_and(updated_at is not null) from user_balances), 'what was written has its time');
select throws_ok('update public.balance_audit_log set amount = 0', '42501', null,
    'service_role cannot edit history any more');
set local role postgres;
select throws_ok('update public.balance_audit_log set amount = 0', 'BR004', null, 'nor can the owner');

-- A table that has its own row level security keeps it.
drop schema reconciliation cascade;
drop table user_balances, balance_audit_log, balance_events cascade;
create table user_balances (user_address text not null, balance numeric not null, updated_at timestamp default now());
alter table user_balances enable row level security;
create policy own_rows on user_balances for select to authenticated using (user_address = current_setting('app.user',
    true));
select tap.migrate();
select policies_are('public', 'user_balances', array['own_rows'], 'the app''s policy is the only one');
select has_index('public', 'user_balances', 'user_balances_user_address_key', array['user_address'],
    'a missing unique key is made');

select * from finish();
rollback;
