-- The outbox: a message is leased, sent or failed, tried again in its order, and given up in the end.
begin;
select plan(43);

create function pg_temp.observe(
    p_state text, p_channels text[] default array['a', 'b'], p_kind text default 'audit_broken'
)
returns void language sql as $$
    select observe_alert(p_kind, case when p_state is not null then json_build_object('severity', 'warning', 'state',
        p_state, 'summary', p_state, 'remedy', 'Look.', 'facts', '{}'::json) end, null, p_channels);
$$;
create function pg_temp.token(p_worker text) returns uuid language sql as $$ select md5(p_worker)::uuid $$;
create function pg_temp.lease(p_worker text, p_channels text[] default array['a', 'b'], p_limit integer default 10)
returns json language sql as $$
    select lease_alert_deliveries(p_channels, pg_temp.token(p_worker), 60, p_limit, 3);
$$;
-- What was leased, in words: 'opened bad to a (1)'.
create function pg_temp.said(p_leased json) returns text language sql as $$
    select coalesce(string_agg(format('%s %s to %s (%s)', d -> 'message' ->> 'event', d -> 'message' ->> 'summary',
        d ->> 'channel', d ->> 'attempt'), ', '), '')
    from json_array_elements(p_leased) as d;
$$;
create function pg_temp.delivery(p_channel text) returns bigint language sql as $$
    select min(delivery_id) from reconciliation_alert_deliveries where channel = p_channel and state = 'pending';
$$;
create function pg_temp.finish(p_worker text, p_channel text, p_error text default null, p_retry_s float default null)
returns text language sql as $$
    select finish_alert_delivery(pg_temp.delivery(p_channel), pg_temp.token(p_worker), p_error, p_retry_s) ->> 'stored';
$$;
create function pg_temp.states() returns text language sql as $$
    select string_agg(d.channel || ' ' || d.state || coalesce(': ' || d.error, ''), ', ' order by d.delivery_id)
    from reconciliation_alert_deliveries d;
$$;
create function pg_temp.pass(p_time interval) returns void language sql as $$
    update public.reconciliation_alert_deliveries
    set leased_until = leased_until - p_time, next_at = next_at - p_time, created_at = created_at - p_time;
$$;

set local role service_role;

-- Leased and sent.
select is(pg_temp.said(pg_temp.lease('w')), '', 'there is nothing to send');
select pg_temp.observe('bad');
select is(pg_temp.said(pg_temp.lease('w', array['a'])), 'opened bad to a (1)', 'a worker gets what it can send');
select is(pg_temp.said(pg_temp.lease('w', array['a'])), 'opened bad to a (1)',
    'the same again when the answer was lost');
select is(pg_temp.said(pg_temp.lease('v')), 'opened bad to b (1)', 'another gets the rest');
select is(pg_temp.said(pg_temp.lease('u')), '', 'a third gets nothing');
select is(pg_temp.finish('v', 'a'), 'false', 'who does not hold it says nothing about it');
select is(pg_temp.finish('w', 'a'), 'true', 'who holds it does');
select is(pg_temp.states(), 'a sent, b pending', 'it is sent');
select is(finish_alert_delivery((select min(delivery_id) from reconciliation_alert_deliveries), pg_temp.token('w'))
    ->> 'stored', 'true', 'to say so again changes nothing');
select is(finish_alert_delivery((select min(delivery_id) from reconciliation_alert_deliveries), pg_temp.token('w'),
    'no', 5)
    ->> 'stored', 'true', 'nor does to say otherwise');
select is(pg_temp.states(), 'a sent, b pending', 'what is sent is sent');

-- Failed, and tried again.
select is(pg_temp.finish('v', 'b', 'no answer', 60), 'true', 'it failed');
select is(pg_temp.states(), 'a sent, b pending: no answer', 'and waits');
select is(pg_temp.said(pg_temp.lease('w')), '', 'for its time');
reset role; select pg_temp.pass('61 seconds'); set local role service_role;
select is(pg_temp.said(pg_temp.lease('w')), 'opened bad to b (2)', 'then it is tried again');

