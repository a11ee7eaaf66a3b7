-- What reports and pages read: the audit log by user and by period, the runs of a period, how much of a run was rolled
-- back, and a run's results searched and ordered. STABLE, so PostgREST runs them in read-only transactions. Everything comes in pages, by key.
--
-- Times of an app's own `created_at timestamp` (without time zone) are taken for UTC.

-- A period of the audit log, in order. On created_at alone: the rows of one batch share a moment, which a B-tree keeps
-- once, so it costs 7 bytes a row of a batch of 10,000 and 23 a row of its own moment; its share of a correction's time
-- was below what could be measured.
create index if not exists balance_audit_log_period_idx on public.balance_audit_log (created_at);


-- What these procedures say the same way --------------------------------------------------------------------------

-- An amount as decimal text with 8 places; null when it is none that can be written so (NaN, or finer than 1e-8), which
-- only an app's own row can hold.
create or replace function reconciliation.exact_amount_text(p_amount numeric)
returns text
language sql
immutable
as $$
    select case when reconciliation.is_exact_amount(p_amount) then reconciliation.amount_text(p_amount) end;
$$;

-- Audit rows as parallel arrays, in the order given.
create or replace function reconciliation.audit_rows_json(p_rows public.balance_audit_log[])
returns json
language sql
stable
set search_path = ''
set timezone = 'UTC'
as $$
    select json_build_object(
        'audit_ids', coalesce(json_agg(a.id::text order by a.ordinality), '[]'),
        'user_addresses', coalesce(json_agg(a.user_address order by a.ordinality), '[]'),
        'operation_types', coalesce(json_agg(a.operation_type order by a.ordinality), '[]'),
        'amounts', coalesce(json_agg(reconciliation.exact_amount_text(a.amount) order by a.ordinality), '[]'),
        'balances_before',
            coalesce(json_agg(reconciliation.exact_amount_text(a.balance_before) order by a.ordinality), '[]'),
        'balances_after',
            coalesce(json_agg(reconciliation.exact_amount_text(a.balance_after) order by a.ordinality), '[]'),
        'transaction_hashes', coalesce(json_agg(a.transaction_hash order by a.ordinality), '[]'),
        'created_ats', coalesce(json_agg(a.created_at::timestamptz order by a.ordinality), '[]'),
        'run_ids', coalesce(json_agg(a.run_id order by a.ordinality), '[]'),
        'block_heights', coalesce(json_agg(a.block_height order by a.ordinality), '[]'),
        'chain_nos', coalesce(json_agg(a.chain_no order by a.ordinality), '[]'),
        'reasons', coalesce(json_agg(a.reason order by a.ordinality), '[]'),
        'reverses_audit_ids', coalesce(json_agg(a.reverses_audit_id order by a.ordinality), '[]')
    )
    from unnest(p_rows) with ordinality a;
$$;

-- The audit row of this id, of one user if p_user_address is given. BR001 if there is none: the ids of an app's own
-- table may be of any type, so what is none of that type is not there either. The parameter is cast, never the column,
-- which has the index.
create or replace function reconciliation.require_audit_row(
    p_name text,
    p_audit_id text,
    p_user_address text default null
)
returns public.balance_audit_log
language plpgsql
stable
set search_path = ''
as $$
declare
    v_row public.balance_audit_log;
begin
    begin
        execute format(
            'select a.* from public.balance_audit_log a where a.id = $1::%s',
            (select pg_catalog.format_type(t.atttypid, t.atttypmod)
             from pg_catalog.pg_attribute t
             where t.attrelid = 'public.balance_audit_log'::regclass and t.attname = 'id')
        ) into v_row using p_audit_id;
    exception
        when data_exception then
            v_row := null;
    end;
    if v_row.id is null or v_row.user_address <> p_user_address then
        raise exception '% is no audit row here', p_name using errcode = 'BR001', hint =
            'Pass the audit id of the last row of the page before, or null to begin.';
    end if;
    return v_row;
end;
$$;

-- Refuses a period whose end is not after its beginning.
create or replace function reconciliation.require_period(p_since timestamptz, p_until timestamptz)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
    perform reconciliation.require_value('p_since', p_since);
    perform reconciliation.require_value('p_until', p_until);
    if p_until <= p_since then
        raise exception 'p_until is not after p_since' using errcode = 'BR001', hint =
            'A period is p_since <= time < p_until.';
    end if;
end;
$$;


-- The audit log ---------------------------------------------------------------------------------------------------

