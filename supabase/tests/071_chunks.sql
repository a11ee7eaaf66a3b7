-- A run's chunks: cut, leased, handed back, queued, closed and failed.
begin;
select plan(71);

create function pg_temp.id(p_no integer) returns uuid language sql as $$
    select lpad(p_no::text, 32, '0')::uuid;
$$;
create function pg_temp.start(p_no integer, p_rotate_after text default null) returns void language sql as $$
    select start_reconciliation_run(pg_temp.id(p_no), 'full', false, 'ADMIN', '{"tolerance": "0.00000001",
        "batch_size": 2, "settle_s": 0, "halt_share": 0.5, "halt_min_users": 100, "halt_unread_share": 0.1}',
        p_rotate_after => p_rotate_after);
$$;
create function pg_temp.stop(p_no integer) returns void language sql as $$
    select end_reconciliation_run(pg_temp.id(p_no), 'cancelled');
$$;
create function pg_temp.cut(p_no integer) returns setof text language sql as $$
    select format('%s..%s: %s', after_address, through_address, users)
    from public.reconciliation_chunks
    where run_id = pg_temp.id(p_no) and phase = 'scan' order by chunk_no;
$$;
create function pg_temp.lease(p_no integer, p_limit integer default 1) returns json language sql as $$
    select lease_reconciliation_chunks(pg_temp.id(p_no), 60, p_limit, 2);
$$;
create function pg_temp.token(p_no integer, p_phase text, p_chunk_no integer) returns uuid language sql as $$
    select token from public.reconciliation_chunks
    where run_id = pg_temp.id(p_no) and phase = p_phase and chunk_no = p_chunk_no;
$$;
-- Closes a scan chunk in which these users hold 1 FLOW in the ledger and 3 on chain, and 2 others are in sync.
create function pg_temp.close(p_no integer, p_chunk_no integer, p_token uuid, p_users text[]) returns json
language sql as $$
    select close_reconciliation_scan(pg_temp.id(p_no), p_chunk_no, p_token, 2 + cardinality(p_users), 2, 2, 0, 7, 9, 1,
        p_users, array_fill(true, n), array_fill(1.0, n), array_fill(3.0, n), array_fill(7::bigint, n),
        array_fill(null::text, n), array_fill(null::text, n))
    from (select array[cardinality(p_users)] as n) as length;
$$;
create function pg_temp.correct(p_no integer, p_chunk_no integer, p_users text[], p_outcome text) returns json
language sql as $$
    select close_reconciliation_correction(pg_temp.id(p_no), p_chunk_no, pg_temp.token(p_no, 'correct', p_chunk_no),
        p_users, array_fill(p_outcome, n), array_fill(3.0, n), array_fill(1.0, n), array_fill(8::bigint, n),
        array_fill(null::text, n), array_fill(null::text, n), 1)
    from (select array[cardinality(p_users)] as n) as length;
$$;
create function pg_temp.expire(p_no integer) returns void language sql security definer as $$
    update public.reconciliation_chunks set lease_until = now() - interval '1 s'
    where run_id = pg_temp.id(p_no) and state = 'leased';
$$;

set local role service_role;

-- Cut.
do $$ begin perform pg_temp.start(1); end; $$;
select is(plan_reconciliation_chunks(pg_temp.id(1), 2) ->> 'state', 'scanning', 'an empty ledger is cut');
select is_empty('select pg_temp.cut(1)', 'into nothing');
do $$ begin perform pg_temp.stop(1); end; $$;
insert into user_balances (user_address, balance) select u, 1 from unnest(array['', 'a', 'b', 'c', 'd']) as u;

do $$ begin perform pg_temp.start(2); end; $$;
select is(plan_reconciliation_chunks(pg_temp.id(2), 2) ->> 'users_planned', '5', 'everybody is planned');
select results_eq('select pg_temp.cut(2)', array['..a: 2', 'a..c: 2', 'c..: 1'], 'ranges meet, with open ends');
select is(plan_reconciliation_chunks(pg_temp.id(2), 1) -> 'scan' ->> 'pending', '3', 'a plan is cut once');
select throws_ok(format('select plan_reconciliation_chunks(%L, %s)', pg_temp.id(2), n), 'BR001', null,
    'chunks of ' || n) from (values ('0'), ('50001'), ('null')) as v (n);
