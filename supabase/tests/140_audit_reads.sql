-- Reading the audit log by user and by period, and what a period adds up to.
begin;
select plan(26);

select volatility_is('public', f.name, 'stable', f.name || ' runs read-only in PostgREST')
from (values ('list_user_audit'), ('list_audit'), ('audit_totals'), ('list_period_runs'),
    ('count_rolled_back'), ('find_reconciliation_results'), ('get_stored_report')) as f (name);
-- Rows as an app and the procedures write them, chained by the trigger.
insert into balance_audit_log (user_address, operation_type, amount, balance_before, balance_after, created_at)
select '0x000000000000000' || n % 2, case when n < 5 then 'deposit' else 'reconciliation' end,
    case when n = 3 then -n else n end, 0, case when n = 3 then -n else n end,
    '2026-11-01 00:00:00+00'::timestamptz + make_interval(hours => n)
from generate_series(1, 6) as n;

set local role service_role;

select is((select array_agg(key) from json_object_keys(list_user_audit('0x0000000000000000')) as key), array[
    'audit_ids', 'user_addresses', 'operation_types', 'amounts', 'balances_before', 'balances_after',
    'transaction_hashes', 'created_ats', 'run_ids', 'block_heights', 'chain_nos', 'reasons', 'reverses_audit_ids'
], 'a page has these arrays');
select is(list_user_audit('0x0000000000000000') ->> 'amounts', '["6.00000000", "4.00000000", "2.00000000"]',
    'a user''s rows are the newest first, as text with 8 places');
select is(list_user_audit('0x0000000000000000') ->> 'chain_nos', '[3, 2, 1]', 'with their places in the chain');
select is(list_user_audit('0x0000000000000000', list_user_audit('0x0000000000000000', null, 1) -> 'audit_ids' ->> 0)
    ->> 'amounts', '["4.00000000", "2.00000000"]', 'the next page goes on after that row');
select is(list_user_audit('0x00000000000000ff') ->> 'audit_ids', '[]', 'nobody has no rows');
select is(list_user_audit('0x0000000000000000') -> 'created_ats' ->> 0, '2026-11-01T06:00:00+00:00', 'times are UTC');

select is(list_audit('2026-11-01 02:00+00', '2026-11-01 05:00+00') ->> 'amounts',
    '["2.00000000", "-3.00000000", "4.00000000"]', 'a period has its beginning and not its end');
select is(list_audit('2026-11-01', '2026-11-02', p_operation_types => array['reconciliation']) ->> 'amounts',
    '["5.00000000", "6.00000000"]', 'only these operations');
select is(list_audit('2026-11-01', '2026-11-02', list_audit('2026-11-01', '2026-11-02', null, 2) -> 'audit_ids' ->> 1,
    2) ->> 'amounts', '["-3.00000000", "4.00000000"]', 'the next page goes on after that row');

select is(audit_totals('2026-11-01', '2026-11-02')::jsonb,
    '{"operation_types": ["deposit", "reconciliation"], "counts": [4, 2], "increases": ["7.00000000", "11.00000000"],
      "decreases": ["-3.00000000", "0.00000000"], "unsummed": [0, 0]}', 'a period adds up');
select is(audit_totals('2027-11-01', '2027-11-02') ->> 'counts', '[]', 'nothing adds up to nothing');

select throws_ok(v.call, 'BR001', null, v.about)
from (values
    ('select list_user_audit(null)', 'no user'),
    ('select list_user_audit(''x'', null, 10001)', 'a page of too many'),
    ('select list_user_audit(''0x0000000000000001'', list_user_audit(''0x0000000000000000'') -> ''audit_ids'' ->> 0)',
        'another user''s row before'),
    ('select list_audit(''2026-11-01'', ''2026-11-01'')', 'a period of no time'),
    ('select list_audit(''2026-11-01'', ''2026-11-02'', ''x; select'')', 'an id that cannot be one'),
    ('select audit_totals(null, ''2026-11-02'')', 'no beginning')
) as v (call, about);
select throws_ok('select count(*) from reconciliation.require_audit_row(''x'', ''1'')', '42501', null,
    'the helpers are nobody''s');

-- A period is read by its index.
reset role;
insert into balance_audit_log (user_address, operation_type, amount, balance_before, balance_after, created_at)
select '0x0000000000000009', 'deposit', 0, 0, 0, '2026-01-01'::timestamptz + make_interval(mins => n)
from generate_series(1, 5000) as n;
analyze balance_audit_log;
create function pg_temp.plan_of(p_query text) returns text language plpgsql as $$
declare
    v_line text;
    v_plan text := '';
begin
    for v_line in execute 'explain ' || p_query loop
        v_plan := v_plan || v_line;
    end loop;
    return v_plan;
end;
$$;
select matches(pg_temp.plan_of('select * from balance_audit_log a where a.created_at >= ''2026-01-02''
    and a.created_at < ''2026-01-03'' and (a.created_at, a.id) > (''2026-01-02 12:00'', 7)
    order by a.created_at, a.id limit 10'), 'balance_audit_log_period_idx', 'by the index on the time');

select * from finish();
rollback;