-- list_user_audit: one page of a user's audit rows, the newest first: in the order of their chain, then those that were
-- there before the chains, by time and id.
--   p_user_address  the key exactly as stored
--   p_before        the audit id of the last row of the page before; null starts with the newest
--   p_limit         rows at most, 1 to 10,000, else BR001
-- Returns {audit_ids, user_addresses, operation_types, amounts, balances_before, balances_after, transaction_hashes,
-- created_ats, run_ids, block_heights, chain_nos, reasons, reverses_audit_ids}, parallel arrays; amounts are decimal
-- text with 8 places. A page that holds fewer than p_limit is the last. Raises BR001.
-- Example: select list_user_audit('0x01cf0e2f2f715450', p_limit => 20);
create or replace function public.list_user_audit(
    p_user_address text,
    p_before text default null,
    p_limit integer default 50
)
returns json
language plpgsql
stable
security definer
set search_path = ''
set timezone = 'UTC'
set plan_cache_mode = 'force_custom_plan'
as $$
declare
    v_before public.balance_audit_log;
begin
    perform reconciliation.require_value('p_user_address', p_user_address);
    perform reconciliation.require_between('p_limit', p_limit, 1, 10000);
    if p_before is not null then
        v_before := reconciliation.require_audit_row('p_before', p_before, p_user_address);
    end if;

    return reconciliation.audit_rows_json(array(
        select page.row
        from (
            (
                select a as row, a.chain_no as place, null::timestamptz as made_at
                from public.balance_audit_log a
                where a.user_address = p_user_address and a.chain_no is not null
                    and (p_before is null or a.chain_no < v_before.chain_no)
                order by a.chain_no desc nulls last
                limit p_limit
            )
            union all
            (
                select a, null, coalesce(a.created_at, '-infinity')
                from public.balance_audit_log a
                where a.user_address = p_user_address and a.chain_no is null
                    and (
                        p_before is null or v_before.chain_no is not null
                        or (coalesce(a.created_at, '-infinity'), a.id)
                            < (coalesce(v_before.created_at, '-infinity'), v_before.id)
                    )
                order by coalesce(a.created_at, '-infinity') desc, a.id desc
                limit p_limit
            )
        ) page
        order by page.place desc nulls last, page.made_at desc, (page.row).id desc
        limit p_limit
    ));
end;
$$;

revoke execute on function public.list_user_audit(text, text, integer) from public, anon, authenticated;
grant execute on function public.list_user_audit(text, text, integer) to service_role;


-- list_audit: one page of the audit rows of a period, the oldest first, by time and id.
--   p_since, p_until   p_since <= created_at < p_until; a row without a time is in no period
--   p_after            the audit id of the last row of the page before; null starts from the beginning
--   p_limit            rows at most, 1 to 10,000, else BR001
--   p_operation_types  only these, such as {reconciliation}; null: all
-- Returns what list_user_audit returns. Raises BR001.
-- Example: select list_audit('2026-11-01', '2026-12-01', p_limit => 1000);
create or replace function public.list_audit(
    p_since timestamptz,
    p_until timestamptz,
    p_after text default null,
    p_limit integer default 1000,
    p_operation_types text[] default null
)
returns json
language plpgsql
stable
security definer
set search_path = ''
set timezone = 'UTC'
set plan_cache_mode = 'force_custom_plan'
as $$
declare
    v_after public.balance_audit_log;
begin
    perform reconciliation.require_period(p_since, p_until);
    perform reconciliation.require_between('p_limit', p_limit, 1, 10000);
    if p_after is not null then
        v_after := reconciliation.require_audit_row('p_after', p_after);
    end if;

    return reconciliation.audit_rows_json(array(
        select a
        from public.balance_audit_log a
        where a.created_at >= greatest(p_since, v_after.created_at) and a.created_at < p_until
            and (p_after is null or (a.created_at, a.id) > (v_after.created_at, v_after.id))
            and (p_operation_types is null or a.operation_type = any (p_operation_types))
        order by a.created_at, a.id
        limit p_limit
    ));
end;
$$;

revoke execute on function public.list_audit(timestamptz, timestamptz, text, integer, text[])
    from public, anon, authenticated;
grant execute on function public.list_audit(timestamptz, timestamptz, text, integer, text[]) to service_role;


