-- The life of a run: start, decide after the scan, approve, end; and reading runs.
-- What is expected is a value in the answer: {"refused": code, "run": run | null}, where code is run_active (with the
-- run that is in the way), run_not_found, or run_not_applicable (with the run as it stands). Nothing was changed then.


-- What all procedures of runs say the same way --------------------------------------------------------------------

-- How many chunks of a phase are in which state.
create or replace function reconciliation.tally_json(p_pending bigint, p_leased bigint, p_done bigint, p_failed bigint)
returns json
language sql
immutable
as $$
    select json_build_object('pending', p_pending, 'leased', p_leased, 'done', p_done, 'failed', p_failed);
$$;

-- A run with its counts, the form in which every procedure answers. Counts are sums over the run's chunks:
-- users = in_sync + corrected + would_correct + transient + changed_meanwhile + held + failed, always.
create or replace function reconciliation.run_json(p_run public.reconciliation_runs)
returns json
language sql
stable
set search_path = ''
as $$
    with sums as (
        select
            coalesce(sum(c.users_seen) filter (where c.phase = 'scan'), 0) as users,
            coalesce(sum(c.in_sync), 0) as in_sync,
            coalesce(sum(c.candidates) filter (where c.phase = 'scan'), 0) as candidates,
            coalesce(sum(c.corrected), 0) as corrected,
            coalesce(sum(c.transient), 0) as transient,
            coalesce(sum(c.changed_meanwhile), 0) as changed_meanwhile,
            coalesce(sum(c.held), 0) as held,
            coalesce(sum(c.held) filter (where c.phase = 'correct'), 0) as held_since_scan,
            coalesce(sum(c.failed) filter (where c.phase = 'scan'), 0) as unread,
            coalesce(sum(c.failed) filter (where c.phase = 'correct'), 0) as uncorrected,
            coalesce(sum(c.funded), 0) as funded,
            coalesce(sum(c.funded_reading_zero), 0) as funded_reading_zero,
            coalesce(sum(c.surplus), 0) as surplus,
            coalesce(sum(c.deficit), 0) as deficit,
            min(c.first_height) filter (where c.phase = 'scan') as first_height,
            max(c.last_height) filter (where c.phase = 'scan') as last_height,
            coalesce(sum(c.script_calls), 0) as script_calls,
            reconciliation.tally_json(
                count(*) filter (where c.phase = 'scan' and c.state = 'pending'),
                count(*) filter (where c.phase = 'scan' and c.state = 'leased'),
                count(*) filter (where c.phase = 'scan' and c.state = 'done'),
                count(*) filter (where c.phase = 'scan' and c.state = 'failed')) as scan,
            reconciliation.tally_json(
                count(*) filter (where c.phase = 'correct' and c.state = 'pending'),
                count(*) filter (where c.phase = 'correct' and c.state = 'leased'),
                count(*) filter (where c.phase = 'correct' and c.state = 'done'),
                count(*) filter (where c.phase = 'correct' and c.state = 'failed')) as correct
        from public.reconciliation_chunks c
        where c.run_id = p_run.run_id
    )
    select json_build_object(
        'run_id', p_run.run_id, 'kind', p_run.kind, 'state', p_run.state, 'dry_run', p_run.dry_run,
        'admin_address', p_run.admin_address, 'policy', p_run.policy,
        'started_at', p_run.started_at, 'scanned_at', p_run.scanned_at, 'settle_until', p_run.settle_until,
        'finished_at', p_run.finished_at, 'users_planned', p_run.users_planned,
        'users', s.users, 'in_sync', s.in_sync, 'corrected', s.corrected,
        'would_correct',
        s.candidates - s.corrected - s.transient - s.changed_meanwhile - s.held_since_scan - s.uncorrected,
        'transient', s.transient, 'changed_meanwhile', s.changed_meanwhile, 'held', s.held,
        'failed', s.unread + s.uncorrected, 'unread', s.unread, 'candidates', s.candidates,
        'funded', s.funded, 'funded_reading_zero', s.funded_reading_zero,
        -- Not amount_text: the sum of a large ledger need not fit numeric(20,8).
        'surplus', round(s.surplus, 8)::text, 'deficit', round(s.deficit, 8)::text,
        'first_height', s.first_height, 'last_height', s.last_height, 'script_calls', s.script_calls,
        'scan', s.scan, 'correct', s.correct,
        'halt_reason', p_run.halt_reason, 'halt_explanation', p_run.halt_explanation,
        'halt_remedy', p_run.halt_remedy, 'accepted_halt', p_run.accepted_halt, 'plan_run_id', p_run.plan_run_id,
        'covered_height', p_run.covered_height, 'from_height', p_run.from_height,
        'rotated_through', p_run.rotated_through, 'fallback_reason', p_run.fallback_reason,
        'error_code', p_run.error_code, 'error', p_run.error
    )
    from sums s;
