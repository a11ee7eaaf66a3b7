-- Reading an app's own audit log: other types, no times, amounts that are none.
begin;
select plan(7);

drop table balance_audit_log cascade;
create table balance_audit_log (
    id uuid primary key default gen_random_uuid(),
    user_address varchar(42) not null,
    operation_type varchar(50) not null,
    amount numeric not null,
    balance_before numeric not null,
    balance_after numeric not null,
    created_at timestamp
);
insert into balance_audit_log (id, user_address, operation_type, amount, balance_before, balance_after, created_at)
values
    (lpad('1', 32, '0')::uuid, 'alice', 'deposit', 1, 0, 1, '2026-11-01 00:00'),
    (lpad('2', 32, '0')::uuid, 'alice', 'deposit', 'NaN', 0, 1, '2026-11-01 12:00'),
    (lpad('3', 32, '0')::uuid, 'alice', 'deposit', 0.123456789, 0, 1, null),
    (lpad('4', 32, '0')::uuid, 'alice', 'deposit', 2.5, 0, 1, '2026-11-02 00:00');
set local client_min_messages = error;
select tap.migrate();
insert into balance_audit_log (id, user_address, operation_type, amount, balance_before, balance_after, created_at)
values (lpad('5', 32, '0')::uuid, 'alice', 'deposit', 3, 0, 3, '2026-11-01 06:00');

-- A session anywhere in the world reads the same.
set local timezone = 'Pacific/Auckland';
set local role service_role;

create function pg_temp.ids(p_page json) returns text language sql as $$
    select string_agg(right(id, 1), ' ' order by n) from json_array_elements_text(p_page -> 'audit_ids')
        with ordinality as e (id, n);
$$;
select is(pg_temp.ids(list_user_audit('alice')), '5 4 2 1 3',
    'the chain, then what was there before by time, then what has no time');
select is(pg_temp.ids(list_user_audit('alice', lpad('2', 32, '0')::uuid::text)), '1 3', 'the next page');
select is(list_user_audit('alice', lpad('4', 32, '0')::uuid::text) ->> 'amounts', '[null, "1.00000000", null]',
    'what is no amount is not known');
select is(list_user_audit('alice', lpad('2', 32, '0')::uuid::text) ->> 'created_ats',
    '["2026-11-01T00:00:00+00:00", null]', 'a time without a zone is UTC');
select is(pg_temp.ids(list_audit('2026-11-01 00:00+00', '2026-11-02 00:00+00')), '1 5 2', 'a period is in UTC');
select is(pg_temp.ids(list_audit('2026-11-01 00:00+00', '2026-11-02 00:00+00', lpad('5', 32, '0')::uuid::text)), '2',
    'and paged');
select is(audit_totals('2026-11-01 00:00+00', '2026-11-03 00:00+00')::jsonb,
    '{"operation_types": ["deposit"], "counts": [4], "increases": ["6.50000000"], "decreases": ["0.00000000"],
      "unsummed": [1]}', 'what is no amount is counted apart');

select * from finish();
rollback;
