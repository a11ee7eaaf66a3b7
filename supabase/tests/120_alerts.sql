-- Conditions: one open alert a kind, a message when it begins, changes and ends, and none in between.
begin;
select plan(55);

select volatility_is('public', f.name, 'stable', f.name || ' runs read-only in PostgREST')
from (values ('list_alerts'), ('list_alert_deliveries'), ('list_unannounced_runs')) as f (name);

create function pg_temp.alert(p_state text, p_severity text default 'warning') returns json language sql as $$
    select json_build_object('severity', p_severity, 'state', p_state, 'summary', 'It is ' || p_state || '.',
        'remedy', 'Look.', 'facts', json_build_object('Users', '3', 'FLOW', '1.50000000'));
$$;
create function pg_temp.observe(
    p_state text, p_kind text default 'audit_broken', p_channels text[] default array['a', 'b'],
    p_run_id uuid default null, p_severity text default 'warning'
)
returns json language sql as $$
    select observe_alert(p_kind, case when p_state is not null then pg_temp.alert(p_state, p_severity) end, p_run_id,
        p_channels);
$$;
-- The last message for a channel.
create function pg_temp.message(p_channel text default 'a') returns json language sql as $$
    select d.message from reconciliation_alert_deliveries d where d.channel = p_channel
    order by d.delivery_id desc limit 1;
$$;
create function pg_temp.told() returns text language sql as $$
    select string_agg(d.event || ' ' || d.channel, ', ' order by d.delivery_id)
    from reconciliation_alert_deliveries d;
$$;
create function pg_temp.id(p_no integer) returns uuid language sql as $$
    select lpad(p_no::text, 32, '0')::uuid;
$$;

set local role service_role;

-- Begins.
select is(pg_temp.observe(null)::jsonb, '{"event": null, "alert_id": null, "deliveries": 0}', 'nothing is nothing');
select is((pg_temp.observe('bad', p_run_id => pg_temp.id(1))::jsonb - 'alert_id'),
    '{"event": "opened", "deliveries": 2}',
    'a condition begins: each channel is to be told');
select is(pg_temp.told(), 'opened a, opened b', 'once');
select is((pg_temp.message()::jsonb - 'since' - 'at'), jsonb_build_object('event', 'opened', 'kind', 'audit_broken',
    'severity', 'warning', 'summary', 'It is bad.', 'remedy', 'Look.', 'facts',
    '{"Users": "3", "FLOW": "1.50000000"}'::jsonb, 'run_id', pg_temp.id(1)), 'of what there is to know');
select is((select array_agg(key) from json_object_keys(pg_temp.message() -> 'facts') as key), array['Users', 'FLOW'],
    'the facts in their order');

-- Goes on.
select is((pg_temp.observe('bad')::jsonb - 'alert_id'), '{"event": null, "deliveries": 0}',
    'it goes on: nobody is told');
select is((pg_temp.observe('bad', p_severity => 'critical')::jsonb - 'alert_id'), '{"event": null, "deliveries": 0}',
    'it is the state that counts');
select is((list_alerts() -> 0 ->> 'times'), '3', 'but it is counted');
select ok((list_alerts() -> 0 ->> 'last_seen_at')::timestamptz > (list_alerts() -> 0 ->> 'opened_at')::timestamptz,
    'and when it was seen last is known');
select is(json_array_length(list_alerts()), 1, 'as one alert');

-- Changes.
select is((pg_temp.observe('worse', p_severity => 'critical', p_run_id => pg_temp.id(2))::jsonb - 'alert_id'),
    '{"event": "changed", "deliveries": 2}', 'another state is news');
select is((pg_temp.message() ->> 'severity') || (pg_temp.message() ->> 'summary'), 'criticalIt is worse.',
    'with what it is now');
select is(pg_temp.message() ->> 'since', list_alerts() -> 0 ->> 'opened_at', 'and since when anything is wrong');
select is(json_array_length(list_alerts()), 1, 'still one alert');
select ok((list_alerts() -> 0 ->> 'changed_at')::timestamptz > (list_alerts() -> 0 ->> 'opened_at')::timestamptz,
    'that has changed');

-- Of two kinds.
select is(pg_temp.observe('late', 'sweep_overdue') ->> 'event', 'opened', 'another kind is another condition');
select is(json_array_length(list_alerts(p_open_only => true)), 2, 'both hold');

-- Ends.
select is((pg_temp.observe(null, p_run_id => pg_temp.id(3))::jsonb - 'alert_id'),
    '{"event": "resolved", "deliveries": 2}',
    'it is over: one notice each');
