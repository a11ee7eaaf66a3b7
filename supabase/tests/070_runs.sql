-- The life of a run: start, decide, approve, end, and reading runs.
begin;
select plan(65);

select volatility_is('public', f.name, 'stable', f.name || ' runs read-only in PostgREST')
from (values ('get_reconciliation_run'), ('active_reconciliation_run'), ('covering_reconciliation_run'),
    ('list_reconciliation_runs'), ('list_reconciliation_candidates'), ('list_reconciliation_results'),
    ('count_reconciliation_results')) as f (name);

create function pg_temp.policy(p_changes json default '{}') returns json language sql as $$
    select ('{"tolerance": "0.00000001", "batch_size": 2, "settle_s": 30, "halt_share": 0.5, "halt_min_users": 100,
        "halt_unread_share": 0.1}'::jsonb || p_changes::jsonb)::json;
$$;
create function pg_temp.id(p_no integer) returns uuid language sql as $$
    select lpad(p_no::text, 32, '0')::uuid;
$$;
create function pg_temp.start(p_no integer, p_dry_run boolean default false, p_needs_approval boolean default false,
    p_accepted_halt text default null, p_plan_no integer default null) returns json language sql as $$
    select start_reconciliation_run(pg_temp.id(p_no), case when p_plan_no is null then 'full' else 'plan' end,
        p_dry_run,
        'ADMIN', pg_temp.policy(), p_needs_approval, p_accepted_halt, pg_temp.id(p_plan_no));
$$;
-- Scans the one chunk of a run: 3 users, of whom p_differing differ by 1 FLOW.
create function pg_temp.scan(p_no integer, p_differing integer) returns json language plpgsql as $$
declare
    v_lease json;
begin
    perform plan_reconciliation_chunks(pg_temp.id(p_no), 10);
    v_lease := lease_reconciliation_chunks(pg_temp.id(p_no), 60, 1, 5);
    return close_reconciliation_scan(pg_temp.id(p_no), 0, (v_lease -> 'tokens' ->> 0)::uuid, 3, 3 - p_differing, 3, 0,
        7, 9, 1, array(select user_address from user_balances order by 1 limit p_differing),
        array_fill(true, array[p_differing]), array_fill(1.0, array[p_differing]), array_fill(2.0, array[p_differing]),
        array_fill(7::bigint, array[p_differing]), array_fill(null::text, array[p_differing]),
        array_fill(null::text, array[p_differing]));
end;
$$;
insert into user_balances (user_address, balance) values
    ('0x0000000000000001', 1), ('0x0000000000000002', 1), ('0x0000000000000003', 1);

set local role service_role;

-- Start.
select is((select array_agg(key) from json_object_keys(pg_temp.start(1)) as key), array[
    'run_id', 'kind', 'state', 'dry_run', 'admin_address', 'policy', 'started_at', 'scanned_at', 'settle_until',
    'finished_at', 'users_planned', 'users', 'in_sync', 'corrected', 'would_correct', 'transient', 'changed_meanwhile',
    'held',
    'failed', 'unread', 'candidates', 'funded', 'funded_reading_zero', 'surplus', 'deficit', 'first_height',
    'last_height', 'script_calls', 'scan', 'correct', 'halt_reason', 'halt_explanation', 'halt_remedy', 'accepted_halt',
    'plan_run_id', 'covered_height', 'from_height', 'rotated_through', 'fallback_reason', 'error_code', 'error'
], 'a run has these fields');
select is(pg_temp.start(1) ->> 'state', 'planning', 'the same run again is that run');
select is((select count(*) from reconciliation_runs), 1::bigint, 'and only one');
select is(pg_temp.start(2) ->> 'refused', 'run_active', 'one run that writes at a time');
select is(pg_temp.start(2) -> 'run' ->> 'run_id', pg_temp.id(1)::text, 'the refusal tells which is active');
select is(pg_temp.start(3, p_dry_run => true) ->> 'state', 'planning', 'a dry run is in nobody''s way');
select is(active_reconciliation_run() ->> 'run_id', pg_temp.id(1)::text, 'the active run is the one that writes');

