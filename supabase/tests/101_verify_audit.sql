-- Looking through the audit log: arguments, pages, and the rows from before the chain.
begin;
select plan(48);

-- Arguments.
select throws_ok('select verify_audit_chains(p_rows => 0)', 'BR001', 'p_rows is 0, not between 1 and 50000',
    'no page without rows');
select throws_ok('select verify_audit_chains(p_rows => null)', 'BR001', null, 'a page has a size');
select throws_ok('select verify_audit_chains(p_rows => 50001)', 'BR001', null, 'and a limit');
select throws_ok('select verify_audit_heads(p_users => 0)', 'BR001', null, 'so have heads');
select throws_ok('select verify_audit_adoption(p_rows => 50001)', 'BR001', null, 'and adopted rows');
select is(verify_audit_chains()::jsonb, '{"rows": 0, "users": 0, "through_user": null, "through_chain_no": null,
    "faults": 0, "first_faults": [], "gaps": 0, "unaudited": 0, "first_unaudited": [], "unanchored": 0,
    "digest": ""}', 'an empty log is whole');
select is(verify_audit_heads()::jsonb, '{"heads": 0, "through": null, "faults": 0, "first_faults": []}',
    'without heads');
select is(verify_audit_adoption()::jsonb - 'adopted_at', '{"rows": 0, "through": null, "digest": "",
    "adopted_rows": 0, "adopted_digest": "", "later_audit_id": null}', 'nothing was adopted by a new log');
select volatility_is('public', f.name, 'stable', f.name || ' can write nothing')
from (values ('verify_audit_chains'), ('verify_audit_heads'), ('verify_audit_adoption')) as f (name);

-- How far the scheduled verification is.
create function pg_temp.keep(p_step bigint, p_token integer, p_after text, p_begins boolean, p_faults integer default 0)
returns text language sql as $$
    select keep_audit_round(p_step, ('00000000-0000-0000-0000-00000000000' || p_token)::uuid,
        json_build_object('faults', p_faults, 'after', p_after), p_begins) ->> 'stored'
$$;
select is(get_audit_round()::text, null, 'there was no round yet');
select is(pg_temp.keep(0, 1, 'a', true), 'true', 'the first begins');
select is(pg_temp.keep(0, 1, 'a', true), 'true', 'which may be said again');
select is(pg_temp.keep(0, 2, 'a', true), 'false', 'but not by another');
update reconciliation_audit_round set started_at = started_at - interval '1 day';
select is(pg_temp.keep(1, 2, 'b', false, 3), 'true', 'another invocation goes on');
select is(pg_temp.keep(1, 2, 'b', false, 3), 'true', 'which may be said again');
select is(pg_temp.keep(1, 1, 'c', false), 'false', 'the first one is late');
select is((select (after, faults, step)::text from reconciliation_audit_round), '(b,3,2)', 'and changes nothing');
select ok((select started_at < now() - interval '1 hour' from reconciliation_audit_round), 'the round began before');
select is(get_audit_round() ->> 'last_found', null, 'no round is over');
select is(pg_temp.keep(2, 2, null, false, 4), 'true', 'it is over');
select is(get_audit_round() -> 'found' ->> 'faults', '4', 'with what it found');
select is(pg_temp.keep(3, 3, 'a', true), 'true', 'the next one begins');
select is(get_audit_round() -> 'last_found' ->> 'faults', '4', 'and knows what the last one found');
select is(pg_temp.keep(4, 4, 'a', true), 'true', 'one may begin before the last is over');
select is(get_audit_round() -> 'last_found' ->> 'faults', '4', 'which is none that went through everything');
select throws_ok(format('select keep_audit_round(%s, gen_random_uuid(), %s, true)', v.step, v.found), 'BR001', null, v.about)
from (values
    ('null', '''{"faults": 0, "after": null}''', 'a round goes on from a step'),
    ('-1', '''{"faults": 0, "after": null}''', 'which is none below 0'),
    ('5', 'null', 'it has found something'),
    ('5', '''[]''', 'that is an object'),
    ('5', '''{"after": null}''', 'with its faults'),
    ('5', '''{"faults": 0}''', 'and where to go on')
) as v (step, found, about);
delete from reconciliation_audit_round;

