-- Who may do what: browsers (anon, authenticated) nothing, service_role the procedures, and nobody rewrites history.
begin;
select plan(346);

-- Functions. One row each, so that a new one has to be decided on here.
select functions_are('public', array[
    'list_user_balances', 'get_user_balances', 'get_user_states', 'count_user_balances',
    'reconcile_user_balance', 'reconcile_user_balances', 'apply_balance_event',
    'hold_user', 'release_user', 'list_holds', 'list_user_holds', 'rollback_user_balances',
    'rollback_reconciliation_run',
    'start_reconciliation_run', 'decide_reconciliation_run', 'approve_reconciliation_run', 'end_reconciliation_run',
    'get_reconciliation_run', 'active_reconciliation_run', 'covering_reconciliation_run', 'list_reconciliation_runs',
    'add_reconciliation_chunk', 'plan_reconciliation_chunks', 'lease_reconciliation_chunks',
    'release_reconciliation_chunk', 'requeue_reconciliation_chunks', 'close_reconciliation_scan',
    'list_reconciliation_candidates', 'close_reconciliation_correction', 'fail_reconciliation_chunk',
    'list_reconciliation_results', 'count_reconciliation_results', 'reserve_script_slots',
    'begin_request', 'finish_request', 'abandon_request', 'take_request_slot',
    'begin_webhook', 'finish_webhook', 'abandon_webhook',
    'verify_audit_chains', 'verify_audit_heads', 'verify_audit_adoption', 'get_audit_round', 'keep_audit_round',
    'ledger_totals', 'record_solvency_check', 'list_solvency_checks',
    'observe_alert', 'list_alerts', 'lease_alert_deliveries', 'finish_alert_delivery', 'list_alert_deliveries',
    'list_unannounced_runs', 'announce_reconciliation_run', 'tick_watchdog',
    'list_user_audit', 'list_audit', 'audit_totals', 'list_period_runs', 'count_rolled_back',
    'find_reconciliation_results',
    'lease_unstored_report', 'finish_stored_report', 'fail_stored_report', 'get_stored_report'
], 'every published function is named in this test');

select function_privs_are('public', f.name, f.args, r.role,
    case r.role when 'service_role' then array['EXECUTE'] else '{}' end,
    format('%s: %s', r.role, f.name))