-- audit_totals: what the audit rows of a period add up to, for each operation; all its rows are read, and none leaves.
--   p_since, p_until  p_since <= created_at < p_until
-- Returns {operation_types, counts, increases, decreases, unsummed}, parallel arrays in the order of the names:
-- increases and decreases are the sums of the positive and of the negative amounts, decimal text with 8 places, and
-- unsummed counts the rows whose amount is none that can be written exactly. Raises BR001.
-- Example: select audit_totals('2026-11-01', '2026-12-01');
create or replace function public.audit_totals(p_since timestamptz, p_until timestamptz)
returns json
language plpgsql
stable
security definer
set search_path = ''
set timezone = 'UTC'
set plan_cache_mode = 'force_custom_plan'
as $$
begin
    perform reconciliation.require_period(p_since, p_until);

    return (
        select json_build_object(
            'operation_types', coalesce(json_agg(t.operation_type order by t.operation_type), '[]'),
            'counts', coalesce(json_agg(t.rows order by t.operation_type), '[]'),
            -- Not amount_text: a sum need not fit numeric(20,8).
            'increases', coalesce(json_agg(round(t.increase, 8)::text order by t.operation_type), '[]'),
            'decreases', coalesce(json_agg(round(t.decrease, 8)::text order by t.operation_type), '[]'),
            'unsummed', coalesce(json_agg(t.unsummed order by t.operation_type), '[]')
        )
        from (
            select
                a.operation_type collate "C" as operation_type,
                count(*) as rows,
                coalesce(sum(a.amount) filter (where a.amount > 0 and exact.ok), 0) as increase,
                coalesce(sum(a.amount) filter (where a.amount < 0 and exact.ok), 0) as decrease,
                count(*) filter (where not exact.ok) as unsummed
            from public.balance_audit_log a
            cross join lateral (select reconciliation.is_exact_amount(a.amount)) exact (ok)
            where a.created_at >= p_since and a.created_at < p_until
            group by a.operation_type collate "C"
        ) t
    );
end;
$$;

revoke execute on function public.audit_totals(timestamptz, timestamptz) from public, anon, authenticated;
grant execute on function public.audit_totals(timestamptz, timestamptz) to service_role;


-- Runs and their results ------------------------------------------------------------------------------------------

-- list_period_runs: one page of the runs that started in a period, the oldest first.
--   p_since, p_until  p_since <= started_at < p_until
--   p_after           the last run of the page before; null starts from the beginning
--   p_limit           runs at most, 1 to 1,000, else BR001
-- Returns an array of runs. Refuses with run_not_found when there is no run p_after.
-- Example: select list_period_runs('2026-11-01', '2026-12-01');
create or replace function public.list_period_runs(
    p_since timestamptz,
    p_until timestamptz,
    p_after uuid default null,
    p_limit integer default 100
)
returns json
language plpgsql
stable
security definer
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
as $$
declare
    v_after public.reconciliation_runs;
begin
    perform reconciliation.require_period(p_since, p_until);
    perform reconciliation.require_between('p_limit', p_limit, 1, 1000);
    if p_after is not null then
        select r.* into v_after from public.reconciliation_runs r where r.run_id = p_after;
        if not found then
            return reconciliation.run_refused('run_not_found');
        end if;
    end if;

    return (
        select coalesce(json_agg(reconciliation.run_json(page.run_id) order by page.started_at, page.run_id), '[]')
        from (
            select r.run_id, r.started_at
            from public.reconciliation_runs r
            where r.started_at >= greatest(p_since, v_after.started_at) and r.started_at < p_until
                and (p_after is null or (r.started_at, r.run_id) > (v_after.started_at, v_after.run_id))
            order by r.started_at, r.run_id
            limit p_limit
        ) page
    );
end;
$$;

revoke execute on function public.list_period_runs(timestamptz, timestamptz, uuid, integer)
    from public, anon, authenticated;
grant execute on function public.list_period_runs(timestamptz, timestamptz, uuid, integer) to service_role;


-- count_rolled_back: how many of a run's corrections were rolled back since; null if there is no such run.
-- Example: select count_rolled_back('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11');
create or replace function public.count_rolled_back(p_run_id uuid)
returns bigint
language sql
stable
security definer
set search_path = ''
as $$
    select (
        select count(*)
        from public.balance_audit_log correction
        join public.balance_audit_log rollback on rollback.reverses_audit_id = correction.id::text
        where correction.run_id = p_run_id
    )
    from public.reconciliation_runs r
    where r.run_id = p_run_id;
$$;

revoke execute on function public.count_rolled_back(uuid) from public, anon, authenticated;
grant execute on function public.count_rolled_back(uuid) to service_role;


