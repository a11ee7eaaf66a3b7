-- Closing chunks: what a worker found or did is stored with its chunk, all or nothing. A chunk is closed by the holder
-- of its lease, also when the lease has expired and nobody else has taken the chunk. The same call again, because
-- its answer was lost, is accepted again and changes nothing.
-- Every answer is {"accepted": bool, "state": the run's, "open_chunks": chunks of the phase neither done nor failed,
-- "outcomes": {in_sync, corrected, transient, changed_meanwhile, held, failed}}, or a refusal with run_not_found. Not
-- accepted: the lease was lost, the chunk closed by another, or the run has gone on. outcomes: the chunk's users as they
-- are stored with it, zeros while it is open; null when not accepted.


-- What these procedures say the same way --------------------------------------------------------------------------

-- The answer of a closing procedure; p_state is the run's.
create or replace function reconciliation.closed_json(
    p_accepted boolean,
    p_state text,
    p_run_id uuid,
    p_phase text,
    p_chunk_no integer
)
returns json
language sql
stable
set search_path = ''
as $$
    select json_build_object(
        'accepted', p_accepted, 'state', p_state, 'open_chunks', reconciliation.open_chunks(p_run_id, p_phase),
        'outcomes', (
            select json_build_object(
                'in_sync', c.in_sync, 'corrected', c.corrected, 'transient', c.transient,
                'changed_meanwhile', c.changed_meanwhile, 'held', c.held, 'failed', c.failed)
            from public.reconciliation_chunks c
            where p_accepted and c.run_id = p_run_id and c.phase = p_phase and c.chunk_no = p_chunk_no
        ));
$$;

-- May the holder of this token close the chunk, as the run stands?
create or replace function reconciliation.may_close(
    p_run public.reconciliation_runs,
    p_chunk public.reconciliation_chunks,
    p_token uuid
)
returns boolean
language sql
immutable
as $$
    select coalesce(
        p_chunk.state = 'leased' and p_chunk.token = p_token
        and p_chunk.phase = case p_run.state when 'scanning' then 'scan' when 'correcting' then 'correct' end, false);
$$;

-- Finishes a run whose corrections are all closed. The state that the run has then.
create or replace function reconciliation.finish_if_closed(p_run public.reconciliation_runs)
returns text
language plpgsql
set search_path = ''
as $$
begin
    if p_run.state <> 'correcting' or reconciliation.open_chunks(p_run.run_id, 'correct') > 0 then
        return p_run.state;
    end if;
    update public.reconciliation_runs r
    set state = 'finished', finished_at = clock_timestamp()
    where r.run_id = p_run.run_id;
    return 'finished';
end;
$$;

-- The candidates of a range of keys that nothing is decided on.
create or replace function reconciliation.undecided(p_run_id uuid, p_after text, p_through text)
returns setof public.reconciliation_results
language sql
stable
as $$
    select r.*
    from public.reconciliation_results r
    where r.run_id = p_run_id and r.outcome = 'would_correct'
        and (p_after is null or r.user_address > p_after)
        and (p_through is null or r.user_address <= p_through);
$$;

-- Candidates of a range that the run has an audit row for are corrected, whatever anybody says. Returns how many.
create or replace function reconciliation.record_corrected(p_run_id uuid, p_after text, p_through text)
returns integer
language plpgsql
set search_path = ''
-- A range is small against a run's results, but nothing is known of them yet that would keep the planner from comparing
-- every one of it with every user.
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
set enable_nestloop = 'off'
set jit = 'off'
as $$
declare
    v_user_addresses text[];
    v_corrected integer;
begin
    -- By way of a variable: an audit log of the app's own has its user_address in another collation than ours.
    v_user_addresses := array(
        select u.user_address from reconciliation.undecided(p_run_id, p_after, p_through) u);
    with audited as materialized (
        select a.user_address, a.balance_before, a.balance_after, a.block_height, a.id::text as audit_id
        from unnest(v_user_addresses) as u (user_address)
        -- The limit keeps this a look-up by run and user: there is one row at most.
        cross join lateral (
            select l.*
            from public.balance_audit_log l
            where l.run_id = p_run_id and l.user_address = u.user_address
            limit 1
        ) a
    )
    update public.reconciliation_results r
    set outcome = 'corrected',
        ledger_balance = a.balance_before,
        contract_balance = a.balance_after,
        decided_height = a.block_height,
        audit_id = a.audit_id,
        error_code = null,
        error = null,
        decided_at = clock_timestamp()
    from audited a
    where r.run_id = p_run_id and r.user_address = a.user_address collate "C"
        and (p_after is null or r.user_address > p_after)
        and (p_through is null or r.user_address <= p_through);
    get diagnostics v_corrected = row_count;
    return v_corrected;
