-- A run's chunks until somebody works them: cut, lease, hand back, queue.


-- What these procedures say the same way --------------------------------------------------------------------------

-- The phase whose chunks are worked in a state, or null.
create or replace function reconciliation.phase_of(p_state text)
returns text
language sql
immutable
as $$
    select case p_state when 'scanning' then 'scan' when 'correcting' then 'correct' end;
$$;

-- How many chunks of a phase are neither done nor failed.
create or replace function reconciliation.open_chunks(p_run_id uuid, p_phase text)
returns bigint
language sql
stable
set search_path = ''
as $$
    select count(*)
    from public.reconciliation_chunks c
    where c.run_id = p_run_id and c.phase = p_phase and c.state in ('pending', 'leased');
$$;

-- Seconds until the corrections of a run may start; 0 when they may, or when it has none to start.
create or replace function reconciliation.settle_wait_s(p_run public.reconciliation_runs)
returns double precision
language sql
volatile
as $$
    select case when p_run.state = 'correcting'
        then greatest(0, extract(epoch from p_run.settle_until - clock_timestamp()))::double precision else 0 end;
$$;

-- The number after the last scan chunk of a run.
create or replace function reconciliation.next_scan_chunk_no(p_run_id uuid)
returns integer
language sql
stable
set search_path = ''
as $$
    select coalesce(max(c.chunk_no) + 1, 0)
    from public.reconciliation_chunks c
    where c.run_id = p_run_id and c.phase = 'scan';
$$;

-- Refuses a chunk size that a page of the ledger could not hold.
create or replace function reconciliation.require_between(p_name text, p_value bigint, p_least bigint, p_most bigint)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
    if p_value is null or p_value not between p_least and p_most then
        raise exception '% is %, not between % and %', p_name, coalesce(p_value::text, 'null'), p_least, p_most
            using errcode = 'BR001', hint = format('Pass %s to %s.', p_least, p_most);
    end if;
end;
$$;


-- Cut -------------------------------------------------------------------------------------------------------------

-- add_reconciliation_chunk: gives a run that is being planned a scan chunk of exactly these users.
--   p_chunk_no        its number; a number that is taken changes nothing
--   p_user_addresses  1 to 50,000 keys
-- Returns {"chunks": how many scan chunks the run has}. Refuses with run_not_found, or run_not_applicable for a new
-- chunk when the run is not being planned any more. Raises BR001, BR003.
-- Example: select add_reconciliation_chunk('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', 0, array['0x01cf0e2f2f715450']);
create or replace function public.add_reconciliation_chunk(p_run_id uuid, p_chunk_no integer, p_user_addresses text[])
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_run public.reconciliation_runs;
begin
    perform reconciliation.require_between('p_chunk_no', p_chunk_no, 0, 2147483647);
    perform reconciliation.require_batch_array('p_user_addresses', p_user_addresses);
    if cardinality(p_user_addresses) = 0 or array_position(p_user_addresses, null) is not null then
        raise exception 'p_user_addresses is empty or holds a null'
            using errcode = 'BR001', hint = 'Name the users of the chunk.';
    end if;

    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id for update;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;
    if v_run.state <> 'planning' and not exists (
        select from public.reconciliation_chunks c
        where c.run_id = p_run_id and c.phase = 'scan' and c.chunk_no = p_chunk_no
    ) then
        return reconciliation.run_refused('run_not_applicable', p_run_id);
    end if;

    insert into public.reconciliation_chunks (run_id, phase, chunk_no, user_addresses, users)
    values (p_run_id, 'scan', p_chunk_no, p_user_addresses, cardinality(p_user_addresses))
    on conflict do nothing;
    if found then
        update public.reconciliation_runs r
        set users_planned = r.users_planned + cardinality(p_user_addresses)
        where r.run_id = p_run_id;
    end if;

    return (
        select json_build_object('chunks', count(*))
        from public.reconciliation_chunks c
        where c.run_id = p_run_id and c.phase = 'scan'
    );
end;
$$;

revoke execute on function public.add_reconciliation_chunk(uuid, integer, text[]) from public, anon, authenticated;
grant execute on function public.add_reconciliation_chunk(uuid, integer, text[]) to service_role;