-- An app's own log with rows, whose ids are no numbers and whose times have no zone.
drop schema reconciliation cascade;
drop table user_balances, balance_audit_log, balance_events cascade;
set local role postgres;
create table user_balances (user_address varchar(40) primary key, balance numeric not null);
create table balance_audit_log (
    id uuid primary key default gen_random_uuid(),
    user_address varchar(40) not null,
    operation_type varchar(50) not null,
    amount numeric not null,
    balance_before numeric not null,
    balance_after numeric not null,
    created_at timestamp default now()
);
insert into user_balances values ('0x0000000000000001', 3);
insert into balance_audit_log (id, user_address, operation_type, amount, balance_before, balance_after)
select ('00000000-0000-0000-0000-00000000000' || n)::uuid, '0x0000000000000001', 'deposit', 1, n - 1, n
from generate_series(1, 3) n;
select tap.migrate();

create function pg_temp.adopted() returns boolean language sql as $$
    select (a ->> 'rows')::bigint = (a ->> 'adopted_rows')::bigint and a ->> 'digest' = a ->> 'adopted_digest'
    from verify_audit_adoption() a
$$;
select is((select array_agg(chain_no) from balance_audit_log), array[null, null, null]::bigint[],
    'old rows get no place: they are not rewritten');
select is(verify_audit_adoption() ->> 'adopted_rows', '3', 'but they are counted');
select ok(pg_temp.adopted(), 'and known by a digest');
select is(verify_audit_adoption(null, 2) ->> 'through', '00000000-0000-0000-0000-000000000002', 'page by page');
select is(
    verify_audit_adoption('00000000-0000-0000-0000-000000000002', 2, verify_audit_adoption(null, 2) ->> 'digest')
        ->> 'digest', verify_audit_adoption() ->> 'adopted_digest', 'with the same digest');
select lives_ok('select tap.migrate()', 'migrating again');
select ok(pg_temp.adopted(), 'adopts nothing anew');

select reconcile_user_balance('0x0000000000000001', 4);
select is((select max(chain_no) from balance_audit_log), 1::bigint, 'the chain begins after them');
select ok(pg_temp.adopted(), 'what is written now is not among them');
select is(verify_audit_chains() ->> 'faults', '0', 'and is whole');

reset role;
set local session_replication_role = replica;
update balance_audit_log set amount = 2 where balance_after = 2;
select ok(not pg_temp.adopted(), 'an edited old row is missed');
update balance_audit_log set amount = 1 where balance_after = 2;
select ok(pg_temp.adopted(), 'and put back, it is not');
insert into balance_audit_log (user_address, operation_type, amount, balance_before, balance_after, created_at)
values ('0x0000000000000001', 'deposit', 1, 1, 2, now() + interval '1 hour');
select ok(not pg_temp.adopted(), 'a row slipped in among them is found');
select isnt(verify_audit_adoption() ->> 'later_audit_id', null, 'and named, if it is younger');
set local session_replication_role = origin;

-- A column of an app's own that ours cannot share.
set local role postgres;
drop schema reconciliation cascade;
drop table user_balances, balance_audit_log, balance_events cascade;
create table balance_audit_log (
    id uuid primary key default gen_random_uuid(), user_address text not null, operation_type text not null,
    amount numeric not null, balance_before numeric not null, balance_after numeric not null, reason integer
);
select throws_ok('select tap.migrate()', 'BR005', 'public.balance_audit_log.reason has type integer, which cannot hold a text',
    'a column of ours that is there with another type is refused');

select * from finish();
rollback;
