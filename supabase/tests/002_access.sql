-- Who may do what: browsers (anon, authenticated) nothing, service_role the procedures, and nobody rewrites history.
begin;
select plan(58);

-- Functions. One row each, so that a new one has to be decided on here.
select functions_are('public', array[
    'list_user_balances', 'get_user_balances', 'count_user_balances',
    'reconcile_user_balance', 'reconcile_user_balances', 'apply_balance_event'
], 'every published function is named in this test');

select function_privs_are('public', f.name, f.args, r.role,
    case r.role when 'service_role' then array['EXECUTE'] else '{}' end,
    format('%s: %s', r.role, f.name))
from (values
    ('list_user_balances', array['text', 'integer']),
    ('get_user_balances', array['text[]']),
    ('count_user_balances', array[]::text[]),
    ('reconcile_user_balance', array['text', 'numeric', 'text', 'numeric', 'bigint', 'uuid']),
    ('reconcile_user_balances', array['text[]', 'numeric[]', 'numeric[]', 'bigint', 'text', 'uuid']),
    ('apply_balance_event', array['text', 'numeric', 'bigint', 'text', 'text', 'text'])
) as f (name, args)
cross join (values ('anon'), ('authenticated'), ('service_role'), ('authenticator')) as r (role);

-- Tables.
select table_privs_are('public', t.name, r.role, '{}', format('%s: nothing on %s', r.role, t.name))
from (values ('user_balances'), ('balance_audit_log'), ('balance_events')) as t (name)
cross join (values ('anon'), ('authenticated')) as r (role);

select ok(has_table_privilege('service_role', 'public.user_balances', p.name),
    'service_role: an app may still ' || p.name)
from (values ('select'), ('insert'), ('update'), ('delete')) as p (name);
select table_privs_are('public', 'balance_audit_log', 'service_role', array['SELECT', 'INSERT'],
    'service_role: reads and adds audit rows, no more');
select table_privs_are('public', 'balance_events', 'service_role', array['SELECT'],
    'service_role: reads events, no more');

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
set local role service_role;
select throws_ok('select reconciliation.create_user_balance(''0x0000000000000002'')', '42501', null,
    'service_role cannot reach the private helpers');
select throws_ok('insert into public.balance_events values (''0x0000000000000001'', ''e'', 1, 1)', '42501', null,
    'service_role cannot forge an event');
select throws_ok('update public.balance_audit_log set amount = 0', '42501', null, 'service_role cannot edit history');
select throws_ok('delete from public.balance_audit_log', '42501', null, 'service_role cannot remove history');
select throws_ok('truncate public.balance_audit_log', '42501', null, 'service_role cannot empty the audit log');
select is(public.count_user_balances(), 1::bigint, 'service_role may read');
select is(public.reconcile_user_balance('0x0000000000000001', 1) ->> 'success', 'true', 'service_role may reconcile');

select * from finish();
rollback;
