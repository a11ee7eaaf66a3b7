-- Holds and rollbacks. A hold keeps corrections away from a user until an admin releases them; events of the app's go
-- on. A rollback undoes a correction by a new audit row, and holds the user in the same transaction: else the next
-- sweep would correct what an admin has just undone. History is never edited.
--
-- Lock order: the rows of user_balances in address order, then their holds. The procedures of 004 look for holds after
-- they have locked, so a correction and a hold of one user never miss each other.

-- 1. Tables of these names that are there already are checked before anything is touched.
do $$
begin
    perform reconciliation.check_column('reconciliation_holds', 'hold_id', 'bigint', p_required => true);
    perform reconciliation.check_column('reconciliation_holds', 'user_address', 'text', p_required => true);
    perform reconciliation.check_column('reconciliation_holds', 'audit_id', 'text', p_required => true);
    perform reconciliation.check_column('reconciliation_holds', 'released_at', 'time', p_required => true);
    perform reconciliation.secure_existing_table('reconciliation_holds');
end;
$$;

-- 2. One row a hold, kept after its release. service_role reads it; nothing but the procedures below writes it.
create table if not exists public.reconciliation_holds (
    hold_id bigint generated always as identity primary key,
    user_address text collate "C" not null,
    held_at timestamptz not null,
    held_by text not null,
    reason text not null,
    audit_id text,                      -- the audit row of the rollback that held the user, if one did
    released_at timestamptz,            -- null: the hold is active
    released_by text,
    release_reason text
);

create unique index if not exists reconciliation_holds_one_active_key
    on public.reconciliation_holds (user_address) where released_at is null;
create index if not exists reconciliation_holds_user_history_idx
    on public.reconciliation_holds (user_address, hold_id);

-- 3. Who may touch it.
select reconciliation.revoke_new_table_grants('reconciliation_holds');
alter table public.reconciliation_holds enable row level security;
revoke all on table public.reconciliation_holds from public, anon, authenticated, service_role;
grant select on table public.reconciliation_holds to service_role;


-- What these procedures say the same way --------------------------------------------------------------------------

-- What is wrong with a reason, or null.
create or replace function reconciliation.reason_fault(p_reason text)
returns text
language sql
immutable
as $$
    select case
        when p_reason is null or btrim(p_reason) = '' then 'p_reason is blank: say why, it is kept'
        when length(p_reason) > 500 then 'p_reason is longer than 500 characters'
    end;
$$;

-- Refuses a call whose admin or reason is wrong.
create or replace function reconciliation.require_admin_and_reason(p_admin_address text, p_reason text)
returns void
language plpgsql
immutable
set search_path = ''
as $$
declare
    v_fault text;
begin
    v_fault := coalesce(reconciliation.admin_fault(p_admin_address), reconciliation.reason_fault(p_reason));
    if v_fault is not null then
        raise exception '%', v_fault using errcode = 'BR001', hint = 'Say who acts, and why.';
    end if;
end;
$$;

-- A hold, the form in which every procedure answers.
create or replace function reconciliation.hold_json(p_hold public.reconciliation_holds)
returns json
language sql
stable
set search_path = ''
as $$
    select json_build_object(
        'user_address', p_hold.user_address, 'held_at', p_hold.held_at, 'held_by', p_hold.held_by,
        'reason', p_hold.reason, 'audit_id', p_hold.audit_id, 'released_at', p_hold.released_at,
        'released_by', p_hold.released_by, 'release_reason', p_hold.release_reason
    );
$$;

-- The answer of hold_user and release_user.
create or replace function reconciliation.hold_answer(p_outcome text, p_hold public.reconciliation_holds)
returns json
language sql
stable
set search_path = ''
as $$
    select json_build_object(
        'outcome', p_outcome, 'hold', case when p_hold.hold_id is not null then reconciliation.hold_json(p_hold) end);
$$;


-- Holds -----------------------------------------------------------------------------------------------------------

