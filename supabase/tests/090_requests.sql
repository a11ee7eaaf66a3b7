-- Idempotency keys: who carries a request out, and what everybody else is told.
begin;
select plan(46);

create function pg_temp.begin_as(
    p_worker text,
    p_key text default 'key',
    p_payload text default 'hash',
    p_function text default 'reconcile_user',
    p_actor text default 'ops'
)
returns text
language sql
as $$
    select begin_request(p_key, p_function, p_actor, p_payload, 3600, 60, md5(p_worker)::uuid) ->> 'state';
$$;
create function pg_temp.token(p_worker text) returns uuid language sql as $$ select md5(p_worker)::uuid $$;
create function pg_temp.age(p_key text, p_by interval)
returns void
language sql
as $$
    update public.reconciliation_requests
    set leased_until = leased_until - p_by, expires_at = expires_at - p_by
    where key = p_key;
$$;

set local role service_role;

-- One worker.
select is(pg_temp.begin_as('a'), 'new', 'the first one carries it out');
select is(pg_temp.begin_as('a'), 'new', 'and may ask again when the answer was lost');
select is(pg_temp.begin_as('b'), 'in_flight', 'another one does not');
select cmp_ok(
    (begin_request('key', 'reconcile_user', 'ops', 'hash', 3600, 60, pg_temp.token('b')) ->> 'wait_s')::numeric,
    '<=', 60::numeric, 'and is told for how long');
select cmp_ok(
    (begin_request('key', 'reconcile_user', 'ops', 'hash', 3600, 60, pg_temp.token('b')) ->> 'wait_s')::numeric,
    '>', 50::numeric, 'which is the rest of the lease');
select is(pg_temp.begin_as('b', p_payload => 'other'), 'mismatch', 'another payload is refused while it is in flight');
select is(finish_request('key', 'reconcile_user', 'ops', pg_temp.token('b'), 200, 'b')::jsonb, '{"stored": false}',
    'who does not hold it cannot answer for it');
select is(finish_request('key', 'reconcile_user', 'ops', pg_temp.token('a'), 200, '{"ok": 1}')::jsonb,
    '{"stored": true}', 'who holds it can');
select is(finish_request('key', 'reconcile_user', 'ops', pg_temp.token('a'), 200, '{"ok": 1}')::jsonb,
    '{"stored": true}', 'twice');
select is(begin_request('key', 'reconcile_user', 'ops', 'hash', 3600, 60, pg_temp.token('b'))::jsonb,
    '{"state": "done", "status": 200, "body": "{\"ok\": 1}", "wait_s": 0}', 'then everybody gets the answer');
select is(pg_temp.begin_as('a'), 'done', 'the one who gave it too');
select is(begin_request('key', 'reconcile_user', 'ops', 'other', 3600, 60, pg_temp.token('b'))::jsonb,
    '{"state": "mismatch", "status": null, "body": null, "wait_s": 0}', 'but for another payload nobody does');
select is(abandon_request('key', 'reconcile_user', 'ops', pg_temp.token('a'))::jsonb, '{"abandoned": false}',
    'an answer is not given up');

-- A key is one actor's and one function's.
select is(pg_temp.begin_as('b', p_actor => 'other'), 'new', 'another actor''s key is another');
select is(pg_temp.begin_as('b', p_function => 'sweep'), 'new', 'another function''s key is another');
select is(pg_temp.begin_as('b', p_key => 'KEY'), 'new', 'a key is its exact characters');

-- Given up.
select is(pg_temp.begin_as('a', 'given up'), 'new', 'a request is begun');
select is(abandon_request('given up', 'reconcile_user', 'ops', pg_temp.token('b'))::jsonb, '{"abandoned": false}',
    'another one cannot give it up');
select is(abandon_request('given up', 'reconcile_user', 'ops', pg_temp.token('a'))::jsonb, '{"abandoned": true}',
    'who holds it can');
select is(abandon_request('given up', 'reconcile_user', 'ops', pg_temp.token('a'))::jsonb, '{"abandoned": false}',
    'once');
select is(pg_temp.begin_as('b', 'given up'), 'new', 'then another may try at once');

-- Never came back.
select is(pg_temp.begin_as('a', 'lost'), 'new', 'a worker begins and is lost');
reset role;
select pg_temp.age('lost', interval '61 seconds');
set local role service_role;
select is(pg_temp.begin_as('b', 'lost', 'other'), 'mismatch', 'its payload is remembered');
select is(pg_temp.begin_as('b', 'lost'), 'new', 'its lease is over: another carries it out');
select is(pg_temp.begin_as('c', 'lost'), 'in_flight', 'one other');
select is(finish_request('lost', 'reconcile_user', 'ops', pg_temp.token('a'), 200, 'a')::jsonb, '{"stored": false}',
    'the lost one cannot answer any more');
select is(abandon_request('lost', 'reconcile_user', 'ops', pg_temp.token('a'))::jsonb, '{"abandoned": false}',
    'nor give it up');
select is(finish_request('lost', 'reconcile_user', 'ops', pg_temp.token('b'), 422, 'b')::jsonb, '{"stored": true}',
    'the one who took it over can');

-- Forgotten.
reset role;
select pg_temp.age('lost', interval '1 hour');
set local role service_role;
select is(pg_temp.begin_as('c', 'lost', 'other'), 'new', 'an expired key is free again, for any payload');
select is(pg_temp.begin_as('c', 'lost'), 'mismatch', 'and is that payload''s from then on');
reset role;
insert into reconciliation_requests (function, actor, key, payload_hash, token, leased_until, expires_at)
select 'sweep', 'old', n::text, 'hash', gen_random_uuid(), now() - interval '1 day', now() - make_interval(mins => n)
from generate_series(1, 150) as n;
select is(pg_temp.begin_as('a', '1', p_function => 'sweep', p_actor => 'young'), 'new', 'a new key');
select is((select count(*) from reconciliation_requests where actor = 'old'), 50::bigint,
    'takes a hundred expired ones away');
select is((select max(key::integer) from reconciliation_requests where actor = 'old'), 50, 'the oldest');
select is(pg_temp.begin_as('a', '1', p_function => 'sweep', p_actor => 'young'), 'new', 'asking again');
select is((select count(*) from reconciliation_requests where actor = 'old'), 50::bigint, 'takes none');
select is((select count(*) from reconciliation_requests where actor = 'ops'), 5::bigint,
    'and what has not expired stays');
set local role service_role;

-- Misuse.
select throws_ok('select begin_request(' || v.arguments || ')', 'BR001', null, v.arguments)
from (values
    (''''', ''f'', ''a'', ''h'', 60, 6, gen_random_uuid()'),
    ('repeat(''k'', 201), ''f'', ''a'', ''h'', 60, 6, gen_random_uuid()'),
    ('''k'', ''f'', null, ''h'', 60, 6, gen_random_uuid()'),
    ('''k'', ''f'', ''a'', ''h'', 60, 6, null'),
    ('''k'', ''f'', ''a'', ''h'', 60, 0, gen_random_uuid()'),
    ('''k'', ''f'', ''a'', ''h'', 6, 60, gen_random_uuid()'),
    ('''k'', ''f'', ''a'', ''h'', 2592001, 60, gen_random_uuid()')) as v (arguments);
select throws_ok('select finish_request(''k'', ''f'', ''a'', gen_random_uuid(), ' || v.arguments || ')', 'BR001', null,
    v.arguments)
from (values ('99, ''b'''), ('200, null'), ('200, repeat(''b'', 100001)')) as v (arguments);

select * from finish();
rollback;