select throws_ok(format('select start_reconciliation_run(%L, %L, false, %L, %L)', pg_temp.id(9), 'full', v.admin,
    pg_temp.policy(v.changes::json)), 'BR001', null, v.about)
from (values
    (' ', '{}', 'a blank admin'),
    ('ADMIN', '{"batch_size": 0}', 'a batch of nobody'),
    ('ADMIN', '{"batch_size": 50001}', 'a batch that no call takes'),
    ('ADMIN', '{"batch_size": 1.5}', 'half a user'),
    ('ADMIN', '{"batch_size": "2"}', 'a batch size that is no number'),
    ('ADMIN', '{"settle_s": -1}', 'a settle window before the scan'),
    ('ADMIN', '{"tolerance": 0.1}', 'a tolerance that may be a float'),
    ('ADMIN', '{"halt_share": 2}', 'a share of more than everybody'),
    ('ADMIN', '{"halt_min_users": null}', 'no halt_min_users'),
    ('ADMIN', '{"halt_unread_share": null}', 'no halt_unread_share')
) as v (admin, changes, about);
select throws_ok(format('select start_reconciliation_run(%L, ''partial'', false, ''ADMIN'', %L)', pg_temp.id(9),
    pg_temp.policy()), 'BR001', null, 'another kind');
select throws_ok(format('select start_reconciliation_run(%L, ''plan'', false, ''ADMIN'', %L)', pg_temp.id(9),
    pg_temp.policy()), 'BR001', null, 'a plan of no run');
select throws_ok(format('select start_reconciliation_run(null, ''full'', false, ''ADMIN'', %L)', pg_temp.policy()),
    'BR001', null, 'no id');

-- Decide.
select is(decide_reconciliation_run(pg_temp.id(1)) ->> 'state', 'planning', 'nothing is decided while planning');
select is(pg_temp.scan(1, 2) ->> 'open_chunks', '0', 'the scan is over');
select is(decide_reconciliation_run(pg_temp.id(1), 'most_differ', 'Most differ', 'Look.') ->> 'state', 'halted',
    'a halt ends the run');
select is(get_reconciliation_run(pg_temp.id(1)) ->> 'halt_reason', 'most_differ', 'and is told');
select isnt(get_reconciliation_run(pg_temp.id(1)) ->> 'finished_at', null, 'with its time');
select is(decide_reconciliation_run(pg_temp.id(1)) ->> 'state', 'halted', 'it is decided once');
select is(approve_reconciliation_run(pg_temp.id(1)) ->> 'refused', 'run_not_applicable', 'a halt is not approved');

select is(pg_temp.scan(3, 2) ->> 'accepted', 'true', 'a dry run is scanned');
select is(decide_reconciliation_run(pg_temp.id(3)) ->> 'state', 'finished', 'and finished');
select is((select json_build_object('users', r -> 'users', 'in_sync', r -> 'in_sync', 'would_correct',
        r -> 'would_correct', 'surplus', r -> 'surplus', 'deficit', r -> 'deficit')::jsonb
    from get_reconciliation_run(pg_temp.id(3)) r),
    '{"users": 3, "in_sync": 1, "would_correct": 2, "surplus": "2.00000000", "deficit": "0.00000000"}',
    'its counts add up');

do $$ begin perform pg_temp.start(4); end; $$;
do $$ begin perform pg_temp.scan(4, 0); end; $$;
select is(decide_reconciliation_run(pg_temp.id(4)) ->> 'state', 'finished', 'nobody to correct: finished');
do $$ begin perform pg_temp.start(5, p_accepted_halt => 'a migration'); end; $$;
do $$ begin perform pg_temp.scan(5, 2); end; $$;
select is(decide_reconciliation_run(pg_temp.id(5), 'most_differ', 'Most differ', 'Look.') ->> 'state', 'correcting',
    'a halt that was accepted does not stop the run');
