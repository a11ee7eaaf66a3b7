-- How many requests an actor may make in a minute.
begin;
select plan(17);

create function pg_temp.wait_s(p_actor text, p_per_min integer default 2)
returns numeric
language sql
as $$
    select (take_request_slot(p_actor, p_per_min) ->> 'wait_s')::numeric;
$$;

set local role service_role;

select is(take_request_slot('ops', 2)::jsonb, '{"wait_s": 0}', 'the first request may be made');
select is(pg_temp.wait_s('ops'), 0::numeric, 'and as many as are allowed');
select is(round(pg_temp.wait_s('ops'), -1), 60::numeric, 'the next one waits for the next minute');
select is(round(pg_temp.wait_s('ops'), -1), 60::numeric, 'however often it asks');
select is(pg_temp.wait_s('ops', 3), 0::numeric, 'a greater allowance holds at once');
select is(pg_temp.wait_s('other'), 0::numeric, 'another actor has requests of its own');
select is(pg_temp.wait_s('OPS'), 0::numeric, 'an actor is the exact name');

reset role;
update reconciliation_request_slots set window_from = window_from - interval '59 seconds' where actor = 'ops';
select ok(pg_temp.wait_s('ops') between 0.1 and 1, 'towards the end of the minute the wait is short');
update reconciliation_request_slots set window_from = window_from - interval '1 second' where actor = 'ops';
select is(pg_temp.wait_s('ops'), 0::numeric, 'the next minute begins with its first request');
select is(pg_temp.wait_s('ops'), 0::numeric, 'and has as many as the one before');
select is(round(pg_temp.wait_s('ops'), -1), 60::numeric, 'no more');

insert into reconciliation_request_slots
select 'old ' || n, now() - make_interval(mins => n), 1 from generate_series(1, 150) as n;
select is(pg_temp.wait_s('new'), 0::numeric, 'a new actor');
select is((select count(*) from reconciliation_request_slots where actor like 'old %'), 50::bigint,
    'takes a hundred away whose minute is over');
set local role service_role;

select throws_ok('select take_request_slot(' || v.arguments || ')', 'BR001', null, v.arguments)
from (values ('null, 1'), (''' '', 1'), ('''ops'', 0'), ('''ops'', null')) as v (arguments);

select * from finish();
rollback;
