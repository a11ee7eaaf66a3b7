-- The tables the migrations make on an empty database: what is published, and what keeps it safe.
begin;
select plan(72);

select columns_are('public', 'user_balances', array[
    'user_address', 'balance', 'created_at', 'updated_at', 'reconciled_height', 'reconciled_at', 'event_height',
    'audit_chain_no', 'audit_hash']);
select col_is_pk('public', 'user_balances', 'user_address', 'user_address is the key of the ledger');
select col_type_is('public', 'user_balances', 'balance', 'numeric(20,8)', 'a balance is exact');
select col_not_null('public', 'user_balances', 'balance', 'a balance is never null');
select col_default_is('public', 'user_balances', 'balance', '0', 'a balance starts at 0');
select col_type_is('public', 'user_balances', 'reconciled_height', 'bigint', 'reconciled_height is a block height');
select col_type_is('public', 'user_balances', 'event_height', 'bigint', 'event_height is a block height');

select columns_are('public', 'balance_audit_log', array[
    'id', 'user_address', 'operation_type', 'amount', 'balance_before', 'balance_after', 'transaction_hash',
    'created_at', 'run_id', 'block_height', 'reason', 'reverses_audit_id', 'chain_no', 'previous_hash', 'row_hash']);
select col_is_pk('public', 'balance_audit_log', 'id', 'an audit row has an id');
select col_type_is('public', 'balance_audit_log', 'amount', 'numeric(20,8)', 'an audited amount is exact');
select col_type_is('public', 'balance_audit_log', 'balance_before', 'numeric(20,8)', 'balance_before is exact');
select col_type_is('public', 'balance_audit_log', 'balance_after', 'numeric(20,8)', 'balance_after is exact');
select col_not_null('public', 'balance_audit_log', 'user_address', 'an audit row names its user');
select col_not_null('public', 'balance_audit_log', 'operation_type', 'an audit row names its operation');
select col_not_null('public', 'balance_audit_log', 'created_at', 'an audit row has a time');
select col_is_null('public', 'balance_audit_log', 'run_id', 'an audit row need not belong to a run');
select has_index('public', 'balance_audit_log', 'balance_audit_log_chain_key', array['user_address', 'chain_no'],
    'a user''s history has an index');
select index_is_unique('public', 'balance_audit_log', 'balance_audit_log_chain_key',
    'a place in a chain is taken once');
select has_index('public', 'balance_audit_log', 'balance_audit_log_period_idx', array['created_at'],
    'a period of the audit log has an index');
select index_is_unique('public', 'balance_audit_log', 'balance_audit_log_run_user_key', 'a run corrects a user once');
select has_trigger('public', 'balance_audit_log', 'balance_audit_log_append_only', 'the audit log is append-only');
select has_trigger('public', 'user_balances', 'zz_reconciliation_heads', 'an emptied ledger leaves its heads');

select columns_are('public', 'balance_events', array[
    'user_address', 'event_id', 'delta', 'block_height', 'audit_id', 'received_at']);
select col_is_pk('public', 'balance_events', array['user_address', 'event_id'], 'an event counts once a user');
select col_type_is('public', 'balance_events', 'delta', 'numeric(20,8)', 'a delta is exact');

select col_is_pk('public', 'reconciliation_runs', 'run_id', 'a run has an id');
select index_is_unique('public', 'reconciliation_runs', 'reconciliation_runs_one_active_key',
    'one run that writes at a time');
select col_is_pk('public', 'reconciliation_chunks', array['run_id', 'phase', 'chunk_no'],
    'a chunk is known by run, phase and number');
select col_is_fk('public', 'reconciliation_chunks', 'run_id', 'a chunk is some run''s');
select col_is_pk('public', 'reconciliation_results', array['run_id', 'user_address'], 'a user has one result a run');
select col_type_is('public', 'reconciliation_results', 'contract_balance', 'numeric(20,8)',
    'a contract balance is exact');
select col_type_is('public', 'reconciliation_results', 'ledger_balance', 'numeric(38,8)',
    'a ledger balance is exact, also one that is too large for ours');
select col_type_is('public', 'reconciliation_chunks', 'surplus', 'numeric', 'a sum is exact');
select col_is_pk('public', 'reconciliation_script_budget', 'name', 'a budget has a name');
select col_is_pk('public', 'reconciliation_requests', array['function', 'actor', 'key'],
    'a key is one function''s and one actor''s');
