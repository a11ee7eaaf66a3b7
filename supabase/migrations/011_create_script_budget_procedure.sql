-- One rate for all workers: whoever wants to call the access node takes the next free moment, and waits for it.

-- reserve_script_slots: takes the next moments of a budget. Slots are 1/p_per_s seconds apart; those that nobody took
-- are not saved up.
--   p_budget  its name, up to 200 characters: what shares one limit, such as an egress address
--   p_per_s   slots a second
--   p_slots   how many to take, 1 to 1,000
-- Returns {"wait_s": seconds until the first of them, 0 when it is free}. Raises BR001.
-- Example: select reserve_script_slots('mainnet', 5);
create or replace function public.reserve_script_slots(
    p_budget text,
    p_per_s double precision,
    p_slots integer default 1
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_taken interval;
    v_next_at timestamptz;
begin
    perform reconciliation.require_between('p_slots', p_slots, 1, 1000);
    if coalesce(btrim(p_budget), '') = '' or length(p_budget) > 200
        or p_per_s is null or not p_per_s between 0.001 and 1000000
    then
        raise exception 'p_budget is blank or longer than 200 characters, or p_per_s is not between 0.001 and 1000000'
            using errcode = 'BR001', hint = 'Name the budget and give its slots a second.';
    end if;

    v_taken := make_interval(secs => p_slots / p_per_s);
    insert into public.reconciliation_script_budget as b (name, next_at)
    values (p_budget, clock_timestamp() + v_taken)
    on conflict (name) do update
    -- The clock is read under the row's lock: reservations are in the order of the locks.
    set next_at = greatest(b.next_at, clock_timestamp()) + v_taken
    returning b.next_at into v_next_at;

    return json_build_object(
        'wait_s', greatest(0, extract(epoch from v_next_at - v_taken - clock_timestamp()))::double precision);
end;
$$;

revoke execute on function public.reserve_script_slots(text, double precision, integer)
    from public, anon, authenticated;
grant execute on function public.reserve_script_slots(text, double precision, integer) to service_role;