$$;

-- The same by the run's id; null if there is no such run.
create or replace function reconciliation.run_json(p_run_id uuid)
returns json
language sql
stable
set search_path = ''
as $$
    select reconciliation.run_json(r) from public.reconciliation_runs r where r.run_id = p_run_id;
$$;

-- The run that writes and has work left, or null.
create or replace function reconciliation.active_run_id()
returns uuid
language sql
stable
set search_path = ''
as $$
    select r.run_id
    from public.reconciliation_runs r
    where not r.dry_run and r.state in ('planning', 'scanning', 'correcting');
$$;

-- A refusal; p_run_id is the run that it is about.
create or replace function reconciliation.run_refused(p_code text, p_run_id uuid default null)
returns json
language sql
stable
set search_path = ''
as $$
    select json_build_object('refused', p_code, 'run', reconciliation.run_json(p_run_id));
$$;

-- Refuses a call whose argument is null.
create or replace function reconciliation.require_value(p_name text, p_value anyelement)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
    if p_value is null then
        raise exception '% is null', p_name using errcode = 'BR001', hint = 'Give it a value.';
    end if;
end;
$$;


-- Start -----------------------------------------------------------------------------------------------------------

-- Refuses a policy that the procedures or the workers could not go by.
create or replace function reconciliation.require_policy(p_policy jsonb)
returns void
language plpgsql
immutable
set search_path = ''
as $$
declare
    v_fault text;
begin
    v_fault := case
        when p_policy is null or jsonb_typeof(p_policy) <> 'object' then 'is no object'
        when jsonb_typeof(p_policy -> 'tolerance') is distinct from 'string'
            or p_policy ->> 'tolerance' !~ '^[0-9]{1,12}(\.[0-9]{1,8})?$'
            then 'has no tolerance: FLOW as decimal text with at most 8 places'
        when not reconciliation.is_number_between(p_policy -> 'batch_size', 1, 50000)
            or p_policy ->> 'batch_size' !~ '^[0-9]+$' then 'has no batch_size: 1 to 50000'
        when not reconciliation.is_number_between(p_policy -> 'settle_s', 0, 86400)
            then 'has no settle_s: 0 to 86400 seconds'
        when not reconciliation.is_number_between(p_policy -> 'halt_share', 0, 1) then 'has no halt_share: 0 to 1'
        when not reconciliation.is_number_between(p_policy -> 'halt_min_users', 0, 1000000000)
            then 'has no halt_min_users: a number of users'
        when not reconciliation.is_number_between(p_policy -> 'halt_unread_share', 0, 1)
            then 'has no halt_unread_share: 0 to 1'
    end;
    if v_fault is not null then
        raise exception 'p_policy %', v_fault using errcode = 'BR001', hint =
            'Give an object with tolerance, batch_size, settle_s, halt_share, halt_min_users and halt_unread_share.';
    end if;
end;
$$;

-- True if this is a JSON number within the bounds.
create or replace function reconciliation.is_number_between(p_value jsonb, p_least numeric, p_most numeric)
returns boolean
language sql
immutable
as $$
    select coalesce(
        case when jsonb_typeof(p_value) = 'number' then p_value::numeric between p_least and p_most end, false);
$$;