select col_is_pk('public', 'reconciliation_request_slots', 'actor', 'an actor has one row');
select col_is_pk('public', 'reconciliation_webhooks', 'message_id', 'a message has one row');
select col_is_pk('public', 'solvency_checks', 'check_id', 'a check has an id');
select col_type_is('public', 'solvency_checks', 'ledger_total', 'numeric', 'the sum of a ledger is exact, of any size');
select col_is_pk('public', 'reconciliation_alerts', 'alert_id', 'an alert has an id');
select index_is_unique('public', 'reconciliation_alerts', 'reconciliation_alerts_one_open_key',
    'one open alert a kind');
select col_is_pk('public', 'reconciliation_alert_deliveries', 'delivery_id', 'a message to a channel has an id');
select col_is_pk('public', 'reconciliation_stored_reports', 'run_id', 'a run''s report is stored once');
select col_is_pk('public', 'reconciliation_holds', 'hold_id', 'a hold has one row, and stays after its release');
select throws_ok(format($$insert into reconciliation_runs (
    run_id, kind, state, dry_run, needs_approval, admin_address, policy)
    values (gen_random_uuid(), %L, %L, true, false, 'ADMIN', '{}')$$, v.kind, v.state), '23514', null, v.about)
from (values ('partial', 'planning', 'no other kind of run'), ('full', 'paused', 'no other state of a run'))
    as v (kind, state, about);
insert into reconciliation_runs (run_id, kind, state, dry_run, needs_approval, admin_address, policy)
values ('00000000-0000-0000-0000-000000000001', 'full', 'scanning', true, false, 'ADMIN', '{}');
select throws_ok(format($$insert into reconciliation_chunks (run_id, phase, chunk_no, users, state)
    values ('00000000-0000-0000-0000-000000000001', %L, 0, 1, %L)$$, v.phase, v.state), '23514', null, v.about)
from (values ('review', 'pending', 'no other phase'), ('scan', 'lost', 'no other state of a chunk'))
    as v (phase, state, about);
select throws_ok($$insert into reconciliation_results (run_id, user_address, outcome, decided_at)
    values ('00000000-0000-0000-0000-000000000001', '0x0000000000000001', 'in_sync', now())$$, '23514', null,
    'nobody in sync has a result');

select is(
    array(select relname::text from pg_class
          where relnamespace = 'public'::regnamespace and relkind = 'r' and not relrowsecurity),
    '{}', 'row level security is on for every table');
select policies_are('public', 'user_balances', '{}', 'no policy opens the ledger');
select policies_are('public', 'balance_audit_log', '{}', 'no policy opens the audit log');
select policies_are('public', 'balance_events', '{}', 'no policy opens the events');
select policies_are('public', t.name, '{}', 'no policy opens ' || t.name)
from (values ('reconciliation_runs'), ('reconciliation_chunks'), ('reconciliation_results'),
    ('reconciliation_script_budget'), ('reconciliation_requests'), ('reconciliation_request_slots'),
    ('reconciliation_webhooks'), ('solvency_checks'), ('reconciliation_alerts'), ('reconciliation_alert_deliveries'),
    ('reconciliation_watchdog'), ('reconciliation_holds'), ('reconciliation_stored_reports'),
    ('reconciliation_audit_round')) as t (name);
select tables_are('public', array['user_balances', 'balance_audit_log', 'balance_events', 'reconciliation_runs',
    'reconciliation_chunks', 'reconciliation_results', 'reconciliation_script_budget', 'reconciliation_requests',
    'reconciliation_request_slots', 'reconciliation_webhooks', 'solvency_checks', 'reconciliation_alerts',
    'reconciliation_alert_deliveries', 'reconciliation_watchdog', 'reconciliation_holds',
    'reconciliation_stored_reports', 'reconciliation_audit_round'], 'no other table is made');

select is(
    array(select p.proname::text from pg_proc p
          where p.pronamespace = 'public'::regnamespace and not p.prosecdef),
    '{}', 'every published function is security definer');
select is(
    array(select p.proname::text from pg_proc p
          where p.pronamespace = 'public'::regnamespace
              and not coalesce(p.proconfig, '{}') @> array['search_path=""']),
    '{}', 'every published function sets an empty search_path');
select is(
    array(select p.proname::text from pg_proc p
          where p.pronamespace = 'public'::regnamespace and pg_get_userbyid(p.proowner) <> 'postgres'),
    '{}', 'no function belongs to a superuser');
select lives_ok('set local role postgres; select tap.migrate(); reset role', 'the migrations may run again');

select * from finish();
rollback;