from (values
    ('list_user_balances', array['text', 'integer', 'text']),
    ('get_user_balances', array['text[]']),
    ('get_user_states', array['text[]']),
    ('count_user_balances', array[]::text[]),
    ('reconcile_user_balance', array['text', 'numeric', 'text', 'numeric', 'bigint', 'uuid']),
    ('reconcile_user_balances', array['text[]', 'numeric[]', 'numeric[]', 'bigint', 'text', 'uuid']),
    ('apply_balance_event', array['text', 'numeric', 'bigint', 'text', 'text', 'text']),
    ('hold_user', array['text', 'text', 'text']),
    ('release_user', array['text', 'text', 'text']),
    ('list_holds', array['text', 'integer']),
    ('list_user_holds', array['text', 'integer']),
    ('rollback_user_balances', array['text[]', 'text', 'text', 'boolean']),
    ('rollback_reconciliation_run', array['uuid', 'text', 'integer', 'text', 'text', 'boolean']),
    ('start_reconciliation_run', array['uuid', 'text', 'boolean', 'text', 'json', 'boolean', 'text', 'uuid', 'bigint',
        'bigint', 'text', 'text']),
    ('decide_reconciliation_run', array['uuid', 'text', 'text', 'text']),
    ('approve_reconciliation_run', array['uuid']),
    ('end_reconciliation_run', array['uuid', 'text', 'text', 'text']),
    ('get_reconciliation_run', array['uuid']),
    ('active_reconciliation_run', array[]::text[]),
    ('covering_reconciliation_run', array[]::text[]),
    ('list_reconciliation_runs', array['uuid', 'integer']),
    ('add_reconciliation_chunk', array['uuid', 'integer', 'text[]']),
    ('plan_reconciliation_chunks', array['uuid', 'integer', 'integer']),
    ('lease_reconciliation_chunks', array['uuid', 'double precision', 'integer', 'integer', 'text', 'integer']),
    ('release_reconciliation_chunk', array['uuid', 'text', 'integer', 'uuid']),
    ('requeue_reconciliation_chunks', array['uuid', 'double precision', 'integer']),
    ('close_reconciliation_scan', array['uuid', 'integer', 'uuid', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint',
        'bigint', 'bigint', 'text[]', 'boolean[]', 'numeric[]', 'numeric[]', 'bigint[]', 'text[]', 'text[]']),
    ('list_reconciliation_candidates', array['uuid', 'integer']),
    ('close_reconciliation_correction', array['uuid', 'integer', 'uuid', 'text[]', 'text[]', 'numeric[]', 'numeric[]',
        'bigint[]', 'text[]', 'text[]', 'integer']),
    ('fail_reconciliation_chunk', array['uuid', 'text', 'integer', 'uuid', 'text', 'text', 'integer']),
    ('list_reconciliation_results', array['uuid', 'text', 'integer', 'text[]']),
    ('count_reconciliation_results', array['uuid', 'text[]']),
    ('reserve_script_slots', array['text', 'double precision', 'integer']),
    ('begin_request', array['text', 'text', 'text', 'text', 'double precision', 'double precision', 'uuid']),
    ('finish_request', array['text', 'text', 'text', 'uuid', 'integer', 'text']),
    ('abandon_request', array['text', 'text', 'text', 'uuid']),
    ('take_request_slot', array['text', 'integer']),
    ('begin_webhook', array['text', 'text', 'double precision', 'double precision', 'uuid']),
    ('finish_webhook', array['text', 'uuid', 'integer', 'text']),
    ('abandon_webhook', array['text', 'uuid']),
    ('verify_audit_chains', array['text', 'bigint', 'integer', 'text', 'timestamp with time zone', 'text']),
    ('verify_audit_heads', array['text', 'integer', 'text', 'boolean']),
    ('verify_audit_adoption', array['text', 'integer', 'text']),
    ('get_audit_round', array[]::text[]),
    ('keep_audit_round', array['bigint', 'uuid', 'json', 'boolean']),
    ('ledger_totals', array[]::text[]),
    ('record_solvency_check', array['uuid', 'text', 'text', 'boolean', 'numeric', 'bigint', 'numeric', 'bigint',
        'bigint', 'numeric', 'bigint', 'bigint', 'numeric', 'numeric', 'text', 'text']),
    ('list_solvency_checks', array['uuid', 'integer']),
    ('observe_alert', array['text', 'json', 'uuid', 'text[]']),
    ('list_alerts', array['boolean', 'uuid', 'integer']),
    ('lease_alert_deliveries', array['text[]', 'uuid', 'double precision', 'integer', 'integer']),
    ('finish_alert_delivery', array['bigint', 'uuid', 'text', 'double precision']),
    ('list_alert_deliveries', array['boolean', 'bigint', 'integer']),
    ('list_unannounced_runs', array['integer']),
    ('announce_reconciliation_run', array['uuid', 'json', 'text[]']),
    ('tick_watchdog', array[]::text[]),
    ('list_user_audit', array['text', 'text', 'integer']),
    ('list_audit', array['timestamp with time zone', 'timestamp with time zone', 'text', 'integer', 'text[]']),
    ('audit_totals', array['timestamp with time zone', 'timestamp with time zone']),
    ('list_period_runs', array['timestamp with time zone', 'timestamp with time zone', 'uuid', 'integer']),
    ('count_rolled_back', array['uuid']),
    ('find_reconciliation_results', array['uuid', 'text', 'text', 'text', 'integer', 'text[]']),
    ('lease_unstored_report', array['uuid', 'double precision']),
    ('finish_stored_report', array['uuid', 'uuid', 'text', 'text']),
    ('fail_stored_report', array['uuid', 'uuid', 'text', 'text']),
    ('get_stored_report', array['uuid'])
) as f (name, args)
cross join (values ('anon'), ('authenticated'), ('service_role'), ('authenticator')) as r (role);

-- Tables.
select table_privs_are('public', t.name, r.role, '{}', format('%s: nothing on %s', r.role, t.name))
from (values ('user_balances'), ('balance_audit_log'), ('balance_events'), ('reconciliation_holds'),
    ('reconciliation_runs'),
    ('reconciliation_chunks'), ('reconciliation_results'), ('reconciliation_script_budget'),
    ('reconciliation_requests'), ('reconciliation_request_slots'), ('reconciliation_webhooks'), ('solvency_checks'),
    ('reconciliation_alerts'), ('reconciliation_alert_deliveries'), ('reconciliation_watchdog'),
    ('reconciliation_stored_reports'), ('reconciliation_audit_round')) as t (name)
