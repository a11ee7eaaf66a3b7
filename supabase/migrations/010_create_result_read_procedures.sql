-- Reading the results of a run: everybody who was not in sync. STABLE, so PostgREST runs them
-- in read-only transactions.

-- Refuses a filter that holds what is no outcome of a result.
create or replace function reconciliation.require_outcomes(p_outcomes text[])
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
    if array_position(p_outcomes, null) is not null or not p_outcomes <@ array[
        'in_sync', 'corrected', 'would_correct', 'transient', 'changed_meanwhile', 'held', 'failed']
    then
        raise exception 'p_outcomes holds what is no outcome' using errcode = 'BR001', hint =
            'Pass corrected, would_correct, transient, changed_meanwhile, held or failed, or null for all.';
    end if;
end;
$$;


-- list_reconciliation_results: one page of a run's results, by key.
--   p_after     the last address of the page before; null starts from the beginning
--   p_limit     results at most, 1 to 50,000, else BR001
--   p_outcomes  only these; null: all
-- Returns {user_addresses, outcomes, row_exists, ledger_balances, contract_balances, scan_heights, decided_heights,
-- audit_ids, error_codes, errors, decided_ats}, parallel arrays; balances are decimal text with 8 places. A page that
-- holds fewer than p_limit is the last. Refuses with run_not_found.
-- Example: select list_reconciliation_results('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', null, 100, array['failed']);
create or replace function public.list_reconciliation_results(
    p_run_id uuid,
    p_after text default null,
    p_limit integer default 1000,
    p_outcomes text[] default null
)
returns json
language plpgsql
stable
security definer
set search_path = ''
-- The next page by the key, however many results a run has that nothing is known of yet.
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
set enable_bitmapscan = 'off'
set enable_sort = 'off'
as $$
begin
    perform reconciliation.require_between('p_limit', p_limit, 1, 50000);
    perform reconciliation.require_outcomes(p_outcomes);
    if not exists (select from public.reconciliation_runs r where r.run_id = p_run_id) then
        return reconciliation.run_refused('run_not_found');
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
            -- '' is the least key, as in list_user_balances.
            where r.run_id = p_run_id and r.user_address >= coalesce(p_after, '')
                and r.user_address is distinct from p_after
                and (p_outcomes is null or r.outcome = any (p_outcomes))
            order by r.user_address
            limit p_limit
        ) page
    );
end;
$$;

revoke execute on function public.list_reconciliation_results(uuid, text, integer, text[])
    from public, anon, authenticated;
grant execute on function public.list_reconciliation_results(uuid, text, integer, text[]) to service_role;


-- count_reconciliation_results: how many results list_reconciliation_results has in all; null if there is no such run.
-- Example: select count_reconciliation_results('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', array['failed']);
create or replace function public.count_reconciliation_results(p_run_id uuid, p_outcomes text[] default null)
returns bigint
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
    perform reconciliation.require_outcomes(p_outcomes);
    return (
        select (
            select count(*)
            from public.reconciliation_results r
            where r.run_id = p_run_id and (p_outcomes is null or r.outcome = any (p_outcomes))
        )
        from public.reconciliation_runs
        where run_id = p_run_id
    );
end;
$$;

revoke execute on function public.count_reconciliation_results(uuid, text[]) from public, anon, authenticated;
grant execute on function public.count_reconciliation_results(uuid, text[]) to service_role;
