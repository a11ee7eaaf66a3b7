-- The indexer's messages: who works one, and what a replay is told.
begin;
select plan(43);

create function pg_temp.begin_as(p_worker text, p_message text default 'msg', p_payload text default 'hash')
returns text
language sql
as $$
    select begin_webhook(p_message, p_payload, 3600, 60, md5(p_worker)::uuid) ->> 'state';
$$;
create function pg_temp.token(p_worker text) returns uuid language sql as $$ select md5(p_worker)::uuid $$;
create function pg_temp.age(p_message text, p_by interval)
returns void
language sql
as $$
    update public.reconciliation_webhooks
    set leased_until = leased_until - p_by, expires_at = expires_at - p_by, received_at = received_at - p_by
    where message_id = p_message;
$$;

set local role service_role;

-- One worker.
select is(pg_temp.begin_as('a'), 'new', 'the first one works it');
select is(pg_temp.begin_as('a'), 'new', 'and may ask again when the answer was lost');
select is(pg_temp.begin_as('b'), 'in_flight', 'another one does not');
select cmp_ok((begin_webhook('msg', 'hash', 3600, 60, pg_temp.token('b')) ->> 'wait_s')::numeric,
    '<=', 60::numeric, 'and is told for how long');
select cmp_ok((begin_webhook('msg', 'hash', 3600, 60, pg_temp.token('b')) ->> 'wait_s')::numeric,
    '>', 50::numeric, 'which is the rest of the lease');
select is(pg_temp.begin_as('b', p_payload => 'other'), 'mismatch', 'another payload is refused while it is in flight');
select is(finish_webhook('msg', pg_temp.token('b'), 200, 'b')::jsonb, '{"stored": false}',
    'who does not hold it cannot answer for it');
select is(finish_webhook('msg', pg_temp.token('a'), 202, '{"ok": 1}')::jsonb, '{"stored": true}', 'who holds it can');
select is(finish_webhook('msg', pg_temp.token('a'), 202, '{"ok": 1}')::jsonb, '{"stored": true}', 'twice');
select is(begin_webhook('msg', 'hash', 3600, 60, pg_temp.token('b'))::jsonb,
    '{"state": "done", "status": 202, "body": "{\"ok\": 1}", "wait_s": 0}', 'then a replay gets the answer');
select is(pg_temp.begin_as('a'), 'done', 'also of the one who gave it');
select is(begin_webhook('msg', 'other', 3600, 60, pg_temp.token('b'))::jsonb,
    '{"state": "mismatch", "status": null, "body": null, "wait_s": 0}', 'but for another payload nobody does');
select is(abandon_webhook('msg', pg_temp.token('a'))::jsonb, '{"abandoned": false}', 'an answer is not given up');
select is(pg_temp.begin_as('b', 'MSG'), 'new', 'an id is its exact characters');

-- Given up.
select is(pg_temp.begin_as('a', 'given up'), 'new', 'a message is begun');
select is(abandon_webhook('given up', pg_temp.token('b'))::jsonb, '{"abandoned": false}',
    'another one cannot give it up');
select is(abandon_webhook('given up', pg_temp.token('a'))::jsonb, '{"abandoned": true}', 'who holds it can');
select is(abandon_webhook('given up', pg_temp.token('a'))::jsonb, '{"abandoned": false}', 'once');
select is(pg_temp.begin_as('b', 'given up', 'other'), 'new', 'then another may come at once, even with other events');

-- Never came back.
select is(pg_temp.begin_as('a', 'lost'), 'new', 'a worker begins and is lost');
reset role;
select pg_temp.age('lost', interval '61 seconds');
set local role service_role;
select is(pg_temp.begin_as('b', 'lost'), 'new', 'its lease is over: another works it');
select is(pg_temp.begin_as('c', 'lost'), 'in_flight', 'one other');
select is((select now() - received_at > interval '1 minute' from reconciliation_webhooks where message_id = 'lost'),
    true, 'when it came for the first time is kept');
select is(finish_webhook('lost', pg_temp.token('a'), 200, 'a')::jsonb, '{"stored": false}',
    'the lost one cannot answer any more');
select is(abandon_webhook('lost', pg_temp.token('a'))::jsonb, '{"abandoned": false}', 'nor give it up');
select is(finish_webhook('lost', pg_temp.token('b'), 200, 'b')::jsonb, '{"stored": true}',
    'the one who took it over can');

-- Forgotten.
reset role;
select pg_temp.age('lost', interval '1 hour');
set local role service_role;
select is(pg_temp.begin_as('c', 'lost', 'other'), 'new', 'a forgotten message is a new one');
select is(pg_temp.begin_as('d', 'lost', 'other'), 'in_flight', 'to be worked once');
reset role;
insert into reconciliation_webhooks (message_id, payload_hash, received_at, token, leased_until, expires_at)
select 'old ' || n, 'hash', now() - interval '3 days', gen_random_uuid(), now() - interval '3 days',
    now() - make_interval(mins => n)
from generate_series(1, 150) as n;
select is(pg_temp.begin_as('a', 'young'), 'new', 'a new message');
select is((select count(*) from reconciliation_webhooks where message_id like 'old %'), 50::bigint,
    'takes a hundred forgotten ones away');
select is((select min(expires_at) from reconciliation_webhooks where message_id like 'old %'),
    now() - interval '50 minutes', 'the oldest');
select is(pg_temp.begin_as('a', 'young'), 'new', 'asking again');
select is((select count(*) from reconciliation_webhooks where message_id like 'old %'), 50::bigint, 'takes none');
set local role service_role;

-- Misuse.
select throws_ok('select begin_webhook(' || v.arguments || ')', 'BR001', null, v.arguments)
from (values
    (''''', ''h'', 60, 6, gen_random_uuid()'),
    ('repeat(''k'', 201), ''h'', 60, 6, gen_random_uuid()'),
    ('''k'', null, 60, 6, gen_random_uuid()'),
    ('''k'', ''h'', 60, 6, null'),
    ('''k'', ''h'', 60, 0, gen_random_uuid()'),
    ('''k'', ''h'', 6, 60, gen_random_uuid()'),
    ('''k'', ''h'', 2592001, 60, gen_random_uuid()')) as v (arguments);
select throws_ok('select finish_webhook(''k'', gen_random_uuid(), ' || v.arguments || ')', 'BR001', null, v.arguments)
from (values ('99, ''b'''), ('200, null'), ('200, repeat(''b'', 10000001)')) as v (arguments);

select * from finish();
rollback;