select throws_ok(format('select plan_reconciliation_chunks(%L, 1, -1)', pg_temp.id(2)), 'BR001', null,
    'less than no chunk');
select is(plan_reconciliation_chunks(pg_temp.id(99), 2) ->> 'refused', 'run_not_found', 'a run that is not there');
do $$ begin perform pg_temp.stop(2); end; $$;

do $$ begin perform pg_temp.start(3, 'a'); end; $$;
select is(add_reconciliation_chunk(pg_temp.id(3), 0, array['d', 'x']) ->> 'chunks', '1', 'users may be named');
select is(add_reconciliation_chunk(pg_temp.id(3), 0, array['y']) ->> 'chunks', '1', 'a number is given once');
select throws_ok(format('select add_reconciliation_chunk(%L, 1, %L)', pg_temp.id(3), v.users), v.state, null, v.about)
from (values ('{}', 'BR001', 'a chunk of nobody'), ('{null}', 'BR001', 'a chunk of somebody'),
    (array_fill('x'::text, array[50001])::text, 'BR003', 'a chunk of too many')) as v (users, state, about);
select is(plan_reconciliation_chunks(pg_temp.id(3), 1, 2) ->> 'rotated_through', 'c', 'a part of the ledger is cut');
select results_eq('select pg_temp.cut(3)', array['..: 2', 'a..b: 1', 'b..c: 1'], 'after the named users');
select is(add_reconciliation_chunk(pg_temp.id(3), 9, array['y']) ->> 'refused', 'run_not_applicable',
    'nobody is added later');
select is(add_reconciliation_chunk(pg_temp.id(3), 0, array['d', 'x']) ->> 'chunks', '3',
    'but a repeated call is answered');
do $$ begin perform pg_temp.stop(3); end; $$;
do $$ begin perform pg_temp.start(4, 'c'); end; $$;
select is(plan_reconciliation_chunks(pg_temp.id(4), 2, 5) ->> 'rotated_through', null, 'at the end it starts anew');
select results_eq('select pg_temp.cut(4)', array['c..: 1'], 'and the end is open');
do $$ begin perform pg_temp.stop(4); end; $$;
do $$ begin perform pg_temp.start(5, 'b'); end; $$;
select is(plan_reconciliation_chunks(pg_temp.id(5), 2, 0) ->> 'rotated_through', 'b', 'no part: it stays where it was');
do $$ begin perform pg_temp.stop(5); end; $$;

-- Lease and release.
do $$ begin perform pg_temp.start(6); end; $$;
select is(pg_temp.lease(6) ->> 'state', 'planning', 'nothing is leased while planning');
do $$ begin perform plan_reconciliation_chunks(pg_temp.id(6), 2); end; $$;
select is((select array_agg(key) from json_object_keys(pg_temp.lease(6)) as key), array['state', 'wait_s', 'phases',
    'chunk_nos', 'tokens', 'attempts', 'users', 'afters', 'throughs', 'user_addresses'], 'a lease has these fields');
select is((pg_temp.lease(6, 9) -> 'chunk_nos')::text, '[1, 2]', 'what is leased is not leased again');
select is(release_reconciliation_chunk(pg_temp.id(6), 'scan', 1, gen_random_uuid()) ->> 'released', 'false',
    'nobody hands back what is another''s');
select is(release_reconciliation_chunk(pg_temp.id(6), 'scan', 1, pg_temp.token(6, 'scan', 1)) ->> 'released', 'true',
    'a chunk is handed back');
select is((lease_reconciliation_chunks(pg_temp.id(6), 60, 1, 2, 'scan', 0) -> 'chunk_nos')::text, '[]',
    'a chunk that is leased cannot be had');