-- hold_user: no correction of this user until release_user; a correction that is being written is waited for.
--   p_user_address   the key exactly as stored
--   p_admin_address  who acts, up to 200 characters
--   p_reason         why, up to 500 characters
-- Returns {"outcome", "hold": {user_address, held_at, held_by, reason, audit_id, released_at, released_by,
-- release_reason} | null}:
--   held            it is now
--   already_held    it was; hold is that one, whoever placed it. The same call again says so too
--   user_not_found  the ledger has no such row; hold is null
-- Raises BR001 (admin or reason invalid).
-- Example: select hold_user('0x01cf0e2f2f715450', 'alice', 'ticket 4711: the deposit is disputed');
create or replace function public.hold_user(p_user_address text, p_admin_address text, p_reason text)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_hold public.reconciliation_holds;
begin
    perform reconciliation.require_admin_and_reason(p_admin_address, p_reason);

    perform from public.user_balances b where b.user_address = p_user_address for update;
    if not found then
        return reconciliation.hold_answer('user_not_found', null);
    end if;

    select h.* into v_hold
    from public.reconciliation_holds h
    where h.user_address = p_user_address and h.released_at is null;
    if found then
        return reconciliation.hold_answer('already_held', v_hold);
    end if;

    insert into public.reconciliation_holds (user_address, held_at, held_by, reason)
    values (p_user_address, clock_timestamp(), p_admin_address, p_reason)
    returning * into v_hold;
    return reconciliation.hold_answer('held', v_hold);
end;
$$;

revoke execute on function public.hold_user(text, text, text) from public, anon, authenticated;
grant execute on function public.hold_user(text, text, text) to service_role;


