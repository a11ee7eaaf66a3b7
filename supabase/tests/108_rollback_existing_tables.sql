-- Rollbacks and holds on an app's own tables: ids of other types, keys of another collation, a time without zone.
begin;
select plan(14);

drop schema reconciliation cascade;
drop table user_balances, balance_audit_log, balance_events, reconciliation_holds cascade;
set local role postgres;

create table user_balances (
    user_address varchar(40) collate "POSIX" primary key, balance numeric(30, 10) check (balance <> 13));
create table balance_audit_log (
    id uuid primary key default gen_random_uuid(),
    user_address varchar(40) collate "POSIX" not null,
    operation_type varchar(50) not null,
    amount numeric not null,
    balance_before numeric not null,
    balance_after numeric not null,
    transaction_hash varchar(250),
    created_at timestamp
);
insert into user_balances values ('guest-3', 3), ('Guest-4', 4);
select tap.migrate();

set local role service_role;
create function pg_temp.last_id() returns text language sql as $$
    select id::text from balance_audit_log order by created_at desc limit 1
$$;

select is(reconcile_user_balance('guest-3', 5) ->> 'success', 'true', 'a correction');
create temp table correction as select pg_temp.last_id() as id;
select is(rollback_user_balances(array['17', 'x', upper(id)], 'alice', 'why')::jsonb -> 'outcomes',
    '["refused", "refused", "rolled_back"]', 'a uuid is found, as a uuid may be written; what is none is not')
from correction;
select is(rollback_user_balances(array[id], 'alice', 'why')::jsonb -> 'outcomes', '["already_rolled_back"]', 'once')
from correction;
select is((select reverses_audit_id from balance_audit_log where operation_type = 'reconciliation_rollback'),
    (select id from correction), 'the link is the id as the table writes it');
select is(reconcile_user_balance('guest-3', 5) ->> 'code', 'user_held', 'the user is held');
select is(list_user_balances()::jsonb -> 'held', '["guest-3"]', 'and listed so');
select is(get_user_balances(array['guest-3'])::jsonb -> 'held', '["guest-3"]', 'by name too');
select is(hold_user('Guest-4', 'alice', 'why') ->> 'outcome', 'held', 'any key can be held');
select is(reconcile_user_balances(array['guest-3', 'Guest-4'], array[5, 5], array[3, 4], 9)::jsonb -> 'outcomes',
    '["held", "held"]', 'a batch leaves both alone');
select is(release_user('Guest-4', 'alice') ->> 'outcome', 'released', 'and released');
select is((select balance from user_balances where user_address = 'guest-3'), 3.0, 'the balance is what it was');

-- The app's own constraint has the last word, for the whole call.
reset role;
alter table user_balances drop constraint user_balances_balance_check;
set local role service_role;
select is(reconcile_user_balance('Guest-4', 6) ->> 'success', 'true', 'a correction');
reset role;
alter table user_balances add check (balance <> 4);
set local role service_role;
select throws_ok(format('select rollback_user_balances(array[%L], ''a'', ''b'')', (select id from balance_audit_log
    where user_address = 'Guest-4')), '23514', null, 'a rollback that the app forbids');
select is((select balance from user_balances where user_address = 'Guest-4'), 6.0, 'changes nothing');

select * from finish();
rollback;