select is((lease_reconciliation_chunks(pg_temp.id(6), 60, 1, 2, 'correct', 1) -> 'chunk_nos')::text, '[]',
    'nor one of another phase');
select is((lease_reconciliation_chunks(pg_temp.id(6), 60, 1, 2, 'scan', 1) -> 'attempts')::text, '[1]',
    'the attempt of a chunk handed back does not count');
do $$ begin perform pg_temp.expire(6); end; $$;
select is((pg_temp.lease(6, 9) -> 'attempts')::text, '[2, 2, 2]', 'expired leases are taken over');
do $$ begin perform pg_temp.expire(6); end; $$;
select is((pg_temp.lease(6, 9) -> 'chunk_nos')::text, '[]', 'until they are out of attempts');
select throws_ok(format('select lease_reconciliation_chunks(%L, %s)', pg_temp.id(6), v.arguments), 'BR001', null,
    'a lease of ' || v.arguments)
from (values ('-1, 1, 1'), ('60, 0, 1'), ('60, 1001, 1'), ('60, 1, 0'), ('60, 1, 1, ''scan'''),
    ('60, 1, 1, ''x'', 1')) as v (arguments);

-- Close the scan.
select throws_ok(format('select close_reconciliation_scan(%L, 0, null, %s)', pg_temp.id(6), v.arguments), 'BR001', null,
    v.about)
from (values
    ('3, 1, 1, 0, 7, 7, 1, ''{a}'', ''{t}'', ''{1}'', ''{3}'', ''{7}'', ''{null}'', ''{null}''', 'users are missing'),
    ('1, 0, 2, 0, 7, 7, 1, ''{a}'', ''{t}'', ''{1}'', ''{3}'', ''{7}'', ''{null}'', ''{null}''', 'too many funded'),
    ('1, 0, 1, 0, 7, 7, 1, ''{a}'', ''{t}'', ''{}'', ''{3}'', ''{7}'', ''{null}'', ''{null}''', 'a list is short'),
    ('1, 0, 1, 0, 7, 7, 1, ''{a}'', ''{t}'', ''{1}'', ''{3}'', ''{null}'', ''{null}'', ''{null}''', 'no height'),
    ('1, 0, 1, 0, 7, 7, 1, ''{a}'', ''{t}'', ''{1}'', ''{0.000000001}'', ''{7}'', ''{null}'', ''{null}''', 'too fine')
) as v (arguments, about);
select is(pg_temp.close(6, 0, gen_random_uuid(), '{a}') ->> 'accepted', 'false', 'another''s chunk is not closed');
select is(pg_temp.close(6, 0, pg_temp.token(6, 'scan', 0), '{a}') ->> 'accepted', 'true',
    'an expired lease that nobody took over counts');
select is(pg_temp.close(6, 0, pg_temp.token(6, 'scan', 0), '{a}') ->> 'accepted', 'true', 'the same call again too');
select is(pg_temp.close(6, 1, pg_temp.token(6, 'scan', 1), '{a,b,c}') ->> 'open_chunks', '1', 'one chunk is open');
select is(get_reconciliation_run(pg_temp.id(6)) ->> 'users', '7', 'a user of two chunks is counted once');
select is(get_reconciliation_run(pg_temp.id(6)) ->> 'surplus', '6.00000000', 'and so is their discrepancy');
select is(decide_reconciliation_run(pg_temp.id(6)) ->> 'state', 'scanning', 'nothing is decided yet');
select is((select array[r ->> 'gave_up', (r -> 'outcomes')::text] from requeue_reconciliation_chunks(pg_temp.id(6), 900, 2) r),
    array['1', '{"corrected" : 0, "failed" : 1}'], 'the last chunk is given up');
select results_eq('select user_address, outcome, error_code from reconciliation_results where outcome = ''failed''',
    $$values ('d' collate "C", 'failed', 'chunk_gave_up')$$, 'and so are its users');