end;
$$;

-- Refuses a list of a closing call that is null, nested or of another length than the list of users. A range may have
-- grown since it was planned, so there is no limit of 50,000 here.
create or replace function reconciliation.require_list(p_name text, p_list anyarray, p_length integer)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
    if p_list is null or array_ndims(p_list) > 1 or cardinality(p_list) <> p_length then
        raise exception '% is null, nested, or not % long', p_name, p_length
            using errcode = 'BR001', hint = 'Give one element a user in each list.';
    end if;
end;
$$;


-- Scan ------------------------------------------------------------------------------------------------------------

-- close_reconciliation_scan: stores what the scan of a chunk found, and closes it.
--   p_token              of the lease
--   p_users              looked at = p_in_sync + the users listed
--   p_funded, p_funded_reading_zero   those with money in the ledger who are not held, and those of them with zero on
--                                     chain
--   p_first_height, p_last_height     blocks of the scan's scripts, null when none ran
--   p_user_addresses     everybody who is not in sync; the other lists are parallel
--   p_row_exists         false: the ledger has no row of this user
--   p_ledger_balances, p_contract_balances   FLOW; p_heights   block of the contract's
--   p_error_codes        null: a candidate, with both balances and the height; user_held: the same of a user who is
--                        held, and so no candidate; else the user could not be looked at
--   p_errors             what to tell about it
-- A user whom another chunk of the run has listed already keeps that result, and is counted once.
-- Raises BR001 when the lists are not parallel, the counts do not add up, or a candidate lacks a value.
-- Example: select close_reconciliation_scan('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', 0,
--     'a9f2b1de-7c1c-4a4e-8a0b-2f1c6a3c9d10', 3, 2, 3, 0, 1042, 1042, 1,
--     array['0x01cf0e2f2f715450'], array[true], array[12.5], array[13], array[1042], array[null], array[null]);
create or replace function public.close_reconciliation_scan(
    p_run_id uuid,
    p_chunk_no integer,
    p_token uuid,
    p_users bigint,
    p_in_sync bigint,
    p_funded bigint,
    p_funded_reading_zero bigint,
    p_first_height bigint,
    p_last_height bigint,
    p_script_calls bigint,
    p_user_addresses text[],
    p_row_exists boolean[],
    p_ledger_balances numeric[],
    p_contract_balances numeric[],
    p_heights bigint[],
    p_error_codes text[],
    p_errors text[]
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
set jit = 'off'
as $$
declare
    v_run public.reconciliation_runs;
    v_chunk public.reconciliation_chunks;
    v_listed integer;
    v_candidates bigint;
    v_held bigint;
    v_failed bigint;
    v_surplus numeric;
    v_deficit numeric;
begin
    v_listed := cardinality(p_user_addresses);
    perform reconciliation.require_list('p_user_addresses', p_user_addresses, v_listed);
    perform reconciliation.require_list('p_row_exists', p_row_exists, v_listed);
    perform reconciliation.require_list('p_ledger_balances', p_ledger_balances, v_listed);
    perform reconciliation.require_list('p_contract_balances', p_contract_balances, v_listed);
    perform reconciliation.require_list('p_heights', p_heights, v_listed);
    perform reconciliation.require_list('p_error_codes', p_error_codes, v_listed);
    perform reconciliation.require_list('p_errors', p_errors, v_listed);
    if not coalesce(
        p_users = p_in_sync + v_listed and p_in_sync >= 0 and p_funded between 0 and p_users
        and p_funded_reading_zero between 0 and p_funded and p_script_calls >= 0, false)
    then
        raise exception 'the counts do not add up: p_users %, p_in_sync %, users listed %, p_funded %, '
            'p_funded_reading_zero %, p_script_calls %',
            p_users, p_in_sync, v_listed, p_funded, p_funded_reading_zero, p_script_calls
            using errcode = 'BR001', hint = 'Every user looked at is either in sync or listed.';
    end if;
    if array_position(p_user_addresses, null) is not null or exists (
        select
        from unnest(p_row_exists, p_ledger_balances, p_contract_balances, p_heights, p_error_codes)
            as g (row_exists, ledger_balance, contract_balance, height, error_code)
        where coalesce(g.error_code, 'user_held') = 'user_held' and (
            g.row_exists is null or not reconciliation.is_exact_amount(g.contract_balance)
            or g.ledger_balance is null or g.contract_balance is null or g.height is null)
    ) then
        raise exception 'a listed user has no address, or a candidate no balance or height'
            using errcode = 'BR001', hint = 'Give a user who could not be looked at an error code.';
    end if;

    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id for update;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;
    select c.* into v_chunk
    from public.reconciliation_chunks c
    where c.run_id = p_run_id and c.phase = 'scan' and c.chunk_no = p_chunk_no
    for update;
    if not reconciliation.may_close(v_run, v_chunk, p_token) then
        return reconciliation.closed_json(
            coalesce(v_chunk.state = 'done' and v_chunk.token = p_token, false), v_run.state, p_run_id, 'scan',
            p_chunk_no);
    end if;

    with stored as (
        insert into public.reconciliation_results (
            run_id, user_address, outcome, row_exists, ledger_balance, contract_balance, scan_height, error_code, error,
            decided_at
        )
        select p_run_id, g.user_address, o.outcome, g.row_exists, g.ledger_balance,
            case when o.outcome <> 'failed' then g.contract_balance end,
            case when o.outcome <> 'failed' then g.height end, g.error_code, g.error, clock_timestamp()
        from unnest(
            p_user_addresses, p_row_exists, p_ledger_balances, p_contract_balances, p_heights, p_error_codes, p_errors
        ) as g (user_address, row_exists, ledger_balance, contract_balance, height, error_code, error)
        cross join lateral (
            select case
                when g.error_code is null then 'would_correct'
                when g.error_code = 'user_held' then 'held'
                else 'failed'
            end
        ) as o (outcome)
        on conflict (run_id, user_address) do nothing
        returning outcome, contract_balance - ledger_balance as discrepancy
    )
    select
        count(*) filter (where s.outcome = 'would_correct'),
        count(*) filter (where s.outcome = 'held'),
        count(*) filter (where s.outcome = 'failed'),
        coalesce(sum(s.discrepancy) filter (where s.outcome = 'would_correct' and s.discrepancy > 0), 0),
        coalesce(sum(s.discrepancy) filter (where s.outcome = 'would_correct' and s.discrepancy < 0), 0)
    into v_candidates, v_held, v_failed, v_surplus, v_deficit
    from stored s;

    update public.reconciliation_chunks c
    set state = 'done',
        closed_at = clock_timestamp(),
        error_code = null,
        error = null,
        users_seen = p_in_sync + v_candidates + v_held + v_failed,
        in_sync = p_in_sync,
        candidates = v_candidates,
        held = v_held,
        failed = v_failed,
        funded = p_funded,
        funded_reading_zero = p_funded_reading_zero,
        surplus = v_surplus,
        deficit = v_deficit,
        first_height = p_first_height,
        last_height = p_last_height,
        script_calls = p_script_calls
    where c.run_id = p_run_id and c.phase = 'scan' and c.chunk_no = p_chunk_no;

    return reconciliation.closed_json(true, v_run.state, p_run_id, 'scan', p_chunk_no);
end;
$$;

revoke execute on function public.close_reconciliation_scan(
    uuid, integer, uuid, bigint, bigint, bigint, bigint, bigint, bigint, bigint, text[], boolean[], numeric[],
    numeric[], bigint[], text[], text[]) from public, anon, authenticated;
grant execute on function public.close_reconciliation_scan(
    uuid, integer, uuid, bigint, bigint, bigint, bigint, bigint, bigint, bigint, text[], boolean[], numeric[],
    numeric[], bigint[], text[], text[]) to service_role;


-- Correct ---------------------------------------------------------------------------------------------------------

-- list_reconciliation_candidates: whom a correction chunk is about, as the scan saw them; nobody whom something is
-- decided on.
-- Returns {user_addresses, row_exists, ledger_balances, contract_balances, heights}, parallel arrays in key order;
-- balances are decimal text with 8 places. A chunk that does not exist has nobody.
-- Example: select list_reconciliation_candidates('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', 0);
create or replace function public.list_reconciliation_candidates(p_run_id uuid, p_chunk_no integer)
returns json
language plpgsql
stable
security definer
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
as $$
declare
    v_chunk public.reconciliation_chunks;
begin
    select c.* into v_chunk
    from public.reconciliation_chunks c
    where c.run_id = p_run_id and c.phase = 'correct' and c.chunk_no = p_chunk_no;

    return (
        select json_build_object(
            'user_addresses', coalesce(json_agg(u.user_address order by u.user_address), '[]'),
            'row_exists', coalesce(json_agg(u.row_exists order by u.user_address), '[]'),
            'ledger_balances', coalesce(json_agg(u.ledger_balance::text order by u.user_address), '[]'),
            'contract_balances', coalesce(json_agg(u.contract_balance::text order by u.user_address), '[]'),
            'heights', coalesce(json_agg(u.scan_height order by u.user_address), '[]')
        )
        from reconciliation.undecided(v_chunk.run_id, v_chunk.after_address, v_chunk.through_address) u
    );
end;
$$;

revoke execute on function public.list_reconciliation_candidates(uuid, integer) from public, anon, authenticated;
grant execute on function public.list_reconciliation_candidates(uuid, integer) to service_role;


-- close_reconciliation_correction: stores what became of a chunk's candidates, and closes it. The last chunk finishes
-- the run in the same transaction. Who has an audit row of this run is corrected, with the balances, height and id of
-- that row, whatever was given.
--   p_token              of the lease
--   p_user_addresses     every candidate of the chunk that nothing is decided on; the other lists are parallel
--   p_outcomes           corrected, transient, changed_meanwhile, held or failed
--   p_contract_balances, p_ledger_balances   FLOW, null when not read; p_heights   block of the contract's
--   p_error_codes, p_errors   why it failed or was not written
--   p_script_calls       scripts that were run for the chunk
-- Raises BR001 when the lists are not parallel, an outcome is none of these, a candidate is not named, or `corrected`
-- is said of one without an audit row.
-- Example: select close_reconciliation_correction('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', 0,
--     'a9f2b1de-7c1c-4a4e-8a0b-2f1c6a3c9d10', array['0x01cf0e2f2f715450'], array['transient'], array[13], array[13],
--     array[1050], array[null], array[null], 1);
create or replace function public.close_reconciliation_correction(
    p_run_id uuid,
    p_chunk_no integer,
    p_token uuid,
    p_user_addresses text[],
    p_outcomes text[],
    p_contract_balances numeric[],
    p_ledger_balances numeric[],
    p_heights bigint[],
    p_error_codes text[],
    p_errors text[],
    p_script_calls integer
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
-- A range is small against a run's results, but nothing is known of them yet that would keep the planner from comparing
-- every one of it with every user.
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
set enable_nestloop = 'off'
set jit = 'off'
as $$
declare
    v_run public.reconciliation_runs;
    v_chunk public.reconciliation_chunks;
    v_listed integer;
    v_user_address text;
    v_corrected integer;
    v_transient integer;
    v_changed_meanwhile integer;
    v_held integer;
    v_failed integer;
begin
    v_listed := cardinality(p_user_addresses);
    perform reconciliation.require_list('p_user_addresses', p_user_addresses, v_listed);
    perform reconciliation.require_list('p_outcomes', p_outcomes, v_listed);
    perform reconciliation.require_list('p_contract_balances', p_contract_balances, v_listed);
    perform reconciliation.require_list('p_ledger_balances', p_ledger_balances, v_listed);
    perform reconciliation.require_list('p_heights', p_heights, v_listed);
    perform reconciliation.require_list('p_error_codes', p_error_codes, v_listed);
    perform reconciliation.require_list('p_errors', p_errors, v_listed);
    perform reconciliation.require_between('p_script_calls', p_script_calls, 0, 2147483647);
    if array_position(p_outcomes, null) is not null
        or not p_outcomes <@ array['corrected', 'transient', 'changed_meanwhile', 'held', 'failed']
    then
        raise exception 'p_outcomes holds what is no outcome of a correction'
            using errcode = 'BR001', hint = 'Pass corrected, transient, changed_meanwhile, held or failed.';
    end if;

    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id for update;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;
    select c.* into v_chunk
    from public.reconciliation_chunks c
    where c.run_id = p_run_id and c.phase = 'correct' and c.chunk_no = p_chunk_no
    for update;
    if not reconciliation.may_close(v_run, v_chunk, p_token) then
        return reconciliation.closed_json(
            coalesce(v_chunk.state = 'done' and v_chunk.token = p_token, false), v_run.state, p_run_id, 'correct',
            p_chunk_no);
    end if;

    v_corrected := reconciliation.record_corrected(p_run_id, v_chunk.after_address, v_chunk.through_address);

    with decided as (
        update public.reconciliation_results r
        set outcome = g.outcome,
            ledger_balance = g.ledger_balance,
            contract_balance = g.contract_balance,
            decided_height = g.height,
            error_code = g.error_code,
            error = g.error,
            decided_at = clock_timestamp()
        from unnest(
            p_user_addresses, p_outcomes, p_contract_balances, p_ledger_balances, p_heights, p_error_codes, p_errors
        ) as g (user_address, outcome, contract_balance, ledger_balance, height, error_code, error)
        where r.run_id = p_run_id and r.user_address = g.user_address collate "C" and r.outcome = 'would_correct'
            and (v_chunk.after_address is null or r.user_address > v_chunk.after_address)
            and r.user_address <= v_chunk.through_address
        returning r.user_address, r.outcome
    )
    select
        count(*) filter (where d.outcome = 'transient'),
        count(*) filter (where d.outcome = 'changed_meanwhile'),
        count(*) filter (where d.outcome = 'held'),
        count(*) filter (where d.outcome = 'failed'),
        min(d.user_address) filter (where d.outcome = 'corrected')
    into v_transient, v_changed_meanwhile, v_held, v_failed, v_user_address
    from decided d;
    if v_user_address is not null then
        raise exception 'p_outcomes says corrected of %, whom this run has no audit row of', v_user_address
            using errcode = 'BR001', hint = 'Correct with reconcile_user_balances, under the id of the run.';
    end if;
    select u.user_address into v_user_address
    from reconciliation.undecided(p_run_id, v_chunk.after_address, v_chunk.through_address) u
    limit 1;
    if found then
        raise exception 'p_user_addresses lacks the candidate %', v_user_address
            using errcode = 'BR001', hint = 'Name every user of list_reconciliation_candidates.';
    end if;

    update public.reconciliation_chunks c
    set state = 'done',
        closed_at = clock_timestamp(),
        error_code = null,
        error = null,
        users_seen = v_corrected + v_transient + v_changed_meanwhile + v_held + v_failed,
        corrected = v_corrected,
        transient = v_transient,
        changed_meanwhile = v_changed_meanwhile,
        held = v_held,
        failed = v_failed,
        script_calls = p_script_calls
    where c.run_id = p_run_id and c.phase = 'correct' and c.chunk_no = p_chunk_no;

    return reconciliation.closed_json(true, reconciliation.finish_if_closed(v_run), p_run_id, 'correct', p_chunk_no);
end;
$$;

revoke execute on function public.close_reconciliation_correction(
    uuid, integer, uuid, text[], text[], numeric[], numeric[], bigint[], text[], text[], integer)
    from public, anon, authenticated;
grant execute on function public.close_reconciliation_correction(
    uuid, integer, uuid, text[], text[], numeric[], numeric[], bigint[], text[], text[], integer) to service_role;


-- Fail ------------------------------------------------------------------------------------------------------------

-- Gives a locked chunk up: all of its users that nothing is decided on are failed, with this code.
create or replace function reconciliation.fail_chunk(p_chunk public.reconciliation_chunks, p_code text, p_error text)
returns void
language plpgsql
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
as $$
declare
    v_user_addresses text[] := p_chunk.user_addresses;
    v_corrected integer := 0;
    v_failed integer;
    -- Plain variables: whatever collation the ledger's key has, they are compared in that.
    v_after text := p_chunk.after_address;
    v_through text := p_chunk.through_address;
begin
    if p_chunk.phase = 'scan' then
        if v_user_addresses is null then
            v_user_addresses := array(
                select b.user_address
                from public.user_balances b
                where (v_after is null or b.user_address > v_after)
                    and (v_through is null or b.user_address <= v_through));
        end if;
        insert into public.reconciliation_results (run_id, user_address, outcome, error_code, error, decided_at)
        select p_chunk.run_id, u.user_address, 'failed', p_code, p_error, clock_timestamp()
        from unnest(v_user_addresses) as u (user_address)
        on conflict (run_id, user_address) do nothing;
    else
        v_corrected := reconciliation.record_corrected(p_chunk.run_id, v_after, v_through);
        update public.reconciliation_results r
        set outcome = 'failed',
            contract_balance = null,
            error_code = p_code,
            error = p_error,
            decided_at = clock_timestamp()
        where r.run_id = p_chunk.run_id and r.outcome = 'would_correct'
            and (v_after is null or r.user_address > v_after)
            and r.user_address <= v_through;
    end if;
    get diagnostics v_failed = row_count;

    update public.reconciliation_chunks c
    set state = 'failed',
        token = null,
        lease_until = null,
        closed_at = clock_timestamp(),
        error_code = p_code,
        error = p_error,
        users_seen = v_corrected + v_failed,
        corrected = v_corrected,
        failed = v_failed
    where c.run_id = p_chunk.run_id and c.phase = p_chunk.phase and c.chunk_no = p_chunk.chunk_no;
end;
$$;

-- fail_reconciliation_chunk: hands a leased chunk back after an error. With attempts left it is pending again; else it
-- is failed, and so are all of its users that nothing is decided on, with this code. Who has an audit row of this run
-- is corrected all the same. The last chunk of the corrections finishes the run.
--   p_token              of the lease
--   p_error_code, p_error   why
--   p_attempts_max       leases that a chunk gets
-- Raises BR001.
-- Example: select fail_reconciliation_chunk('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', 'scan', 0,
--     'a9f2b1de-7c1c-4a4e-8a0b-2f1c6a3c9d10', 'contract_unreachable', 'The access node cannot be reached.', 5);
create or replace function public.fail_reconciliation_chunk(
    p_run_id uuid,
    p_phase text,
    p_chunk_no integer,
    p_token uuid,
    p_error_code text,
    p_error text,
    p_attempts_max integer
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
    v_chunk public.reconciliation_chunks;
begin
    perform reconciliation.require_value('p_error_code', p_error_code);
    perform reconciliation.require_between('p_attempts_max', p_attempts_max, 1, 1000);
    if p_phase is null or p_phase not in ('scan', 'correct') then
        raise exception 'p_phase is %', coalesce(p_phase, 'null')
            using errcode = 'BR001', hint = 'Pass scan or correct.';
    end if;

    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id for update;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;
    select c.* into v_chunk
    from public.reconciliation_chunks c
    where c.run_id = p_run_id and c.phase = p_phase and c.chunk_no = p_chunk_no
    for update;
    if not reconciliation.may_close(v_run, v_chunk, p_token) then
        return reconciliation.closed_json(false, v_run.state, p_run_id, p_phase, p_chunk_no);
    end if;

    if v_chunk.attempts < p_attempts_max then
        update public.reconciliation_chunks c
        set state = 'pending', token = null, lease_until = null, error_code = p_error_code, error = p_error
        where c.run_id = p_run_id and c.phase = p_phase and c.chunk_no = p_chunk_no;
    else
        perform reconciliation.fail_chunk(v_chunk, p_error_code, p_error);
    end if;
    return reconciliation.closed_json(true, reconciliation.finish_if_closed(v_run), p_run_id, p_phase, p_chunk_no);
end;
$$;

revoke execute on function public.fail_reconciliation_chunk(uuid, text, integer, uuid, text, text, integer)
    from public, anon, authenticated;
grant execute on function public.fail_reconciliation_chunk(uuid, text, integer, uuid, text, text, integer)
    to service_role;
