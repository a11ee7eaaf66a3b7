-- The chain of hashes in the audit log: whoever writes a row, by whichever way, it takes the next place.
begin;
select plan(38);

create function pg_temp.chain(p_user text) returns text language sql as $$
    select string_agg(a.chain_no || case when a.previous_hash is not distinct from b.row_hash then '' else '!' end
        || case when a.row_hash = reconciliation.expected_row_hash(a) then '' else '?' end, ' ' order by a.chain_no)
    from public.balance_audit_log a
    left join public.balance_audit_log b on b.user_address = a.user_address and b.chain_no = a.chain_no - 1
    where a.user_address = p_user
$$;
create function pg_temp.head(p_user text) returns bigint language sql as $$
    select audit_chain_no from public.user_balances where user_address = p_user
$$;
create function pg_temp.aside(p_user text) returns bigint language sql as $$
    select chain_no from reconciliation.audit_heads where user_address = p_user
$$;
create function pg_temp.faults() returns bigint language sql as $$
    select (verify_audit_chains() ->> 'faults')::bigint + (verify_audit_heads() ->> 'faults')::bigint
        + (verify_audit_heads(p_aside => true) ->> 'faults')::bigint
$$;
prepare plain as
    insert into public.balance_audit_log (user_address, operation_type, amount, balance_before, balance_after)
    values ($1, 'deposit', 1, 0, 1);

insert into user_balances (user_address, balance) values ('0x0000000000000001', 1), ('0x0000000000000002', 2);

-- Our procedures keep the head with the balance.
select reconcile_user_balance('0x0000000000000001', 5);
select is(pg_temp.chain('0x0000000000000001'), '1', 'the first row follows none');
select apply_balance_event('0x0000000000000001', 1, 10, 'e1');
select reconcile_user_balances(
    array['0x0000000000000001', '0x0000000000000002', '0x0000000000000003'], array[7, 3, 4], array[6, 2, null], 11);
select is(pg_temp.chain('0x0000000000000001'), '1 2 3', 'reconcile, event and batch go on with one chain');
select is(pg_temp.chain('0x0000000000000002'), '1', 'each user has a chain');
select is(pg_temp.chain('0x0000000000000003'), '1', 'so does one whom the batch created');
select is(pg_temp.head('0x0000000000000001'), 3::bigint, 'the ledger row has the head');
select is(pg_temp.aside('0x0000000000000001'), null, 'and nothing is beside it');
select reconcile_user_balance('0x0000000000000004', 9);
select is(pg_temp.head('0x0000000000000004'), 1::bigint, 'a user created by the single call has a head');

-- An app's own rows.
set local role service_role;
execute plain('0x0000000000000001');
reset role;
select is(pg_temp.chain('0x0000000000000001'), '1 2 3 4', 'an app''s own row takes the next place');
select is(pg_temp.head('0x0000000000000001'), 3::bigint, 'the ledger row is not touched for it');
select is(pg_temp.aside('0x0000000000000001'), 4::bigint, 'its place is kept beside');
insert into balance_audit_log (user_address, operation_type, amount, balance_before, balance_after)
select '0x0000000000000001', 'deposit', n, 0, n from generate_series(1, 3) n;
select is(pg_temp.chain('0x0000000000000001'), '1 2 3 4 5 6 7', 'several in one statement follow each other');
select reconcile_user_balances(array['0x0000000000000001'], array[8], array[7], 12);
select is(pg_temp.chain('0x0000000000000001'), '1 2 3 4 5 6 7 8', 'a batch goes on after them');
select is(pg_temp.head('0x0000000000000001'), 8::bigint, 'with the head in the ledger row again');
select apply_balance_event('0x0000000000000001', 1, 20, 'e2');
select is(pg_temp.chain('0x0000000000000001'), '1 2 3 4 5 6 7 8 9', 'so does an event');

-- Users without a ledger row.
execute plain('SYSTEM');
execute plain('SYSTEM');
select is(pg_temp.chain('SYSTEM'), '1 2', 'a user without a ledger row has a chain');
select is(pg_temp.aside('SYSTEM'), 2::bigint, 'whose end is known');
execute plain('0x0000000000000009');
select reconcile_user_balances(array['0x0000000000000009'], array[8], array[null::numeric], 12);
select is(pg_temp.chain('0x0000000000000009'), '1 2', 'a batch that creates the row goes on with it');

-- A row that is given up leaves no trace in the chain.
create unique index once on balance_audit_log (transaction_hash) where operation_type = 'withdrawal';
prepare once as
    insert into public.balance_audit_log (
        user_address, operation_type, amount, balance_before, balance_after, transaction_hash)
    values ('0x0000000000000002', 'withdrawal', -1, 3, 2, 'tx') on conflict do nothing;
execute once;
execute once;
execute plain('0x0000000000000002');
select is(pg_temp.chain('0x0000000000000002'), '1 2 3', 'on conflict do nothing takes no place');
select is(pg_temp.faults(), 0::bigint, 'and nothing is missing then');

