-- Reading all that the ledger knows of a few users, for people to look at. STABLE, so PostgREST runs it in read-only
-- transactions.

-- get_user_states: the ledger rows of the given users, in key order; users without a row are absent from the answer.
--   p_user_addresses  keys exactly as stored, at most 50,000 (BR003); null is BR001
-- Returns {user_addresses, balances, reconciled_heights, reconciled_ats, event_heights, updated_ats}, parallel arrays. A
-- balance is the column's text. reconciled_height and event_height are the row's fence: see apply_balance_event.
-- Example: select get_user_states(array['0x01cf0e2f2f715450']);
create or replace function public.get_user_states(p_user_addresses text[])
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
            'reconciled_ats', coalesce(json_agg(found.reconciled_at), '[]'),
            'event_heights', coalesce(json_agg(found.event_height), '[]'),
            'updated_ats', coalesce(json_agg(found.updated_at), '[]')
        )
        from (
            select b.user_address, b.balance, b.reconciled_height, b.reconciled_at, b.event_height, b.updated_at
            from public.user_balances b
            where b.user_address = any (p_user_addresses)
            order by b.user_address
        ) found
    );
end;
$$;

revoke execute on function public.get_user_states(text[]) from public, anon, authenticated;
grant execute on function public.get_user_states(text[]) to service_role;