select is(decide_reconciliation_run(pg_temp.id(6)) -> 'correct' ->> 'pending', '2', 'the candidates are cut');

-- Correct.
select is(list_reconciliation_candidates(pg_temp.id(6), 0)::jsonb, '{"user_addresses": ["a", "b"],
    "row_exists": [true, true], "ledger_balances": ["1.00000000", "1.00000000"],
    "contract_balances": ["3.00000000", "3.00000000"], "heights": [7, 7]}', 'a chunk has its candidates');
select is(json_array_length(list_reconciliation_candidates(pg_temp.id(6), 9) -> 'heights'), 0, 'no chunk, nobody');
select is((requeue_reconciliation_chunks(pg_temp.id(6), 900, 2) -> 'chunk_nos')::text, '[0,1]', 'both need a message');
select is((requeue_reconciliation_chunks(pg_temp.id(6), 900, 2) -> 'chunk_nos')::text, '[]', 'one each');
do $$ begin perform pg_temp.lease(6, 9); end; $$;
select throws_ok($$select pg_temp.correct(6, 0, '{a}', 'transient')$$, 'BR001', null, 'nobody is left out');
select throws_ok($$select pg_temp.correct(6, 0, '{a,b}', 'corrected')$$, 'BR001', null, 'no correction without audit');
select throws_ok($$select pg_temp.correct(6, 0, '{a,b}', 'in_sync')$$, 'BR001', null, 'no other outcome');
do $$ begin
    perform reconcile_user_balances(array['a'], array[3], array[1], 8, 'ADMIN', pg_temp.id(6));
end; $$;
select is((pg_temp.correct(6, 0, '{a,b}', 'transient') -> 'outcomes')::jsonb, '{"in_sync": 0, "corrected": 1,
    "transient": 1, "changed_meanwhile": 0, "held": 0, "failed": 0}', 'a correction is closed, and answers as stored');
select results_eq('select user_address, outcome, audit_id is not null from reconciliation_results
    where user_address <= ''b'' order by 1', $$values ('a' collate "C", 'corrected', true), ('b', 'transient', false)$$,
    'the audit log knows better');
select is(fail_reconciliation_chunk(pg_temp.id(6), 'correct', 1, gen_random_uuid(), 'x', 'y', 1) ->> 'accepted',
    'false', 'nobody fails what is another''s');
select is(fail_reconciliation_chunk(pg_temp.id(6), 'correct', 1, pg_temp.token(6, 'correct', 1), 'x', 'y', 2)
    ->> 'open_chunks', '1', 'an attempt fails, and there is another');
do $$ begin perform pg_temp.lease(6, 9); end; $$;
select is(fail_reconciliation_chunk(pg_temp.id(6), 'correct', 1, pg_temp.token(6, 'correct', 1), 'x', 'y', 2)
    ->> 'state', 'finished', 'the last chunk finishes the run');
select is((select json_build_object('users', r -> 'users', 'in_sync', r -> 'in_sync', 'corrected', r -> 'corrected',
        'transient', r -> 'transient', 'failed', r -> 'failed', 'unread', r -> 'unread')::jsonb
    from get_reconciliation_run(pg_temp.id(6)) r),
    '{"users": 8, "in_sync": 4, "corrected": 1, "transient": 1, "failed": 2, "unread": 1}', 'its counts add up');

-- Results.
select is(list_reconciliation_results(pg_temp.id(6), 'a', 1)::jsonb -> 'user_addresses', '["b"]', 'results are paged');
select is(list_reconciliation_results(pg_temp.id(6), null, 9, '{failed}')::jsonb -> 'user_addresses', '["c", "d"]',
    'and filtered');
select is(count_reconciliation_results(pg_temp.id(6)), 4::bigint, 'they are counted');
select is(count_reconciliation_results(pg_temp.id(99)), null, 'a run that is not there has no count');
select throws_ok(format('select count_reconciliation_results(%L, ''{lost}'')', pg_temp.id(6)), 'BR001', null,
    'no other outcome is counted');

select * from finish();
rollback;