-- A ledger row that goes and comes back.
delete from user_balances where user_address = '0x0000000000000003';
select is(pg_temp.aside('0x0000000000000003'), 1::bigint, 'the end of a deleted user''s chain stays known');
select reconcile_user_balances(array['0x0000000000000003'], array[6], array[null::numeric], 12);
select is(pg_temp.chain('0x0000000000000003'), '1 2', 'the user who comes back goes on');
update user_balances set audit_chain_no = null, audit_hash = null where user_address = '0x0000000000000004';
select reconcile_user_balances(array['0x0000000000000004'], array[6], array[9], 12);
select is(pg_temp.chain('0x0000000000000004'), '1 2', 'so does a chain whose head is lost, after its last row');

-- An app's triggers on its ledger that write audit rows, before and after an update.
create function pg_temp.log_update() returns trigger language plpgsql as $$
begin
    insert into public.balance_audit_log (user_address, operation_type, amount, balance_before, balance_after)
    values (new.user_address, 'app', new.balance - old.balance, old.balance, new.balance);
    return new;
end $$;
create trigger log_before before update on user_balances for each row execute function pg_temp.log_update();
create trigger log_after after update on user_balances for each row execute function pg_temp.log_update();
select reconcile_user_balances(array['0x0000000000000004'], array[7], array[6], 13);
select is(pg_temp.chain('0x0000000000000004'), '1 2 3 4 5', 'an app''s triggers add to the chain of a batch');
update user_balances set balance = 8 where user_address = '0x0000000000000004';
select is(pg_temp.chain('0x0000000000000004'), '1 2 3 4 5 6 7', 'and of the app''s own update, which ends');
select reconcile_user_balance('0x0000000000000004', 9);
select is(pg_temp.chain('0x0000000000000004'), '1 2 3 4 5 6 7 8 9 10', 'and of a single call');
drop trigger log_before on user_balances;
drop trigger log_after on user_balances;

-- An app's trigger that changes an audit row before it is written.
create function pg_temp.stamp() returns trigger language plpgsql as $$
begin
    new.transaction_hash := 'stamped';
    return new;
end $$;
create trigger stamp before insert on balance_audit_log for each row execute function pg_temp.stamp();
execute plain('0x0000000000000002');
select is(pg_temp.chain('0x0000000000000002'), '1 2 3 4', 'the hash is of the row as it was written');
drop trigger stamp on balance_audit_log;

-- A ledger that is emptied, as an app may that was granted it: also when somebody then removes a last row.
create temp table heads as select user_address, audit_chain_no from user_balances where audit_chain_no is not null;
grant truncate on user_balances to service_role;
set local role service_role;
select lives_ok('truncate public.user_balances', 'an app may empty its ledger');
reset role;
select is_empty('select h.user_address from heads h
    where coalesce(pg_temp.aside(h.user_address), 0) < h.audit_chain_no', 'the ends of all chains stay known');
select is(pg_temp.faults(), 0::bigint, 'and fit');
set local session_replication_role = replica;
create temp table gone as
    select * from balance_audit_log where user_address = '0x0000000000000003' order by chain_no desc limit 1;
delete from balance_audit_log a using gone g where a.id = g.id;
select is(pg_temp.faults(), 1::bigint, 'a last row that is removed then is missed');
insert into balance_audit_log overriding system value select * from gone;
set local session_replication_role = origin;
select reconcile_user_balances(array['0x0000000000000003'], array[9], array[null::numeric], 20);
select is(pg_temp.chain('0x0000000000000003'), '1 2 3', 'a user who comes back goes on');

-- What is hashed.
select is(pg_temp.faults(), 0::bigint, 'all is whole');
set local time zone 'Asia/Tokyo';
set local datestyle = 'German';
set local extra_float_digits = 0;
set local bytea_output = 'escape';
select is(pg_temp.faults(), 0::bigint, 'in another time zone as well, and with other habits of writing');
reset time zone;
select isnt(
    reconciliation.audit_row_hash(1, '1', 'ab', 'c', 1, 1, 1, null, 1, null, null, null, null, null),
    reconciliation.audit_row_hash(1, '1', 'a', 'bc', 1, 1, 1, null, 1, null, null, null, null, null),
    'texts do not run into each other');
select isnt(
    reconciliation.audit_row_hash(1, '1', 'a'',''b', 'c', 1, 1, 1, null, 1, null, null, null, null, null),
    reconciliation.audit_row_hash(1, '1', 'a', 'b'',''c', 1, 1, 1, null, 1, null, null, null, null, null),
    'whatever is in them');
select isnt(
    reconciliation.audit_row_hash(1, '1', 'a', 'b', 1, 1, 1, 'NULL', 1, null, null, null, null, null),
    reconciliation.audit_row_hash(1, '1', 'a', 'b', 1, 1, 1, null, 1, null, null, null, null, null),
    'nothing is not the word for it');
select isnt(
    reconciliation.audit_row_hash(1, '1', 'a', 'b', 1, 1, 1, 'x', 1, null, null, null, null, null),
    reconciliation.audit_row_hash(1, '1', 'a', 'b', 1, 1, 1, null, 1, null, null, 'x', null, null),
    'a text in another place is another row');
select is(
    reconciliation.audit_row_hash(1, '1', 'a', 'b', 1.50000000, 1, 1, 'x', 1, null, null, null, null, null),
    reconciliation.audit_row_hash(1, '1', 'a', 'b', 1.5, 1, 1, 'x', 1, null, null, null, null, null),
    'an amount is the same with another number of places');

select * from finish();
rollback;
