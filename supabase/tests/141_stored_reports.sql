-- Which runs' reports are stored, and whose turn it is.
begin;
select plan(16);

create function pg_temp.id(p_no integer) returns uuid language sql as $$
    select lpad(p_no::text, 32, '0')::uuid;
$$;
insert into reconciliation_runs (run_id, kind, state, dry_run, needs_approval, admin_address, policy, finished_at)
select pg_temp.id(n), 'full', v.state, v.dry_run, false, 'ADMIN',
    '{"tolerance": "0.00000001", "batch_size": 2, "settle_s": 30}', now() + make_interval(secs => n)
from (values (1, 'finished', false), (2, 'halted', false), (3, 'finished', true), (4, 'declined', false),
    (5, 'failed', false)) as v (n, state, dry_run);

set local role service_role;

select is(lease_unstored_report(pg_temp.id(91)) ->> 'run_id', pg_temp.id(5)::text, 'the newest run first');
select is(lease_unstored_report(pg_temp.id(92)) ->> 'run_id', pg_temp.id(2)::text, 'a halted run too');
select is(lease_unstored_report(pg_temp.id(93)) ->> 'run_id', pg_temp.id(1)::text, 'then the next');
select is(lease_unstored_report(pg_temp.id(94))::text, null, 'neither a dry run nor a declined one');

select is(finish_stored_report(pg_temp.id(5), pg_temp.id(91), 'runs/x', repeat('0a', 32)) ->> 'accepted', 'true',
    'whoever has the lease may say where it is');
select is(finish_stored_report(pg_temp.id(5), pg_temp.id(92), 'runs/y', repeat('0b', 32)) ->> 'accepted', 'false',
    'nobody else');
select is((select json_build_object('state', r -> 'state', 'path', r -> 'path', 'attempts', r -> 'attempts')::jsonb
    from get_stored_report(pg_temp.id(5)) r), '{"state": "stored", "path": "runs/x", "attempts": 1}', 'it is kept');

select is(fail_stored_report(pg_temp.id(2), pg_temp.id(92), 'report_store_error', repeat('x', 3000)) ->> 'accepted',
    'true', 'a failure is told');
select is(get_stored_report(pg_temp.id(2)) ->> 'state', 'failed', 'and kept');
select is(length(get_stored_report(pg_temp.id(2)) ->> 'error'), 2000, 'as far as it is of use');
select is(lease_unstored_report(pg_temp.id(95))::text, null, 'it is not tried again at once');
select is(get_stored_report(pg_temp.id(99))::text, null, 'of no run there is no report');

select throws_ok(v.call, 'BR001', null, v.about)
from (values
    ('select lease_unstored_report(null)', 'no token'),
    ('select lease_unstored_report(gen_random_uuid(), 0)', 'a lease of no time'),
    ('select finish_stored_report(gen_random_uuid(), gen_random_uuid(), '''', repeat(''0'', 64))', 'no path'),
    ('select finish_stored_report(gen_random_uuid(), gen_random_uuid(), ''p'', ''0'')', 'no checksum')
) as v (call, about);

select * from finish();
rollback;