-- Copies what a reviewed run found and did not correct into a new run of kind plan: its undecided candidates, those its
-- scan could not read, those who were held, and one scan chunk with the scan's sums, so that counts add up and the review can judge. Whoever
-- is settled there already counts as in sync here.
create or replace function reconciliation.copy_plan(p_run_id uuid, p_plan_run_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
    v_users bigint;
begin
    with copied as (
        insert into public.reconciliation_results (
            run_id, user_address, outcome, row_exists, ledger_balance, contract_balance, scan_height, error_code, error,
            decided_at
        )
        select p_run_id, r.user_address, r.outcome, r.row_exists, r.ledger_balance, r.contract_balance, r.scan_height,
            r.error_code, r.error, r.decided_at
        from public.reconciliation_results r
        where r.run_id = p_plan_run_id
            and (r.outcome in ('would_correct', 'held') or (r.outcome = 'failed' and r.scan_height is null))
        returning outcome, contract_balance - ledger_balance as discrepancy
    ),
    found as (
        select
            count(*) filter (where c.outcome = 'would_correct') as candidates,
            count(*) filter (where c.outcome = 'held') as held,
            count(*) filter (where c.outcome = 'failed') as failed,
            coalesce(sum(c.discrepancy) filter (where c.outcome = 'would_correct' and c.discrepancy > 0), 0) as surplus,
            coalesce(sum(c.discrepancy) filter (where c.outcome = 'would_correct' and c.discrepancy < 0), 0) as deficit
        from copied c
    ),
    scanned as (
        select
            coalesce(sum(c.users_seen), 0) as users, coalesce(sum(c.funded), 0) as funded,
            coalesce(sum(c.funded_reading_zero), 0) as funded_reading_zero, min(c.first_height) as first_height,
            max(c.last_height) as last_height, coalesce(sum(c.script_calls), 0) as script_calls
        from public.reconciliation_chunks c
        where c.run_id = p_plan_run_id and c.phase = 'scan'
    )
    insert into public.reconciliation_chunks (
        run_id, phase, chunk_no, users, state, closed_at, users_seen, in_sync, candidates, held, failed, funded,
        funded_reading_zero, surplus, deficit, first_height, last_height, script_calls
    )
    select p_run_id, 'scan', 0, s.users, 'done', clock_timestamp(), s.users, s.users - f.candidates - f.held - f.failed,
        f.candidates, f.held, f.failed, s.funded, s.funded_reading_zero, f.surplus, f.deficit, s.first_height, s.last_height,
        s.script_calls
    from scanned s
    cross join found f
    returning users into v_users;

    update public.reconciliation_runs r set users_planned = v_users where r.run_id = p_run_id;
end;
$$;

-- start_reconciliation_run: stores a new run. One that writes (p_dry_run false) is refused while another such run is
-- planning, scanning or correcting.
--   p_run_id           chosen by the caller; the same id again changes nothing and returns that run
--   p_kind             full, incremental, or plan: what p_plan_run_id found and did not correct
--   p_admin_address    who acts, up to 200 characters
--   p_policy           {tolerance (FLOW text), batch_size, settle_s, halt_share, halt_min_users, halt_unread_share}
--   p_needs_approval   after the scan, wait for approve_reconciliation_run
--   p_accepted_halt    why a halt of the review does not stop this run, up to 2,000 characters
--   p_plan_run_id      a run whose scan is over and that is a finished dry run, halted, declined, cancelled, or
--                      awaiting approval; else run_not_applicable
--   p_covered_height, p_from_height, p_rotate_after, p_fallback_reason   kept with the run, see 006
-- Returns the run: state planning, or scanning with nothing left to scan for kind plan. Refuses with run_active,
-- run_not_found or run_not_applicable. Raises BR001.
-- Example: select start_reconciliation_run('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', 'full', true, 'ADMIN',
--     '{"tolerance": "0.00000001", "batch_size": 10000, "settle_s": 30, "halt_share": 0.5, "halt_min_users": 100,
--       "halt_unread_share": 0.1}');
create or replace function public.start_reconciliation_run(
    p_run_id uuid,
    p_kind text,
    p_dry_run boolean,
    p_admin_address text,
    p_policy json,
    p_needs_approval boolean default false,
    p_accepted_halt text default null,
    p_plan_run_id uuid default null,
    p_covered_height bigint default null,
    p_from_height bigint default null,
    p_rotate_after text default null,
    p_fallback_reason text default null
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
set statement_timeout = '60s'
as $$
declare
    v_run public.reconciliation_runs;
    v_plan public.reconciliation_runs;
    v_active_id uuid;
begin
    perform reconciliation.require_value('p_run_id', p_run_id);
    perform reconciliation.require_value('p_dry_run', p_dry_run);
    perform reconciliation.require_value('p_needs_approval', p_needs_approval);
    perform reconciliation.require_policy(p_policy::jsonb);
    if p_kind is null or p_kind not in ('full', 'incremental', 'plan') then
        raise exception 'p_kind is %', coalesce(p_kind, 'null')
            using errcode = 'BR001', hint = 'Pass full, incremental or plan.';
    end if;
    if (p_kind = 'plan') <> (p_plan_run_id is not null) then
        raise exception 'p_plan_run_id goes with p_kind plan, and with no other'
            using errcode = 'BR001', hint = 'Pass both or neither.';
    end if;
    if reconciliation.admin_fault(p_admin_address) is not null then
        raise exception '%', reconciliation.admin_fault(p_admin_address) using errcode = 'BR001';
    end if;
    if least(p_covered_height, p_from_height) < 0 or length(p_accepted_halt) > 2000 then
        raise exception 'a height is negative, or p_accepted_halt is longer than 2000 characters'
            using errcode = 'BR001', hint = 'Pass block heights, and a sentence.';
    end if;

    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id;
    if found then
        return reconciliation.run_json(v_run);
    end if;

    if p_kind = 'plan' then
        -- Held until the copy is made, so that nobody goes on with the run meanwhile.
        select r.* into v_plan from public.reconciliation_runs r where r.run_id = p_plan_run_id for share;
        if not found then
            return reconciliation.run_refused('run_not_found');
        end if;
        if v_plan.scanned_at is null or not (
            v_plan.state in ('halted', 'declined', 'awaiting_approval', 'cancelled')
            or (v_plan.state = 'finished' and v_plan.dry_run)
        ) then
            return reconciliation.run_refused('run_not_applicable', p_plan_run_id);
        end if;
    end if;

    loop
        insert into public.reconciliation_runs (
            run_id, kind, state, dry_run, needs_approval, admin_address, policy, accepted_halt, plan_run_id,
            covered_height, from_height, rotate_after, planned_through, fallback_reason
        )
        values (
            p_run_id, p_kind, case p_kind when 'plan' then 'scanning' else 'planning' end, p_dry_run, p_needs_approval,
            p_admin_address, p_policy, p_accepted_halt, p_plan_run_id, p_covered_height, p_from_height, p_rotate_after,
            p_rotate_after, p_fallback_reason
        )
        on conflict do nothing
        returning * into v_run;
        exit when found;

        -- Somebody else was quicker: with this id, or with another run that writes.
        select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id;
        if found then
            return reconciliation.run_json(v_run);
        end if;
        v_active_id := reconciliation.active_run_id();
        if v_active_id is not null then
            return reconciliation.run_refused('run_active', v_active_id);
        end if;
    end loop;

    if p_kind = 'plan' then
        perform reconciliation.copy_plan(p_run_id, p_plan_run_id);
    end if;
    return reconciliation.run_json(p_run_id);
end;
$$;

revoke execute on function public.start_reconciliation_run(
    uuid, text, boolean, text, json, boolean, text, uuid, bigint, bigint, text, text) from public, anon, authenticated;
grant execute on function public.start_reconciliation_run(
    uuid, text, boolean, text, json, boolean, text, uuid, bigint, bigint, text, text) to service_role;


-- After the scan --------------------------------------------------------------------------------------------------

-- Cuts the undecided candidates of a run into chunks of batch_size by key, and sets the run to correcting.
create or replace function reconciliation.begin_corrections(p_run public.reconciliation_runs)
returns void
language plpgsql
set search_path = ''
as $$
begin
    update public.reconciliation_runs r
    set state = 'correcting',
        -- A plan's differences have lasted since the run that found them.
        settle_until = coalesce(
            (select f.scanned_at from public.reconciliation_runs f where f.run_id = p_run.plan_run_id), p_run.scanned_at
        ) + make_interval(secs => (p_run.policy ->> 'settle_s')::double precision)
    where r.run_id = p_run.run_id;

    with numbered as (
        select c.user_address,
            ((row_number() over (order by c.user_address) - 1) / (p_run.policy ->> 'batch_size')::bigint)::integer as no
        from public.reconciliation_results c
        where c.run_id = p_run.run_id and c.outcome = 'would_correct'
    ),
    cut as (
        select n.no, max(n.user_address) as last_address, count(*) as users
        from numbered n
        group by n.no
    )
    insert into public.reconciliation_chunks (run_id, phase, chunk_no, after_address, through_address, users)
    select p_run.run_id, 'correct', c.no, lag(c.last_address) over (order by c.no), c.last_address, c.users
    from cut c;
end;
$$;

-- decide_reconciliation_run: ends the scan once none of its chunks is open; before and after that, changes nothing.
--   p_halt_reason, p_halt_explanation, p_halt_remedy   what the review has against writing; null: nothing
-- The run becomes finished (dry run, or nobody to correct), halted (unless it has accepted that), awaiting_approval
-- (if it needs it), or correcting: the candidates are cut into chunks, and may be leased from settle_until on.
-- Returns the run. Refuses with run_not_found.
-- Example: select decide_reconciliation_run('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11');
create or replace function public.decide_reconciliation_run(
    p_run_id uuid,
    p_halt_reason text default null,
    p_halt_explanation text default null,
    p_halt_remedy text default null
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
set statement_timeout = '60s'
as $$
declare
    v_run public.reconciliation_runs;
    v_state text;
begin
    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id for update;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;
    if v_run.state <> 'scanning' or reconciliation.open_chunks(p_run_id, 'scan') > 0 then
        return reconciliation.run_json(v_run);
    end if;

    v_state := case
        when v_run.dry_run or not exists (
            select from public.reconciliation_chunks c
            where c.run_id = p_run_id and c.phase = 'scan' and c.candidates > 0
        ) then 'finished'
        when p_halt_reason is not null and v_run.accepted_halt is null then 'halted'
        when v_run.needs_approval then 'awaiting_approval'
        else 'correcting'
    end;

    update public.reconciliation_runs r
    set state = v_state,
        scanned_at = clock_timestamp(),
        finished_at = case when v_state in ('finished', 'halted') then clock_timestamp() end,
        halt_reason = case when v_state <> 'finished' then p_halt_reason end,
        halt_explanation = case when v_state <> 'finished' then p_halt_explanation end,
        halt_remedy = case when v_state <> 'finished' then p_halt_remedy end
    where r.run_id = p_run_id
    returning * into v_run;

    if v_state = 'correcting' then
        perform reconciliation.begin_corrections(v_run);
    end if;
    return reconciliation.run_json(p_run_id);
end;
$$;

revoke execute on function public.decide_reconciliation_run(uuid, text, text, text) from public, anon, authenticated;
grant execute on function public.decide_reconciliation_run(uuid, text, text, text) to service_role;


-- approve_reconciliation_run: lets a run that awaits approval correct what it found.
-- Returns the run in state correcting; approving it again changes nothing. Refuses with run_not_found,
-- run_not_applicable (it does not await approval), or run_active (another run that writes is active).
-- Example: select approve_reconciliation_run('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11');
create or replace function public.approve_reconciliation_run(p_run_id uuid)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
set statement_timeout = '60s'
as $$
declare
    v_run public.reconciliation_runs;
begin
    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id for update;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;
    if v_run.state = 'correcting' and v_run.needs_approval then
        return reconciliation.run_json(p_run_id);
    end if;
    if v_run.state <> 'awaiting_approval' then
        return reconciliation.run_refused('run_not_applicable', p_run_id);
    end if;

    begin
        perform reconciliation.begin_corrections(v_run);
    exception when unique_violation then
        return reconciliation.run_refused('run_active', reconciliation.active_run_id());
    end;
    return reconciliation.run_json(p_run_id);
end;
$$;

revoke execute on function public.approve_reconciliation_run(uuid) from public, anon, authenticated;
grant execute on function public.approve_reconciliation_run(uuid) to service_role;


-- end_reconciliation_run: ends a run that has not ended: nothing of it can be leased or closed any more. Its open
-- chunks stay as they are; whom they have corrected already is told by the audit log, and so recorded.
--   p_state                declined, cancelled or failed
--   p_error_code, p_error  why
-- Returns the run; ending it the same way again changes nothing. Refuses with run_not_found, or run_not_applicable when
-- it has ended otherwise. Raises BR001.
-- Example: select end_reconciliation_run('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', 'cancelled');
create or replace function public.end_reconciliation_run(
    p_run_id uuid,
    p_state text,
    p_error_code text default null,
    p_error text default null
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
set statement_timeout = '60s'
as $$
declare
    v_run public.reconciliation_runs;
begin
    if p_state is null or p_state not in ('declined', 'cancelled', 'failed') then
        raise exception 'p_state is %', coalesce(p_state, 'null')
            using errcode = 'BR001', hint = 'Pass declined, cancelled or failed.';
    end if;

    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id for update;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;
    if v_run.state = p_state then
        return reconciliation.run_json(p_run_id);
    end if;
    if v_run.state in ('finished', 'halted', 'declined', 'cancelled', 'failed') then
        return reconciliation.run_refused('run_not_applicable', p_run_id);
    end if;

    if v_run.state = 'correcting' then
        update public.reconciliation_chunks c
        set corrected = c.corrected + reconciliation.record_corrected(p_run_id, c.after_address, c.through_address)
        where c.run_id = p_run_id and c.phase = 'correct' and c.state in ('pending', 'leased') and c.attempts > 0;
    end if;

    update public.reconciliation_runs r
    set state = p_state, finished_at = clock_timestamp(), error_code = p_error_code, error = p_error
    where r.run_id = p_run_id;
    return reconciliation.run_json(p_run_id);
end;
$$;

revoke execute on function public.end_reconciliation_run(uuid, text, text, text) from public, anon, authenticated;
grant execute on function public.end_reconciliation_run(uuid, text, text, text) to service_role;


-- Reading runs ----------------------------------------------------------------------------------------------------

-- get_reconciliation_run: a run with its counts; null if there is none of this id.
-- Example: select get_reconciliation_run('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11');
create or replace function public.get_reconciliation_run(p_run_id uuid)
returns json
language sql
stable
security definer
set search_path = ''
as $$
    select reconciliation.run_json(p_run_id);
$$;

revoke execute on function public.get_reconciliation_run(uuid) from public, anon, authenticated;
grant execute on function public.get_reconciliation_run(uuid) to service_role;


-- active_reconciliation_run: the run that writes and is planning, scanning or correcting; null if there is none.
-- Example: select active_reconciliation_run();
create or replace function public.active_reconciliation_run()
returns json
language sql
stable
security definer
set search_path = ''
as $$
    select reconciliation.run_json(reconciliation.active_run_id());
$$;

revoke execute on function public.active_reconciliation_run() from public, anon, authenticated;
grant execute on function public.active_reconciliation_run() to service_role;


-- covering_reconciliation_run: the finished run that writes with the greatest covered_height, the latest of these;
-- null if there is none. An incremental run goes on from there.
-- Example: select covering_reconciliation_run();
create or replace function public.covering_reconciliation_run()
returns json
language sql
stable
security definer
set search_path = ''
as $$
    select reconciliation.run_json(r)
    from public.reconciliation_runs r
    where r.state = 'finished' and not r.dry_run and r.covered_height is not null
    order by r.covered_height desc, r.started_at desc
    limit 1;
$$;

revoke execute on function public.covering_reconciliation_run() from public, anon, authenticated;
grant execute on function public.covering_reconciliation_run() to service_role;


-- list_reconciliation_runs: runs, the newest first.
--   p_before  only runs that started before this one; null starts with the newest
--   p_limit   runs at most, 1 to 1,000, else BR001
-- Returns an array of runs. Refuses with run_not_found when there is no run p_before.
-- Example: select list_reconciliation_runs(p_limit => 10);
create or replace function public.list_reconciliation_runs(p_before uuid default null, p_limit integer default 50)
returns json
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
    if p_limit is null or p_limit not between 1 and 1000 then
        raise exception 'p_limit is %, not between 1 and 1000', coalesce(p_limit::text, 'null')
            using errcode = 'BR001', hint = 'Ask for 1 to 1000 runs.';
    end if;
    if p_before is not null and not exists (
        select from public.reconciliation_runs r where r.run_id = p_before
    ) then
        return reconciliation.run_refused('run_not_found');
    end if;

    return (
        select coalesce(
            json_agg(reconciliation.run_json(page.run_id) order by page.started_at desc, page.run_id desc), '[]')
        from (
            select r.run_id, r.started_at
            from public.reconciliation_runs r
            where p_before is null
                or (r.started_at, r.run_id) < (
                    select b.started_at, b.run_id from public.reconciliation_runs b where b.run_id = p_before)
            order by r.started_at desc, r.run_id desc
            limit p_limit
        ) page
    );
end;
$$;

revoke execute on function public.list_reconciliation_runs(uuid, integer) from public, anon, authenticated;
grant execute on function public.list_reconciliation_runs(uuid, integer) to service_role;