-- The discrepancy that a result is ordered by, without its sign; -1 when it is not known, which is the last.
create or replace function reconciliation.discrepancy_size(p_result public.reconciliation_results)
returns numeric
language sql
immutable
as $$
    select coalesce(abs(p_result.contract_balance - p_result.ledger_balance), -1);
$$;

-- find_reconciliation_results: one page of a run's results, searched and ordered.
--   p_run_id    the run
--   p_search    a part of the address, in any case, up to 200 characters; null: everybody
--   p_order     address, or discrepancy: the largest without its sign first, those that are not known last
--   p_after     the address of the last result of the page before; null starts from the beginning
--   p_limit     results at most, 1 to 10,000, else BR001
--   p_outcomes  only these; null: all
-- Returns what list_reconciliation_results returns. By discrepancy, or searched, every page looks at all results of the
-- run (100,000 in 0.2 s); and as balances are read again while a run corrects, a page of an active run may then repeat
-- a user or leave one out. Refuses with run_not_found. Raises BR001.
-- Example: select find_reconciliation_results('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', '0x01cf', 'discrepancy');
create or replace function public.find_reconciliation_results(
    p_run_id uuid,
    p_search text default null,
    p_order text default 'address',
    p_after text default null,
    p_limit integer default 100,
    p_outcomes text[] default null
)
returns json
language plpgsql
stable
security definer
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
as $$
declare
    v_after public.reconciliation_results;
    v_by_size boolean := p_order = 'discrepancy';
begin
    perform reconciliation.require_between('p_limit', p_limit, 1, 10000);
    perform reconciliation.require_outcomes(p_outcomes);
    if p_order is null or p_order not in ('address', 'discrepancy') then
        raise exception 'p_order is %', coalesce(p_order, 'null')
            using errcode = 'BR001', hint = 'Pass address or discrepancy.';
    end if;
    if length(p_search) > 200 then
        raise exception 'p_search is longer than 200 characters'
            using errcode = 'BR001', hint = 'Pass a part of an address.';
    end if;
    if not exists (select from public.reconciliation_runs r where r.run_id = p_run_id) then
        return reconciliation.run_refused('run_not_found');
    end if;
    if v_by_size and p_after is not null then
        select r.* into v_after
        from public.reconciliation_results r
        where r.run_id = p_run_id and r.user_address = p_after;
        if not found then
            raise exception 'p_after is no result of this run' using errcode = 'BR001', hint =
                'Pass the address of the last result of the page before, or null to begin.';
        end if;
    end if;

    return (
        select json_build_object(
            'user_addresses', coalesce(json_agg(page.user_address), '[]'),
            'outcomes', coalesce(json_agg(page.outcome), '[]'),
            'row_exists', coalesce(json_agg(page.row_exists), '[]'),
            'ledger_balances', coalesce(json_agg(page.ledger_balance::text), '[]'),
            'contract_balances', coalesce(json_agg(page.contract_balance::text), '[]'),
            'scan_heights', coalesce(json_agg(page.scan_height), '[]'),
            'decided_heights', coalesce(json_agg(page.decided_height), '[]'),
            'audit_ids', coalesce(json_agg(page.audit_id), '[]'),
            'error_codes', coalesce(json_agg(page.error_code), '[]'),
            'errors', coalesce(json_agg(page.error), '[]'),
            'decided_ats', coalesce(json_agg(page.decided_at), '[]')
        )
        from (
            select r.*
            from public.reconciliation_results r
            where r.run_id = p_run_id
                and (p_outcomes is null or r.outcome = any (p_outcomes))
                and (p_search is null or position(lower(p_search) in lower(r.user_address)) > 0)
                and (
                    p_after is null
                    or (not v_by_size and r.user_address > p_after)
                    or (v_by_size and reconciliation.discrepancy_size(r) < reconciliation.discrepancy_size(v_after))
                    or (v_by_size and reconciliation.discrepancy_size(r) = reconciliation.discrepancy_size(v_after)
                        and r.user_address > p_after)
                )
            order by case when v_by_size then reconciliation.discrepancy_size(r) end desc, r.user_address
            limit p_limit
        ) page
    );
end;
$$;

revoke execute on function public.find_reconciliation_results(uuid, text, text, text, integer, text[])
    from public, anon, authenticated;
grant execute on function public.find_reconciliation_results(uuid, text, text, text, integer, text[]) to service_role;
