-- Reading the ledger. All STABLE, so PostgREST runs them in read-only transactions: a dry run cannot write.
-- Answers are parallel arrays in one JSON object: PostgREST cuts plain selects at its max-rows without a word, and
-- balances are text because a JSON number becomes a float in most clients.


-- The form without p_through, of an earlier version: beside the other, a call could mean either.
drop function if exists public.list_user_balances(text, integer);

-- list_user_balances: one page of the ledger, in key order.
--   p_after    the last address of the page before; null starts from the beginning
--   p_limit    rows at most, 1 to 50,000, else SQLSTATE BR001
--   p_through  the last address of the range; null goes to the end
-- Returns {"user_addresses": [text], "balances": [text in FLOW | null], "reconciled_heights": [block height | null],
-- "held": [those of the page whom an admin holds, see 015]}.
-- The ledger or the range is at its end when a page holds fewer than p_limit rows.
-- Example: select list_user_balances(p_after => '0x01cf0e2f2f715450', p_limit => 10000);
create or replace function public.list_user_balances(
    p_after text default null,
    p_limit integer default 10000,
    p_through text default null
)
returns json
language plpgsql
stable
security definer
set search_path = ''
-- Planned for its values: without p_through the condition is none, with it the end of one range of the index.
set plan_cache_mode = 'force_custom_plan'
-- By their index: few of the holds that there ever were are active.
set enable_seqscan = 'off'
as $$
declare
    v_has_holds boolean := exists (select from public.reconciliation_holds h where h.released_at is null);
    v_keys text[];
    v_user_addresses json;
    v_balances json;
    v_reconciled_heights json;
begin
    if p_limit is null or p_limit not between 1 and 50000 then
        raise exception 'p_limit is %, not between 1 and 50000', coalesce(p_limit::text, 'null')
            using errcode = 'BR001', hint = 'Ask for 1 to 50000 rows a page.';
    end if;

    select
        array_agg(page.user_address) filter (where v_has_holds),
        coalesce(json_agg(page.user_address), '[]'),
        coalesce(json_agg(page.balance::text), '[]'),
        coalesce(json_agg(page.reconciled_height), '[]')
    into v_keys, v_user_addresses, v_balances, v_reconciled_heights
    from (
        select b.user_address, b.balance, b.reconciled_height
        from public.user_balances b
        -- '' is the least key: with or without p_after this is one range of the index, never an OR.
        where b.user_address >= coalesce(p_after, '') and b.user_address is distinct from p_after
            and (p_through is null or b.user_address <= p_through)
        order by b.user_address
        limit p_limit
    ) page;

    return json_build_object(
        'user_addresses', v_user_addresses, 'balances', v_balances, 'reconciled_heights', v_reconciled_heights,
        'held', (
            select coalesce(json_agg(h.user_address order by h.user_address), '[]')
            from unnest(v_keys) as k (user_address)
            join public.reconciliation_holds h on h.user_address = k.user_address and h.released_at is null)
    );
end;
$$;

revoke execute on function public.list_user_balances(text, integer, text) from public, anon, authenticated;
grant execute on function public.list_user_balances(text, integer, text) to service_role;


-- get_user_balances: the rows of the given users, in key order; users without a row are absent from the answer.
--   p_user_addresses  keys exactly as stored, at most 50,000 (BR003); null is BR001
-- Returns the same shape as list_user_balances; held: those of p_user_addresses, with or without a row.
-- Example: select get_user_balances(array['0x01cf0e2f2f715450', '0xf8d6e0586b0a20c7']);
create or replace function public.get_user_balances(p_user_addresses text[])
returns json
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
    perform reconciliation.require_batch_array('p_user_addresses', p_user_addresses);

    return (
        select json_build_object(
            'user_addresses', coalesce(json_agg(found.user_address), '[]'),
            'balances', coalesce(json_agg(found.balance::text), '[]'),
            'reconciled_heights', coalesce(json_agg(found.reconciled_height), '[]'),
            'held', (
                select coalesce(json_agg(h.user_address order by h.user_address), '[]')
                from public.reconciliation_holds h
                where h.released_at is null and h.user_address = any (p_user_addresses))
        )
        from (
            select b.user_address, b.balance, b.reconciled_height
            from public.user_balances b
            where b.user_address = any (p_user_addresses)
            order by b.user_address
        ) found
    );
end;
$$;

revoke execute on function public.get_user_balances(text[]) from public, anon, authenticated;
grant execute on function public.get_user_balances(text[]) to service_role;


-- count_user_balances: how many users the ledger holds.
-- Example: select count_user_balances();
create or replace function public.count_user_balances()
returns bigint
language sql
stable
security definer
set search_path = ''
as $$
    select count(*) from public.user_balances;
$$;

revoke execute on function public.count_user_balances() from public, anon, authenticated;
grant execute on function public.count_user_balances() to service_role;
