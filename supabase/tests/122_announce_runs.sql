-- Runs that have ended are announced once, with what they say of conditions, in one transaction.
begin;
select plan(30);

create function pg_temp.id(p_no integer) returns uuid language sql as $$
    select lpad(p_no::text, 32, '0')::uuid;
$$;
create function pg_temp.ended(p_no integer, p_state text, p_dry_run boolean default false)
returns void language sql as $$
    insert into public.reconciliation_runs (run_id, kind, state, dry_run, needs_approval, admin_address, policy,
        covered_height, finished_at)
    values (pg_temp.id(p_no), 'full', p_state, p_dry_run, false, 'ADMIN', '{}', p_no,
        case when p_state not in ('scanning', 'awaiting_approval') then now() + make_interval(secs => p_no) end);
$$;
create function pg_temp.found(p_no integer, p_user text, p_outcome text, p_ledger numeric, p_contract numeric)
returns void language sql as $$
    insert into public.reconciliation_results (
        run_id, user_address, outcome, ledger_balance, contract_balance, decided_at)
    values (pg_temp.id(p_no), p_user, p_outcome, p_ledger, p_contract, now());
$$;
create function pg_temp.observations(variadic p_kinds text[]) returns json language sql as $$
    select json_agg(json_build_object('kind', split_part(k, '=', 1), 'alert', case when k like '%=%' then
        json_build_object('severity', 'critical', 'state', split_part(k, '=', 2), 'summary', 'It is so.',
            'remedy', 'Look.', 'facts', '{}'::json) end))
    from unnest(p_kinds) as k;
$$;
create function pg_temp.unannounced() returns text language sql as $$
    select coalesce(string_agg(ltrim(r -> 'run' ->> 'run_id', '0-'), ' '), '')
    from json_array_elements(list_unannounced_runs()) as r;
$$;

select pg_temp.ended(1, 'finished');
select pg_temp.ended(2, 'halted');
select pg_temp.ended(3, 'finished', p_dry_run => true);
select pg_temp.ended(4, 'failed');
select pg_temp.ended(5, 'cancelled');
select pg_temp.ended(6, 'declined');
select pg_temp.ended(7, 'awaiting_approval');
select pg_temp.ended(8, 'scanning');
select pg_temp.found(1, '0x0000000000000001', 'corrected', 10, 12.5);
select pg_temp.found(1, '0x0000000000000002', 'changed_meanwhile', 10, 9.99999999);
select pg_temp.found(1, '0x0000000000000003', 'transient', 10, 100);
select pg_temp.found(1, '0x0000000000000004', 'failed', null, null);
select pg_temp.found(1, '0x0000000000000005', 'would_correct', 10, 0);
select pg_temp.found(1, '0x0000000000000006', 'corrected', 10, 12.5);
set local role service_role;

-- Which are not announced.
select is(pg_temp.unannounced(), '1 2 4 5 6', 'every run that may write and has ended, who ended first is first');
select is(list_unannounced_runs() -> 0 -> 'run' ->> 'state', 'finished', 'with the run');
select is((list_unannounced_runs() -> 0 -> 'drift')::jsonb,
    '{"users": 4, "surplus": "5.00000000", "deficit": "-10.00000001",
    "largest": [{"user_address": "0x0000000000000005", "discrepancy": "-10.00000000"},
        {"user_address": "0x0000000000000001", "discrepancy": "2.50000000"},
        {"user_address": "0x0000000000000006", "discrepancy": "2.50000000"}]}',
    'and what those were off by who were corrected or differ still, exactly');
select is((list_unannounced_runs() -> 1 -> 'drift')::jsonb,
    '{"users": 0, "surplus": "0.00000000", "deficit": "0.00000000", "largest": []}', 'none of them, perhaps');
select is(json_array_length(list_unannounced_runs(2)), 2, 'not more than asked for');

-- Announced.
select is(announce_reconciliation_run(pg_temp.id(1), pg_temp.observations('run_halted', 'run_discrepancies=4 users'),
    array['a', 'b'])::jsonb, '{"announced": true, "deliveries": 2}', 'a run is announced');
select is(pg_temp.unannounced(), '2 4 5 6', 'and is not in the list any more');
select is((select array_agg(kind || ' ' || state) from reconciliation_alerts), array['run_discrepancies 4 users'],
    'the condition that it showed holds');
select is((select run_id from reconciliation_alerts), pg_temp.id(1), 'by this run');
select is(announce_reconciliation_run(pg_temp.id(1), pg_temp.observations('run_discrepancies=other'),
    array['a'])::jsonb, '{"announced": false, "deliveries": 0}', 'nobody announces it again');
select is((select array_agg(state) from reconciliation_alerts), array['4 users'], 'nor changes anything');
select is(announce_reconciliation_run(pg_temp.id(2), '[]', array['a'])::jsonb, '{"announced": true, "deliveries": 0}',
    'a run may say nothing of any condition');
select is(announce_reconciliation_run(pg_temp.id(4), pg_temp.observations('run_failed=boom', 'run_discrepancies'),
    array['a'])::jsonb, '{"announced": true, "deliveries": 2}', 'or of several: one is over, another begins');
select is((select array_agg(kind || ' ' || (resolved_at is null) order by kind) from reconciliation_alerts),
    array['run_discrepancies false', 'run_failed true'], 'as it says');
select is((select message ->> 'run_id' from reconciliation_alert_deliveries where event = 'resolved'),
    pg_temp.id(4)::text, 'the notice names the run that showed it');

-- Not to be announced.
select is(announce_reconciliation_run(pg_temp.id(3), '[]') ->> 'refused', 'run_not_applicable', 'a dry run is not');
select is(announce_reconciliation_run(pg_temp.id(7), '[]') ->> 'refused', 'run_not_applicable', 'nor one that waits');
select is(announce_reconciliation_run(pg_temp.id(8), '[]') ->> 'refused', 'run_not_applicable', 'nor one at work');
select is(announce_reconciliation_run(pg_temp.id(9), '[]') ->> 'refused', 'run_not_found', 'nor one that is not there');

-- All or nothing.
select throws_ok(format('select announce_reconciliation_run(%L, %L, array[''a''])', pg_temp.id(5), v.observations),
    'BR001', null, v.about)
from (values
    (pg_temp.observations('audit_broken=x', 'nonsense=y')::text, 'an unknown kind'),
    ('[{"kind": "audit_broken", "alert": "x"}]', 'an alert that is no object'),
    ('{}', 'no array')) as v (observations, about);
select throws_ok(format('select announce_reconciliation_run(%L, null)', pg_temp.id(5)), 'BR001', null, 'null');
select is(pg_temp.unannounced(), '5 6', 'what was wrong was not announced');
select is((select count(*) from reconciliation_alerts where kind = 'audit_broken'), 0::bigint, 'no part of it');

-- When the ledger was covered.
select is((tick_watchdog() ->> 'covered_at')::timestamptz, now() + interval '1 second',
    'the watchdog is told when a run covered the ledger last');

-- The migrations once more.
reset role;
alter table public.reconciliation_runs drop column announced_at;
select lives_ok('select tap.migrate()', 'the migrations on a database that has runs');
select is((select count(*) from reconciliation_runs where finished_at is not null and announced_at is distinct from
    finished_at), 0::bigint, 'what had ended is no news');
select is((select announced_at from reconciliation_runs where run_id = pg_temp.id(8)), null, 'what is at work will be');
select lives_ok('select tap.migrate()', 'and again');

select * from finish();
rollback;
