-- Existing tables that cannot be adopted: the migrations stop and say what to do.
begin;
select plan(24);

drop schema reconciliation cascade;
drop table user_balances, balance_audit_log, balance_events cascade;
set local role postgres;

create function pg_temp.refuses(p_tables text, p_error text, p_hint text,
    p_about text) returns setof text language plpgsql as $$
declare
    v_state text;
    v_error text;
    v_hint text;
begin
    begin
        execute p_tables;
        perform tap.migrate();
    exception when others then
        get stacked diagnostics v_state = returned_sqlstate, v_error = message_text, v_hint = pg_exception_hint;
    end;
    return next is(array[v_state, v_error], array['BR005', p_error], p_about);
    return next matches(v_hint, p_hint, 'and says what to do');
end;
$$;

select pg_temp.refuses('create table user_balances (user_address text primary key, balance double precision)',
    'public.user_balances.balance has type double precision, which cannot hold every amount exactly',
    'alter column balance type numeric\(20,8\) using round\(balance::numeric, 8\)', 'a float balance');
select pg_temp.refuses('create table user_balances (user_address text primary key, balance numeric(12, 2))',
    'public.user_balances.balance has type numeric(12,2), which cannot hold every amount exactly',
    'alter column balance type numeric\(20,8\)', 'a balance that would round');
select pg_temp.refuses('create table user_balances (user_address text primary key)',
    'public.user_balances has no column balance', 'Add and fill the column', 'no balance');
select pg_temp.refuses('create table user_balances (user_address uuid primary key, balance numeric)',
    'public.user_balances.user_address has type uuid, which cannot hold a text', 'alter column user_address type text',
    'a key that is no text');
select pg_temp.refuses('create table user_balances (user_address text, balance numeric);
    insert into user_balances values (''a'', 1), (''b'', 1), (''a'', 2)',
    'public.user_balances holds several rows for one user_address, for example a', 'Merge the rows of each address',
    'a user twice');
select pg_temp.refuses('create table user_balances (user_address text unique, balance numeric);
    insert into user_balances values (null, 1)',
    'public.user_balances has rows without user_address', 'Give those rows their address', 'a row without a user');
select pg_temp.refuses('create table user_balances (user_address text primary key, balance numeric, updated_at bigint)',
    'public.user_balances.updated_at has type bigint, which cannot hold a time',
    'alter column updated_at type timestamptz', 'a time that is a number');
select pg_temp.refuses('create table balance_audit_log (
    id serial primary key, user_address text, operation_type text, amount real,
    balance_before numeric, balance_after numeric)',
    'public.balance_audit_log.amount has type real, which cannot hold every amount exactly',
    'alter column amount type numeric', 'a float amount');
select pg_temp.refuses('create table balance_audit_log (
    id serial primary key, user_address text, operation_type text, amount numeric,
    balance_before numeric, balance_after numeric, actor text not null)',
    'public.balance_audit_log.actor is not null and has no default: the procedures cannot fill it',
    'alter column actor set default', 'a column nobody can fill');
select pg_temp.refuses('create table balance_audit_log (
    id serial primary key, user_address text, operation_type text, amount numeric,
    balance_before numeric, balance_after numeric, transaction_hash text unique)',
    'unique index balance_audit_log_transaction_hash_key would let a user be reconciled by an admin once only',
    'Make it partial', 'hashes that must not repeat');
select pg_temp.refuses('create table balance_audit_log (
    id serial primary key, user_address text, operation_type varchar(20), amount numeric,
    balance_before numeric, balance_after numeric)',
    'public.balance_audit_log.operation_type is too narrow for ''reconciliation_rollback''',
    'alter column operation_type type text', 'an operation whose name does not fit');
select pg_temp.refuses('create table balance_events (event_id text primary key, happened_at timestamptz)',
    'public.balance_events has no column user_address', 'Add and fill', 'another table of the name balance_events');

select * from finish();
rollback;