-- release_user: lets corrections of a user go on; the next sweep looks at them as at everybody.
--   p_user_address   the key exactly as it was held; the ledger need not have the row any more
--   p_admin_address  who acts, up to 200 characters
--   p_reason         why, up to 500 characters; may be left out
-- Returns {"outcome", "hold"} as hold_user:
--   released        it is now; hold tells since when it was held and by whom
--   not_held        it was not; hold is the last one that was released, or null. The same call again says so too
-- Raises BR001 (admin or reason invalid).
-- Example: select release_user('0x01cf0e2f2f715450', 'alice');
create or replace function public.release_user(
    p_user_address text,
    p_admin_address text,
    p_reason text default null
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_hold public.reconciliation_holds;
begin
    perform reconciliation.require_admin_and_reason(p_admin_address, coalesce(p_reason, 'released'));

    perform from public.user_balances b where b.user_address = p_user_address for update;

    update public.reconciliation_holds h
    set released_at = clock_timestamp(), released_by = p_admin_address, release_reason = p_reason
    where h.user_address = p_user_address and h.released_at is null
    returning h.* into v_hold;
    if found then
        return reconciliation.hold_answer('released', v_hold);
    end if;

    select h.* into v_hold
    from public.reconciliation_holds h
    where h.user_address = p_user_address
    order by h.hold_id desc
    limit 1;
    return reconciliation.hold_answer('not_held', v_hold);
end;
$$;

revoke execute on function public.release_user(text, text, text) from public, anon, authenticated;
grant execute on function public.release_user(text, text, text) to service_role;


-- list_holds: one page of the active holds, by key.
--   p_after  the last address of the page before; null starts from the beginning
--   p_limit  holds at most, 1 to 10,000, else BR001
-- Returns an array of holds as in hold_user. A page that holds fewer than p_limit is the last.
-- Example: select list_holds(p_limit => 100);
create or replace function public.list_holds(p_after text default null, p_limit integer default 1000)
returns json
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
    perform reconciliation.require_between('p_limit', p_limit, 1, 10000);
    return (
        select coalesce(json_agg(reconciliation.hold_json(h) order by h.user_address), '[]')
        from (
            select h.*
            from public.reconciliation_holds h
            -- '' is the least key, as in list_user_balances.
            where h.released_at is null and h.user_address >= coalesce(p_after, '')
                and h.user_address is distinct from p_after
            order by h.user_address
            limit p_limit
        ) h
    );
end;
$$;

revoke execute on function public.list_holds(text, integer) from public, anon, authenticated;
grant execute on function public.list_holds(text, integer) to service_role;


-- list_user_holds: the holds of one user, the newest first, those that were released included.
--   p_limit  holds at most, 1 to 1,000, else BR001
-- Returns an array of holds as in hold_user.
-- Example: select list_user_holds('0x01cf0e2f2f715450');
create or replace function public.list_user_holds(p_user_address text, p_limit integer default 100)
returns json
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
    perform reconciliation.require_between('p_limit', p_limit, 1, 1000);
    return (
        select coalesce(json_agg(reconciliation.hold_json(h) order by h.hold_id desc), '[]')
        from (
            select h.*
            from public.reconciliation_holds h
            where h.user_address = p_user_address
            order by h.hold_id desc
            limit p_limit
        ) h
    );
end;
$$;

revoke execute on function public.list_user_holds(text, integer) from public, anon, authenticated;
grant execute on function public.list_user_holds(text, integer) to service_role;


-- Rollbacks -------------------------------------------------------------------------------------------------------

-- The type of the audit log's ids, without its length: an existing table may have any.
create or replace function reconciliation.audit_id_type()
returns text
language sql
stable
set search_path = ''
as $$
    select pg_catalog.format_type(a.atttypid, -1)
    from pg_catalog.pg_attribute a
    where a.attrelid = 'public.balance_audit_log'::regclass and a.attname = 'id';
$$;

-- The same array, with null for what cannot be an id. The exception handler costs a subtransaction, so all are tried at
-- once first.
create or replace function reconciliation.possible_audit_ids(p_audit_ids text[])
returns text[]
language plpgsql
stable
set search_path = ''
as $$
declare
    v_type text := reconciliation.audit_id_type();
    v_possible text[] := p_audit_ids;
begin
    begin
        execute format('select $1::%s[]', v_type) using p_audit_ids;
        return p_audit_ids;
    exception when data_exception or integrity_constraint_violation then
        null;
    end;

    for v_no in 1 .. cardinality(p_audit_ids) loop
        begin
            execute format('select $1::%s', v_type) using p_audit_ids[v_no];
        exception when data_exception or integrity_constraint_violation then
            v_possible[v_no] := null;
        end;
    end loop;
    return v_possible;
end;
$$;

-- Rolls corrections back, or says what a rollback would do: what both procedures below do. Audit rows never change, so
-- they are read before anything is locked.
create or replace function reconciliation.roll_back(
    p_audit_ids text[],
    p_admin_address text,
    p_reason text,
    p_dry_run boolean
)
returns json
language plpgsql
set search_path = ''
-- As in reconcile_user_balances: few are named, of many. Whatever the caller has set for its own statement.
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
set enable_bitmapscan = 'on'
set enable_sort = 'on'
set jit = 'off'
as $$
declare
    v_audit_ids text[];
    v_user_addresses text[];
    v_are_corrections boolean[];
    v_befores numeric[];
    v_afters numeric[];
    v_chain_nos bigint[];
    v_created_ats timestamptz[];
    v_outcomes text[];
    v_codes text[];
    v_rollback_ids text[];
    v_written_users text[];
    v_written_ids text[];
    v_now timestamptz;
begin
    -- What the ids name. By their own type, so that the table's key finds them.
    execute format(
        $query$
            select
                array_agg(a.id::text order by i.position),
                array_agg(a.user_address::text order by i.position),
                array_agg(a.operation_type = 'reconciliation' and a.amount <> 0 order by i.position),
                array_agg(a.balance_before order by i.position),
                array_agg(a.balance_after order by i.position),
                array_agg(a.chain_no order by i.position),
                array_agg(a.created_at::timestamptz order by i.position)
            from unnest($1::%s[]) with ordinality as i (id, position)
            left join public.balance_audit_log a on a.id = i.id
        $query$, reconciliation.audit_id_type())
    into v_audit_ids, v_user_addresses, v_are_corrections, v_befores, v_afters, v_chain_nos, v_created_ats
    using reconciliation.possible_audit_ids(p_audit_ids);

    if not p_dry_run then
        perform
        from (select distinct u.user_address from unnest(v_user_addresses) as u (user_address)) i
        join public.user_balances b on b.user_address = i.user_address
        order by b.user_address collate "C"
        for update of b;
    end if;

    -- Judge. Who has a later correction that still stands cannot go back behind it; of two corrections of one user the
    -- later one goes first.
    with judged as materialized (
        select
            i.position, i.user_address, i.chain_no, i.created_at, r.id::text as rollback_id,
            case
                when i.audit_id is null then 'audit_not_found'
                when r.id is not null then null
                when not i.is_correction then 'not_a_correction'
                when b.user_address is null then 'ledger_row_missing'
                when b.balance is distinct from i.balance_after then 'changed_meanwhile'
                when b.audit_chain_no is distinct from i.chain_no and exists (
                    select
                    from public.balance_audit_log l
                    where l.user_address = i.user_address
                        -- Rows from before the chain come first, in the order of their times.
                        and (l.chain_no > coalesce(i.chain_no, 0)
                            or (l.chain_no is null and i.chain_no is null and l.created_at > i.created_at))
                        and l.operation_type = 'reconciliation' and l.amount <> 0
                        and not exists (
                            select from public.balance_audit_log u where u.reverses_audit_id = l.id::text)
                ) then 'changed_meanwhile'
            end as code
        from unnest(v_audit_ids, v_user_addresses, v_are_corrections, v_afters, v_chain_nos, v_created_ats)
            with ordinality
            as i (audit_id, user_address, is_correction, balance_after, chain_no, created_at, position)
        left join public.user_balances b on b.user_address = i.user_address
        left join public.balance_audit_log r on r.reverses_audit_id = i.audit_id
    ),
    decided as (
        select j.position, j.rollback_id,
            case when j.code is null and j.rollback_id is null
                and row_number() over (
                    partition by j.user_address, j.code is null and j.rollback_id is null
                    order by j.chain_no desc nulls last, j.created_at desc, j.position) > 1
                then 'changed_meanwhile' else j.code end as code
        from judged j
    )
    select
        array_agg(
            case
                when d.code is not null then 'refused'
                when d.rollback_id is not null then 'already_rolled_back'
                when p_dry_run then 'would_roll_back'
                else 'rolled_back'
            end
            order by d.position),
        array_agg(d.code order by d.position),
        array_agg(d.rollback_id order by d.position)
    into v_outcomes, v_codes, v_rollback_ids
    from decided d;

    if array_position(v_outcomes, 'rolled_back') is not null then
        -- The clock, not now(): see reconcile_user_balance.
        v_now := clock_timestamp();

        -- Where each chain ends: see reconcile_user_balances.
        with linked as (
            select i.*, coalesce(l.chain_no, 0) + 1 as next_chain_no, l.row_hash as previous_hash
            from unnest(v_audit_ids, v_user_addresses, v_befores, v_afters, v_outcomes)
                as i (audit_id, user_address, balance_before, balance_after, outcome)
            join public.user_balances b on b.user_address = i.user_address
            left join reconciliation.audit_heads h on h.user_address = i.user_address
            left join lateral (
                select a.chain_no, a.row_hash
                from public.balance_audit_log a
                where b.audit_chain_no is null and h.chain_no is null and a.user_address = i.user_address
                    and a.chain_no is not null
                order by a.chain_no desc
                limit 1
            ) last on true
            cross join lateral (
                select h.chain_no > coalesce(b.audit_chain_no, 0)
            ) as e (is_in_heads)
            cross join lateral (
                select
                    case when e.is_in_heads then h.chain_no else coalesce(b.audit_chain_no, last.chain_no) end,
                    case when e.is_in_heads then h.row_hash else coalesce(b.audit_hash, last.row_hash) end
            ) l (chain_no, row_hash)
            where i.outcome = 'rolled_back'
        ),
        written as (
            insert into public.balance_audit_log (
                user_address, operation_type, amount, balance_before, balance_after, transaction_hash, created_at,
                reason, reverses_audit_id, chain_no, previous_hash
            )
            select
                l.user_address, 'reconciliation_rollback', l.balance_before - l.balance_after, l.balance_after,
                l.balance_before, 'rollback_by_' || p_admin_address, v_now, p_reason, l.audit_id, l.next_chain_no,
                l.previous_hash
            from linked l
            returning user_address, id::text as audit_id, balance_after, chain_no, row_hash
        ),
        updated as (
            update public.user_balances b
            set balance = w.balance_after, updated_at = v_now, audit_chain_no = w.chain_no, audit_hash = w.row_hash
            from written w
            where b.user_address = w.user_address
        )
        select array_agg(w.user_address::text), array_agg(w.audit_id)
        into v_written_users, v_written_ids
        from written w;

        insert into public.reconciliation_holds (user_address, held_at, held_by, reason, audit_id)
        select w.user_address, v_now, p_admin_address, p_reason, w.audit_id
        from unnest(v_written_users, v_written_ids) as w (user_address, audit_id)
        on conflict (user_address) where released_at is null do nothing;
    end if;

    return (
        select json_build_object(
            'outcomes', coalesce(json_agg(i.outcome order by i.position), '[]'),
            'codes', coalesce(json_agg(i.code order by i.position), '[]'),
            'audit_ids', coalesce(json_agg(i.asked order by i.position), '[]'),
            'user_addresses', coalesce(json_agg(i.user_address order by i.position), '[]'),
            'old_balances', coalesce(json_agg(reconciliation.amount_text(i.balance_after) order by i.position), '[]'),
            'new_balances', coalesce(json_agg(reconciliation.amount_text(i.balance_before) order by i.position), '[]'),
            'rollback_audit_ids', coalesce(json_agg(coalesce(i.rollback_id, w.audit_id) order by i.position), '[]')
        )
        from unnest(
            p_audit_ids, v_user_addresses, v_befores, v_afters, v_outcomes, v_codes, v_rollback_ids
        ) with ordinality
            as i (asked, user_address, balance_before, balance_after, outcome, code, rollback_id, position)
        left join unnest(v_written_users, v_written_ids) as w (user_address, audit_id)
            on i.outcome = 'rolled_back' and w.user_address = i.user_address
    );
end;
$$;

-- rollback_user_balances: undoes corrections, each by its audit row, up to 50,000 in one transaction: the balance goes
-- back to what it was before, with an audit row of its own, and the user is held.
--   p_audit_ids      ids of balance_audit_log as text, each once; any text is looked up, none raises
--   p_admin_address  who acts, up to 200 characters; kept as 'rollback_by_' || admin
--   p_reason         why, up to 500 characters; kept in the audit row and with the hold
--   p_dry_run        true: say what would happen, lock and write nothing
-- Returns, in the order of the input, {"outcomes": [text], "codes": [text | null], "audit_ids": [as given],
-- "user_addresses": [text | null], "old_balances": [FLOW text | null], "new_balances": [FLOW text | null],
-- "rollback_audit_ids": [text | null]}: old is what the correction wrote, new what it had found.
--   rolled_back          now; rollback_audit_ids has the new audit row
--   would_roll_back      dry run: it would be
--   already_rolled_back  it was before; rollback_audit_ids has that audit row, and nothing is changed
--   refused              not written, with a code:
--     audit_not_found     there is no such audit row
--     not_a_correction    it is no correction that moved a balance
--     ledger_row_missing  the ledger has no row of this user any more
--     changed_meanwhile   the balance is not what that correction wrote any more, or a later correction stands
-- The audit row: operation_type 'reconciliation_rollback', amount = minus the correction's, reason, reverses_audit_id =
-- the correction's id; an audit row is reversed once. The row's fence (reconciled_height) stays where it was.
-- Raises BR001 (argument null or nested, admin or reason invalid), BR002 (an id twice), BR003 (over 50,000). An error
-- of the app's own constraints rolls the whole call back with its SQLSTATE (23514, …).
-- Example: select rollback_user_balances(array['17'], 'alice', 'ticket 4711: the contract address was wrong');
create or replace function public.rollback_user_balances(
    p_audit_ids text[],
    p_admin_address text,
    p_reason text,
    p_dry_run boolean default false
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_twice text;
begin
    perform reconciliation.require_batch_array('p_audit_ids', p_audit_ids);
    perform reconciliation.require_admin_and_reason(p_admin_address, p_reason);
    perform reconciliation.require_value('p_dry_run', p_dry_run);

    select i.id into v_twice
    from unnest(p_audit_ids) as i (id)
    where i.id is not null
    group by i.id
    having count(*) > 1
    limit 1;
    if found then
        raise exception 'p_audit_ids names % more than once', v_twice
            using errcode = 'BR002', hint = 'Give each audit row once a call.';
    end if;

    return reconciliation.roll_back(p_audit_ids, p_admin_address, p_reason, p_dry_run);
end;
$$;

revoke execute on function public.rollback_user_balances(text[], text, text, boolean) from public, anon, authenticated;
grant execute on function public.rollback_user_balances(text[], text, text, boolean) to service_role;


-- rollback_reconciliation_run: rollback_user_balances for a page of a run's corrections, by key.
--   p_run_id   a run that has ended
--   p_after    the last address of the page before; null starts from the beginning
--   p_limit    corrections at most, 1 to 50,000
--   p_admin_address, p_reason, p_dry_run   as in rollback_user_balances
-- Returns what rollback_user_balances does, and "through": the last address of the page, null when the run has no more.
-- Refuses with {"refused": code, "run": run | null}: run_not_found, or run_not_applicable while the run goes on: end it
-- first, else it would correct further. Raises BR001.
-- Example: select rollback_reconciliation_run('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', null, 10000, 'alice',
--     'ticket 4711: the contract address was wrong');
create or replace function public.rollback_reconciliation_run(
    p_run_id uuid,
    p_after text,
    p_limit integer,
    p_admin_address text,
    p_reason text,
    p_dry_run boolean default false
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
-- The next page by the index on run and user, whatever is known of a log that has just grown.
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
set enable_bitmapscan = 'off'
set enable_sort = 'off'
as $$
declare
    v_run public.reconciliation_runs;
    v_audit_ids text[];
    v_through text;
begin
    perform reconciliation.require_between('p_limit', p_limit, 1, 50000);
    perform reconciliation.require_admin_and_reason(p_admin_address, p_reason);
    perform reconciliation.require_value('p_dry_run', p_dry_run);

    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;
    if v_run.state in ('planning', 'scanning', 'awaiting_approval', 'correcting') then
        return reconciliation.run_refused('run_not_applicable', p_run_id);
    end if;

    select array_agg(page.audit_id), max(page.user_address) filter (where page.no = p_limit)
    into v_audit_ids, v_through
    from (
        select a.id::text as audit_id, a.user_address::text as user_address,
            row_number() over (order by a.user_address) as no
        from public.balance_audit_log a
        -- '' is the least key, as in list_user_balances.
        where a.run_id = p_run_id and a.user_address >= coalesce(p_after, '')
            and a.user_address is distinct from p_after
            and a.operation_type = 'reconciliation' and a.amount <> 0
        order by a.user_address
        limit p_limit
    ) page;

    return (
        reconciliation.roll_back(coalesce(v_audit_ids, '{}'), p_admin_address, p_reason, p_dry_run)::jsonb
        || jsonb_build_object('through', v_through)
    )::json;
end;
$$;

revoke execute on function public.rollback_reconciliation_run(uuid, text, integer, text, text, boolean)
    from public, anon, authenticated;
grant execute on function public.rollback_reconciliation_run(uuid, text, integer, text, text, boolean)
    to service_role;