-- plan_reconciliation_chunks: cuts the ledger into scan chunks, 5,000 at most a call: repeat it until the run's state
-- is no longer planning. Every chunk is a range of keys (after, through]; the first has no lower end and the last no
-- upper one, so that users who appear meanwhile are in one of them. An empty ledger makes no first chunk.
--   p_chunk_users  rows a chunk, 1 to 50,000
--   p_chunks_max   cut at most so many, from the run's rotate_after on; 0: none; null: the whole ledger
-- Returns the run: scanning when everything is cut. With p_chunks_max, rotated_through is then the end of the last
-- range, null at the end of the ledger. A run that is not planning is returned as it is. Refuses with run_not_found.
-- Raises BR001.
-- Example: select plan_reconciliation_chunks('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', 10000);
create or replace function public.plan_reconciliation_chunks(
    p_run_id uuid,
    p_chunk_users integer,
    p_chunks_max integer default null
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
set statement_timeout = '60s'
-- Hop along the key, whatever the price of random reads says about it.
set enable_seqscan = 'off'
set enable_sort = 'off'
set jit = 'off'
as $$
declare
    v_run public.reconciliation_runs;
    v_after text;
    v_through text;
    v_users bigint;
    v_first_no integer;
    v_ranges integer;
    v_cut integer := 0;
    v_is_over boolean := false;
begin
    perform reconciliation.require_between('p_chunk_users', p_chunk_users, 1, 50000);
    if p_chunks_max < 0 then
        raise exception 'p_chunks_max is %', p_chunks_max
            using errcode = 'BR001', hint = 'Pass a number of chunks, or null for the whole ledger.';
    end if;

    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id for update;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;
    if v_run.state <> 'planning' then
        return reconciliation.run_json(v_run);
    end if;

    select count(*) into v_ranges
    from public.reconciliation_chunks c
    where c.run_id = p_run_id and c.phase = 'scan' and c.user_addresses is null;
    v_first_no := reconciliation.next_scan_chunk_no(p_run_id);
    v_after := v_run.planned_through;

    loop
        v_is_over := v_ranges + v_cut >= p_chunks_max;
        exit when v_is_over or v_cut = 5000;

        -- '' is the least key, as in list_user_balances.
        select b.user_address into v_through
        from public.user_balances b
        where b.user_address >= coalesce(v_after, '') and b.user_address is distinct from v_after
        order by b.user_address
        offset p_chunk_users - 1
        limit 1;
        v_is_over := not found;
        v_users := p_chunk_users;
        if v_is_over then
            v_through := null;
            select count(*) into v_users
            from public.user_balances b
            where b.user_address >= coalesce(v_after, '') and b.user_address is distinct from v_after;
        end if;

        if not v_is_over or v_users > 0 or v_first_no + v_cut > 0 then
            insert into public.reconciliation_chunks (run_id, phase, chunk_no, after_address, through_address, users)
            values (p_run_id, 'scan', v_first_no + v_cut, v_after, v_through, v_users);
            v_cut := v_cut + 1;
        end if;
        v_after := v_through;
        v_run.users_planned := v_run.users_planned + v_users;
        exit when v_is_over;
    end loop;

    update public.reconciliation_runs r
    set state = case when v_is_over then 'scanning' else 'planning' end,
        users_planned = v_run.users_planned,
        planned_through = v_after,
        rotated_through = case when v_is_over and p_chunks_max is not null then v_after end
    where r.run_id = p_run_id;
    return reconciliation.run_json(p_run_id);
end;
$$;

revoke execute on function public.plan_reconciliation_chunks(uuid, integer, integer) from public, anon, authenticated;
grant execute on function public.plan_reconciliation_chunks(uuid, integer, integer) to service_role;


-- Lease -----------------------------------------------------------------------------------------------------------

-- lease_reconciliation_chunks: gives chunks of the phase that the run is in to one worker: pending ones, and those
-- whose lease is over. Chunks that another session is busy with are passed over.
--   p_lease_s       seconds until somebody else may have them
--   p_limit         chunks at most, 1 to 1,000
--   p_attempts_max  chunks that were leased as often already are left out
--   p_phase, p_chunk_no   only this chunk
-- Returns {state, wait_s, phases, chunk_nos, tokens, attempts, users, afters, throughs, user_addresses}: what the run's
-- state is, and parallel arrays by chunk number. A range is after < key <= through, null an open end; where
-- user_addresses is no null the chunk is exactly those users. wait_s: corrections start only in so many seconds, and
-- until then none is leased. Refuses with run_not_found. Raises BR001.
-- Example: select lease_reconciliation_chunks('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', 120, 1, 5);
create or replace function public.lease_reconciliation_chunks(
    p_run_id uuid,
    p_lease_s double precision,
    p_limit integer,
    p_attempts_max integer,
    p_phase text default null,
    p_chunk_no integer default null
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
-- The next few by their index, however many there are and whatever is known of a table that has just been filled.
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
set enable_bitmapscan = 'off'
set enable_sort = 'off'
as $$
declare
    v_run public.reconciliation_runs;
    v_phase text;
    v_wait_s double precision := 0;
    v_now timestamptz := clock_timestamp();
    v_chunk_nos integer[];
    v_answer json;
begin
    perform reconciliation.require_between('p_limit', p_limit, 1, 1000);
    perform reconciliation.require_between('p_attempts_max', p_attempts_max, 1, 1000);
    if p_lease_s is null or not p_lease_s between 0 and 86400 then
        raise exception 'p_lease_s is %', coalesce(p_lease_s::text, 'null')
            using errcode = 'BR001', hint = 'Pass seconds, up to a day.';
    end if;
    if p_phase not in ('scan', 'correct') or (p_phase is null) <> (p_chunk_no is null) then
        raise exception 'p_phase is %, p_chunk_no is %', coalesce(p_phase, 'null'), coalesce(p_chunk_no::text, 'null')
            using errcode = 'BR001', hint = 'Name a chunk by its phase (scan or correct) and number, or pass neither.';
    end if;

    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;

    v_phase := reconciliation.phase_of(v_run.state);
    if p_phase is distinct from v_phase and p_phase is not null then
        v_phase := null;
    end if;
    if v_phase = 'correct' then
        v_wait_s := reconciliation.settle_wait_s(v_run);
    end if;

    v_chunk_nos := array(
        select c.chunk_no
        from public.reconciliation_chunks c
        where c.run_id = p_run_id and c.phase = v_phase and v_wait_s = 0
            and c.state in ('pending', 'leased')
            and (c.state = 'pending' or c.lease_until <= v_now)
            and c.attempts < p_attempts_max
            and (p_chunk_no is null or c.chunk_no = p_chunk_no)
        order by c.chunk_no
        limit p_limit
        for update skip locked
    );
    with leased as (
        update public.reconciliation_chunks c
        set state = 'leased',
            token = gen_random_uuid(),
            attempts = c.attempts + 1,
            lease_until = clock_timestamp() + make_interval(secs => p_lease_s)
        where c.run_id = p_run_id and c.phase = v_phase and c.chunk_no = any (v_chunk_nos)
        returning c.*
    )
    select json_build_object(
        'state', v_run.state,
        'wait_s', v_wait_s,
        'phases', coalesce(json_agg(l.phase order by l.chunk_no), '[]'),
        'chunk_nos', coalesce(json_agg(l.chunk_no order by l.chunk_no), '[]'),
        'tokens', coalesce(json_agg(l.token order by l.chunk_no), '[]'),
        'attempts', coalesce(json_agg(l.attempts order by l.chunk_no), '[]'),
        'users', coalesce(json_agg(l.users order by l.chunk_no), '[]'),
        'afters', coalesce(json_agg(l.after_address order by l.chunk_no), '[]'),
        'throughs', coalesce(json_agg(l.through_address order by l.chunk_no), '[]'),
        'user_addresses', coalesce(json_agg(l.user_addresses order by l.chunk_no), '[]')
    )
    into v_answer
    from leased l;

    return v_answer;
end;
$$;

revoke execute on function public.lease_reconciliation_chunks(uuid, double precision, integer, integer, text, integer)
    from public, anon, authenticated;
grant execute on function public.lease_reconciliation_chunks(uuid, double precision, integer, integer, text, integer)
    to service_role;


-- release_reconciliation_chunk: hands a leased chunk back unworked; the attempt does not count.
--   p_token  of the lease
-- Returns {"released": false when the lease is another's or the chunk is closed}.
-- Example: select release_reconciliation_chunk('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', 'scan', 0,
--     'a9f2b1de-7c1c-4a4e-8a0b-2f1c6a3c9d10');
create or replace function public.release_reconciliation_chunk(
    p_run_id uuid,
    p_phase text,
    p_chunk_no integer,
    p_token uuid
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
begin
    update public.reconciliation_chunks c
    set state = 'pending', token = null, lease_until = null, attempts = c.attempts - 1, queued_at = null
    where c.run_id = p_run_id and c.phase = p_phase and c.chunk_no = p_chunk_no
        and c.state = 'leased' and c.token = p_token;
    return json_build_object('released', found);
end;
$$;

revoke execute on function public.release_reconciliation_chunk(uuid, text, integer, uuid)
    from public, anon, authenticated;
grant execute on function public.release_reconciliation_chunk(uuid, text, integer, uuid) to service_role;


-- Queue -----------------------------------------------------------------------------------------------------------

-- requeue_reconciliation_chunks: which chunks of the run's phase need a message, and how the phase stands. Chunks that
-- are out of attempts are failed first, with all of their users that nothing is decided on (code chunk_gave_up); the
-- last one of the corrections finishes the run.
--   p_older_than_s  age in seconds at which a pending chunk's message is taken for lost
--   p_attempts_max  leases that a chunk gets
-- Returns {state, phases, chunk_nos, wait_s, gave_up, outcomes, pending, leased, done, failed}: the chunks marked as
-- queued now, because they never were, or too long ago, or their lease is over; wait_s until corrections may start; how
-- many were given up, and the outcomes of their users, {corrected, failed}; how many chunks of the phase are in which
-- state. Refuses with run_not_found. Raises BR001.
-- Example: select requeue_reconciliation_chunks('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', 900, 5);
create or replace function public.requeue_reconciliation_chunks(
    p_run_id uuid,
    p_older_than_s double precision,
    p_attempts_max integer
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
set statement_timeout = '60s'
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
as $$
declare
    v_run public.reconciliation_runs;
    v_phase text;
    v_now timestamptz;
    v_chunk public.reconciliation_chunks;
    v_gave_up integer[] := '{}';
    v_chunk_nos integer[];
begin
    perform reconciliation.require_between('p_attempts_max', p_attempts_max, 1, 1000);
    if p_older_than_s is null or not p_older_than_s between 0 and 31536000 then
        raise exception 'p_older_than_s is %', coalesce(p_older_than_s::text, 'null')
            using errcode = 'BR001', hint = 'Pass seconds, up to a year.';
    end if;

    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id for update;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;

    v_phase := reconciliation.phase_of(v_run.state);
    v_now := clock_timestamp();

    for v_chunk in
        select c.*
        from public.reconciliation_chunks c
        where c.run_id = p_run_id and c.phase = v_phase and c.state in ('pending', 'leased')
            and (c.state = 'pending' or c.lease_until <= v_now)
            and c.attempts >= p_attempts_max
        order by c.chunk_no
        for update
    loop
        perform reconciliation.fail_chunk(v_chunk, 'chunk_gave_up', format(
            'the chunk was leased %s times and closed by nobody%s. Reconcile again; look at the workers if it '
            'persists.',
            v_chunk.attempts, coalesce('; the last error was: ' || v_chunk.error, '')));
        v_gave_up := v_gave_up || v_chunk.chunk_no;
    end loop;
    v_run.state := reconciliation.finish_if_closed(v_run);

    v_chunk_nos := array(
        select c.chunk_no
        from public.reconciliation_chunks c
        where c.run_id = p_run_id and c.phase = reconciliation.phase_of(v_run.state)
            and c.state in ('pending', 'leased')
            and case c.state
                when 'pending' then c.queued_at is null or c.queued_at < v_now - make_interval(secs => p_older_than_s)
                else c.lease_until <= v_now
            end
        order by c.chunk_no
        for update
    );
    update public.reconciliation_chunks c
    set queued_at = v_now
    where c.run_id = p_run_id and c.phase = v_phase and c.chunk_no = any (v_chunk_nos);

    return (
        select json_build_object(
            'state', v_run.state,
            'phases', array_fill(v_phase, array[cardinality(v_chunk_nos)]),
            'chunk_nos', v_chunk_nos,
            'wait_s', reconciliation.settle_wait_s(v_run),
            'gave_up', cardinality(v_gave_up),
            'outcomes', json_build_object(
                'corrected', coalesce(sum(c.corrected) filter (where c.chunk_no = any (v_gave_up)), 0),
                'failed', coalesce(sum(c.failed) filter (where c.chunk_no = any (v_gave_up)), 0)),
            'pending', count(*) filter (where c.state = 'pending'),
            'leased', count(*) filter (where c.state = 'leased'),
            'done', count(*) filter (where c.state = 'done'),
            'failed', count(*) filter (where c.state = 'failed')
        )
        from public.reconciliation_chunks c
        where c.run_id = p_run_id
            and c.phase = coalesce(v_phase, 'correct')
    );
end;
$$;

revoke execute on function public.requeue_reconciliation_chunks(uuid, double precision, integer)
    from public, anon, authenticated;
grant execute on function public.requeue_reconciliation_chunks(uuid, double precision, integer) to service_role;