select is((pg_temp.message()::jsonb - 'at' - 'since' - 'remedy' - 'facts'), jsonb_build_object('event', 'resolved',
    'kind', 'audit_broken', 'severity', 'critical', 'summary', 'It is worse.', 'run_id', pg_temp.id(3)),
    'of what it was, and what showed that it is over');
select is((pg_temp.observe(null)::jsonb), '{"event": null, "alert_id": null, "deliveries": 0}', 'it stays over');
select is((select array_agg(a ->> 'kind') from json_array_elements(list_alerts(p_open_only => true)) as a),
    array['sweep_overdue'], 'the other one holds');
select is((select array_agg(a ->> 'kind') from json_array_elements(list_alerts()) as a),
    array['sweep_overdue', 'audit_broken'], 'what is over is kept, the newest first');
select is(pg_temp.observe('worse') ->> 'event', 'opened', 'it begins anew');
select is(json_array_length(list_alerts()), 3, 'as another alert');
select is(list_alerts() -> 0 ->> 'times', '1', 'with a count of its own');

-- Pages.
select is(list_alerts(p_limit => 1) -> 0 ->> 'kind', 'audit_broken', 'a page');
select is(list_alerts(p_before => (list_alerts(p_limit => 1) -> 0 ->> 'alert_id')::uuid, p_limit => 1) -> 0 ->> 'kind',
    'sweep_overdue', 'and the next');
select is(list_alerts(p_before => pg_temp.id(9))::text, '[]', 'after an alert that is not there there is none');

-- Channels.
select is((pg_temp.observe('short', 'solvency_mismatch', '{}')::jsonb - 'alert_id'),
    '{"event": "opened", "deliveries": 0}',
    'who has no channel opens it, and nobody is told');
select is((pg_temp.observe('short', 'solvency_mismatch', array['a'])::jsonb - 'alert_id'),
    '{"event": null, "deliveries": 1}',
    'a channel that was not told is told by the next observer');
select is(pg_temp.message() ->> 'event', 'opened', 'that it has begun');
select is(pg_temp.observe('short', 'solvency_mismatch', array['a']) ->> 'deliveries', '0', 'once');
select is(pg_temp.observe('short', 'solvency_mismatch', array['a', 'new']) ->> 'deliveries', '1', 'a new channel too');
select is(pg_temp.observe('shorter', 'solvency_mismatch', '{}') ->> 'event', 'changed',
    'it changes and nobody is told');
select is(pg_temp.observe('shorter', 'solvency_mismatch', array['a']) ->> 'deliveries', '1',
    'who was told of another state is told of this one');
select is(pg_temp.observe('unread', 'solvency_unreadable', '{}') ->> 'event', 'opened', 'of one that nobody heard of');
select is((pg_temp.observe(null, 'solvency_unreadable', array['a'])::jsonb - 'alert_id'),
    '{"event": "resolved", "deliveries": 0}', 'nobody hears that it is over');
select is(pg_temp.observe('x', 'run_halted', array['a', 'a']) ->> 'deliveries', '1',
    'a channel that is named twice hears it once');

-- The watchdog.
select is(tick_watchdog() ->> 'covered_at', null, 'no run has covered the ledger yet');
select is((tick_watchdog() ->> 'first_tick_at')::timestamptz, (select first_tick_at from reconciliation_watchdog),
    'since when it watches is kept');
select ok((tick_watchdog() ->> 'tick_at')::timestamptz > (select first_tick_at from reconciliation_watchdog),
    'and when it did last');

-- Misuse.
select throws_ok(format('select observe_alert(%s)', v.arguments), 'BR001', null, v.about)
from (values
    ('null, null', 'no kind'),
    ('''other'', null', 'an unknown kind'),
    ('''audit_broken'', ''[]''', 'an alert that is no object'),
    ('''audit_broken'', ''{}''', 'an empty alert'),
    (format('''audit_broken'', %L', pg_temp.alert('bad', 'loud')), 'an unknown severity'),
    (format('''audit_broken'', %L', pg_temp.alert('')), 'no state'),
    (format('''audit_broken'', %L', pg_temp.alert(repeat('x', 501))), 'a state that is too long'),
    (format('''audit_broken'', %L, null, null', pg_temp.alert('bad')), 'null channels'),
    (format('''audit_broken'', %L, null, array[null]', pg_temp.alert('bad')), 'a channel without a name'),
    (format('''audit_broken'', %L, null, array['''']', pg_temp.alert('bad')), 'a channel with an empty name')
) as v (arguments, about);
select throws_ok('select list_alerts(p_limit => 0)', 'BR001', null, 'a page of nothing');

select * from finish();
rollback;