cross join (values ('anon'), ('authenticated')) as r (role);

select ok(has_table_privilege('service_role', 'public.user_balances', p.name),
    'service_role: an app may still ' || p.name)
from (values ('select'), ('insert'), ('update'), ('delete')) as p (name);
select table_privs_are('public', 'balance_audit_log', 'service_role', array['SELECT', 'INSERT'],
    'service_role: reads and adds audit rows, no more');
select table_privs_are('public', 'balance_events', 'service_role', array['SELECT'],
    'service_role: reads events, no more');
select table_privs_are('public', t.name, 'service_role', array['SELECT'],
    format('service_role: reads %s, no more', t.name))
from (values ('reconciliation_holds'), ('reconciliation_runs'), ('reconciliation_chunks'), ('reconciliation_results'),
    ('reconciliation_script_budget'), ('reconciliation_requests'), ('reconciliation_request_slots'),
    ('reconciliation_webhooks'), ('solvency_checks'),
    ('reconciliation_alerts'), ('reconciliation_alert_deliveries'), ('reconciliation_watchdog'),
    ('reconciliation_stored_reports'), ('reconciliation_audit_round')) as t (name);

-- The private schema.
select schema_privs_are('reconciliation', r.role, '{}', format('%s: nothing in schema reconciliation', r.role))
from (values ('anon'), ('authenticated'), ('service_role'), ('authenticator')) as r (role);

-- And in practice.
insert into user_balances (user_address, balance) values ('0x0000000000000001', 5);

set local role anon;
select throws_ok('select * from public.user_balances', '42501', null, 'anon cannot read the ledger');
select throws_ok('select public.reconcile_user_balance(''0x0000000000000001'', 1)', '42501', null,
    'anon cannot reconcile');
select throws_ok('select public.list_user_balances()', '42501', null, 'anon cannot list');
select throws_ok('truncate public.user_balances', '42501', null, 'anon cannot truncate the ledger');
set local role authenticated;
select throws_ok('select * from public.balance_audit_log', '42501', null, 'authenticated cannot read the audit log');
select throws_ok('insert into public.balance_audit_log (
    user_address, operation_type, amount, balance_before, balance_after)
    values (''x'', ''deposit'', 1, 0, 1)', '42501', null, 'authenticated cannot forge an audit row');
select throws_ok('update public.user_balances set balance = 1000', '42501', null, 'authenticated cannot mint');
select throws_ok('select public.reconcile_user_balances(''{}'', ''{}'', ''{}'', 1)', '42501', null,
    'authenticated cannot reconcile a batch');
select throws_ok('select public.apply_balance_event(''0x0000000000000001'', 1, 1, ''e'')', '42501', null,
    'authenticated cannot apply events');
select throws_ok('select public.count_user_balances()', '42501', null, 'authenticated cannot count');
select throws_ok('select public.approve_reconciliation_run(gen_random_uuid())', '42501', null,
    'authenticated cannot approve a run');
select throws_ok('select * from public.reconciliation_results', '42501', null, 'authenticated cannot read results');
set local role service_role;
select throws_ok('select reconciliation.create_user_balance(''0x0000000000000002'')', '42501', null,
    'service_role cannot reach the private helpers');
select throws_ok('insert into public.balance_events values (''0x0000000000000001'', ''e'', 1, 1)', '42501', null,
    'service_role cannot forge an event');
select throws_ok('update public.balance_audit_log set amount = 0', '42501', null, 'service_role cannot edit history');
select throws_ok('delete from public.balance_audit_log', '42501', null, 'service_role cannot remove history');
select throws_ok('truncate public.balance_audit_log', '42501', null, 'service_role cannot empty the audit log');
select throws_ok('update public.reconciliation_runs set state = ''correcting''', '42501', null,
    'service_role cannot push a run past its review');
select throws_ok('delete from public.reconciliation_holds', '42501', null,
    'service_role cannot release a user but by the procedure');
select throws_ok('delete from public.reconciliation_results', '42501', null, 'service_role cannot remove results');
select throws_ok('delete from public.solvency_checks', '42501', null, 'service_role cannot remove checks');
select is(public.count_user_balances(), 1::bigint, 'service_role may read');
select is(public.reconcile_user_balance('0x0000000000000001', 1) ->> 'success', 'true', 'service_role may reconcile');

select * from finish();
rollback;