select is(get_reconciliation_run(pg_temp.id(5)) ->> 'halt_reason', 'most_differ', 'but is told');
select is(get_reconciliation_run(pg_temp.id(5)) -> 'correct' ->> 'pending', '1', 'the candidates are cut into chunks');

-- Approve and end.
select is(pg_temp.start(6, p_needs_approval => true) ->> 'refused', 'run_active', 'correcting is active');
select is(end_reconciliation_run(pg_temp.id(5), 'failed', 'ledger_timeout', 'No answer.') ->> 'error_code',
    'ledger_timeout', 'a run may fail');
select is(end_reconciliation_run(pg_temp.id(5), 'failed') ->> 'error_code', 'ledger_timeout',
    'ended the same way again, nothing changes');
select is(end_reconciliation_run(pg_temp.id(5), 'cancelled') ->> 'refused', 'run_not_applicable', 'a run ends once');
do $$ begin perform pg_temp.start(6, p_needs_approval => true); end; $$;
do $$ begin perform pg_temp.scan(6, 2); end; $$;
select is(decide_reconciliation_run(pg_temp.id(6)) ->> 'state', 'awaiting_approval', 'a run may wait for approval');
select is(pg_temp.start(7) ->> 'state', 'planning', 'in nobody''s way');
select is(approve_reconciliation_run(pg_temp.id(6)) ->> 'refused', 'run_active', 'no approval beside an active run');
select is(get_reconciliation_run(pg_temp.id(6)) ->> 'state', 'awaiting_approval', 'which changes nothing');
select is(end_reconciliation_run(pg_temp.id(7), 'cancelled') ->> 'state', 'cancelled', 'a run may be cancelled');
select is(approve_reconciliation_run(pg_temp.id(6)) ->> 'state', 'correcting', 'an approved run corrects');
select is(approve_reconciliation_run(pg_temp.id(6)) ->> 'state', 'correcting', 'approved again, nothing changes');
select is(end_reconciliation_run(pg_temp.id(6), 'declined') ->> 'state', 'declined', 'a run may be declined');
select throws_ok(format('select end_reconciliation_run(%L, ''finished'')', pg_temp.id(6)), 'BR001', null,
    'nobody finishes a run by hand');

-- Plans.
select is(pg_temp.start(8, p_plan_no => 3) ->> 'state', 'scanning', 'a plan has nothing left to scan');
select is((select json_build_object('users', r -> 'users', 'in_sync', r -> 'in_sync', 'candidates', r -> 'candidates',
        'surplus', r -> 'surplus', 'scan', r -> 'scan')::jsonb
    from get_reconciliation_run(pg_temp.id(8)) r),
    '{"users": 3, "in_sync": 1, "candidates": 2, "surplus": "2.00000000",
      "scan": {"pending": 0, "leased": 0, "done": 1, "failed": 0}}', 'and the counts of the run that it carries out');
select is(decide_reconciliation_run(pg_temp.id(8)) ->> 'state', 'correcting', 'it is reviewed as any other');
select is(get_reconciliation_run(pg_temp.id(8)) ->> 'settle_until',
    (select to_json(scanned_at + interval '30 s') #>> '{}' from reconciliation_runs where run_id = pg_temp.id(3)),
    'its differences have lasted since they were found');
select is(pg_temp.start(9, true, p_plan_no => 4) ->> 'refused', 'run_not_applicable', 'a finished run is no plan');
select is(pg_temp.start(9, true, p_plan_no => 7) ->> 'refused', 'run_not_applicable', 'nor is one without a scan');
select is(pg_temp.start(9, true, p_plan_no => 99) ->> 'refused', 'run_not_found', 'nor is none');

-- Reading.
select is(covering_reconciliation_run()::text, null, 'no run has covered anything yet');
select is(json_array_length(list_reconciliation_runs(p_limit => 3)), 3, 'runs are listed');
select is(list_reconciliation_runs(pg_temp.id(98)) ->> 'refused', 'run_not_found',
    'not before a run that is not there');
select is(get_reconciliation_run(pg_temp.id(98))::text, null, 'a run that is not there is null');

select * from finish();
rollback;