-- In their order.
select pg_temp.observe(null);
select is(pg_temp.said(pg_temp.lease('v')), 'resolved bad to a (1)',
    'a later message waits for the earlier one of its channel');
select is(pg_temp.finish('v', 'a'), 'true', 'another channel does not');
select is(pg_temp.finish('w', 'b'), 'true', 'once that is sent');
select is(pg_temp.said(pg_temp.lease('w')), 'resolved bad to b (1)', 'the later one goes');
select is(pg_temp.finish('w', 'b'), 'true', 'too');
select is(pg_temp.states(), 'a sent, b sent, a sent, b sent', 'all is sent');
select is(json_array_length(list_alert_deliveries(p_undelivered => true)), 0, 'nothing is undelivered');

-- The worker is lost.
select pg_temp.observe('bad', array['c']);
select is(pg_temp.said(pg_temp.lease('w', array['c'])), 'opened bad to c (1)', 'a worker takes it and is lost');
reset role; select pg_temp.pass('61 seconds'); set local role service_role;
select is(pg_temp.said(pg_temp.lease('v', array['c'])), 'opened bad to c (2)', 'another takes it over');
select is(pg_temp.finish('w', 'c'), 'false', 'the lost one is too late');
reset role; select pg_temp.pass('61 seconds'); set local role service_role;
select is(pg_temp.said(pg_temp.lease('w', array['c'])), 'opened bad to c (3)', 'a third time');
reset role; select pg_temp.pass('61 seconds'); set local role service_role;
select is(pg_temp.said(pg_temp.lease('v', array['c'])), '', 'not a fourth');
select is(list_alert_deliveries(p_undelivered => true) -> 0 ->> 'state', 'gave_up', 'it is given up');
select is(list_alert_deliveries(p_undelivered => true) -> 0 ->> 'error', 'its senders were lost', 'and says why');

-- Given up by the sender.
select pg_temp.observe('worse', array['c']);
select is(pg_temp.said(pg_temp.lease('w', array['c'])), 'changed worse to c (1)',
    'one that was given up stops no later one');
select is(pg_temp.finish('w', 'c', repeat('x', 2000)), 'true', 'who tries no more says so');
select is(list_alert_deliveries(p_undelivered => true) -> 0 ->> 'error', repeat('x', 1000),
    'with a reason that is cut');
select is((list_alert_deliveries(p_undelivered => true) -> 0 ->> 'kind')
    || (list_alert_deliveries(p_undelivered => true) -> 0 ->> 'event'), 'audit_brokenchanged', 'of what it was');
select is(json_array_length(list_alert_deliveries(p_before =>
    (list_alert_deliveries(p_limit => 1) -> 0 ->> 'delivery_id')::bigint)), 5, 'a page after another');

-- Nobody has the channel any more.
select pg_temp.observe('worst', array['gone']);
reset role; select pg_temp.pass('71 hours'); set local role service_role;
select is(pg_temp.said(pg_temp.lease('w')), '', 'it waits for somebody who has its channel');
select is((select state from reconciliation_alert_deliveries where channel = 'gone'), 'pending', 'three days');
reset role; select pg_temp.pass('2 hours'); set local role service_role;
select is(pg_temp.said(pg_temp.lease('w')), '', 'then');
select is((select error from reconciliation_alert_deliveries where channel = 'gone' and state = 'gave_up'),
    'nobody who has this channel has come for it', 'it is given up');

-- Misuse.
select throws_ok(format('select lease_alert_deliveries(%s)', v.arguments), 'BR001', null, v.arguments)
from (values ('null, gen_random_uuid(), 60, 1, 1'), ('''{}'', null, 60, 1, 1'), ('''{}'', gen_random_uuid(), 0, 1, 1'),
    ('''{}'', gen_random_uuid(), 60, 101, 1')) as v (arguments);
select throws_ok('select finish_alert_delivery(1, gen_random_uuid(), null, 5)', 'BR001', null, 'a retry of no error');

select * from finish();
rollback;
