-- Correcting the ledger: one user (reconcile_user_balance) and a whole chunk (reconcile_user_balances).
-- Both lock first and compare afterwards, write the balance and its audit row in one transaction, and refuse a
-- balance read at an older height than the row has seen. A wait for a lock ends after 5 s with SQLSTATE 55P03.


-- What both procedures and the balance events say the same way ---------------------------------------------------
-- No SET clause on the one-expression functions: the planner then inlines them into the set-based statements.

-- True if the amount can be audited as it is: a finite number of 1e-8 FLOW below 10^12; null counts as zero.
create or replace function reconciliation.is_exact_amount(p_amount numeric)
returns boolean
language sql
immutable
as $$
    select coalesce(abs(p_amount) < 1000000000000 and scale(trim_scale(p_amount)) <= 8, true);
$$;

-- What is wrong with a contract balance, or null: UFix64 is 0 to 184467440737.09551615 in steps of 1e-8.
create or replace function reconciliation.balance_fault(p_contract_balance numeric)
returns text
language sql
immutable
as $$
    select 'p_contract_balance is ' || case
        when p_contract_balance is null then 'null: a balance that could not be read is never zero, read it again'
        when p_contract_balance = 'NaN' then 'not a number: pass FLOW as decimal text with at most 8 places'
        when p_contract_balance < 0 then 'negative: a contract cannot hold less than zero, check the balance script'
        when p_contract_balance > 184467440737.09551615
            then 'above 184467440737.09551615, the largest UFix64: pass FLOW, not units of 1e-8'
        when scale(trim_scale(p_contract_balance)) > 8
            then 'finer than 1e-8: pass the exact UFix64, never a float'
    end;
$$;

-- What is wrong with the admin's name, or null.
create or replace function reconciliation.admin_fault(p_admin_address text)
returns text
language sql
immutable
as $$
    select case
        when p_admin_address is null or btrim(p_admin_address) = ''
            then 'p_admin_address is blank: say who acts, the audit row keeps it'
        when length(p_admin_address) > 200
            then 'p_admin_address is longer than 200 characters: pass an address or a short name'
    end;
$$;

-- Why no row may be created under this key, or null. The same account under another spelling would be a second row
-- for one user's money.
create or replace function reconciliation.new_address_fault(p_user_address text)
returns text
language sql
stable
as $$
    select case
        when p_user_address is null then 'p_user_address is null: name the user'
        when p_user_address !~ '^(0x)?[0-9a-fA-F]{16}$'
            then 'p_user_address is not in the ledger and no Flow address: pass 0x and 16 hex digits'
        else (
            select 'the ledger holds this account as ' || b.user_address || ': pass p_user_address as it is stored'
            from public.user_balances b,
                lower(right(p_user_address, 16)) as hex
            where b.user_address in (hex, upper(hex), '0x' || hex, '0x' || upper(hex))
                and b.user_address <> p_user_address
            limit 1
        )
    end;
$$;

-- Creates the row of a missing user with a balance of 0. False if somebody else has just created it (after waiting
-- for them to commit): lock the row again then.
create or replace function reconciliation.create_user_balance(p_user_address text)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
    insert into public.user_balances (user_address, balance)
    values (p_user_address, 0)
    on conflict (user_address) do nothing;
    if found then
        -- Somebody may be writing an audit row of this user without a ledger row to lock.
        perform reconciliation.lock_audit_chains(array[p_user_address]);
        return true;
    end if;
    return false;
end;
$$;

-- An amount as decimal text with 8 places, whatever the scale of the column it came from.
create or replace function reconciliation.amount_text(p_amount numeric)
returns text
language sql
immutable
as $$
    select p_amount::numeric(20, 8)::text;
$$;

-- The answer of reconcile_user_balance when it wrote nothing.
create or replace function reconciliation.refused(p_user_address text, p_code text, p_error text)
returns json
language sql
stable
set search_path = ''
as $$
    select json_build_object(
        'success', false, 'error', p_error, 'code', p_code, 'user_address', p_user_address,
        'old_balance', null, 'new_balance', null, 'discrepancy', null, 'audit_id', null, 'block_height', null
    );
$$;

-- The answer of reconcile_user_balance that an audit row stands for, now or when the call is repeated.
create or replace function reconciliation.reconciled(p_audit public.balance_audit_log)
returns json
language sql
stable
set search_path = ''
as $$
    select json_build_object(
        'success', true, 'error', null, 'code', null, 'user_address', p_audit.user_address,
        'old_balance', reconciliation.amount_text(p_audit.balance_before),
        'new_balance', reconciliation.amount_text(p_audit.balance_after),
        'discrepancy', reconciliation.amount_text(p_audit.amount),
        'audit_id', p_audit.id::text, 'block_height', p_audit.block_height
    );
$$;


-- One user -------------------------------------------------------------------------------------------------------

-- reconcile_user_balance: sets a user's ledger balance to the contract's and writes the audit row, also when the
-- two agree already (an admin acted). Creates a missing user, whose old balance is 0.
--   p_user_address      the key exactly as stored; a new one has to be a Flow address
--   p_contract_balance  FLOW, a UFix64: 0 to 184467440737.09551615, at most 8 places
--   p_admin_address     who acts, up to 200 characters; kept as 'reconciliation_by_' || admin
--   p_expected_balance  FLOW; write only if the ledger still holds this (a missing user holds 0); null: no condition
--   p_block_height      block the contract was read at; null: the row's fence is neither checked nor raised
--   p_run_id            the same run for the same user again changes nothing and reports the first result
-- Returns {success, error, code, user_address, old_balance, new_balance, discrepancy, audit_id, block_height}; amounts
-- are decimal text with 8 places, discrepancy = contract - ledger. On an error the database is as it was, and code is:
--   invalid_address         no such row, and the key cannot become one
--   invalid_balance         p_contract_balance is null, not finite, negative, too large or too fine
--   invalid_admin           p_admin_address is blank or too long
--   invalid_height          p_block_height is negative
--   invalid_ledger_balance  the stored balance cannot be audited: not finite, 10^12 or more, or finer than 1e-8
--   user_held               the two differ, and an admin holds the user: release_user (015) first
--   stale_height            the row has seen a later block than p_block_height
--   changed_meanwhile       the ledger no longer holds p_expected_balance
-- Example: select reconcile_user_balance('0x01cf0e2f2f715450', 12.5, '0xf8d6e0586b0a20c7');
create or replace function public.reconcile_user_balance(
    p_user_address text,
    p_contract_balance numeric,
    p_admin_address text default 'ADMIN',
    p_expected_balance numeric default null,
    p_block_height bigint default null,
    p_run_id uuid default null
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_user public.user_balances;
    v_exists boolean;
    v_fence bigint;
    v_ledger_balance numeric;
    v_error text;
    v_now timestamptz;
    v_audit public.balance_audit_log;
begin
    v_error := reconciliation.balance_fault(p_contract_balance);
    if v_error is not null then
        return reconciliation.refused(p_user_address, 'invalid_balance', v_error);
    end if;

    v_error := reconciliation.admin_fault(p_admin_address);
    if v_error is not null then
        return reconciliation.refused(p_user_address, 'invalid_admin', v_error);
    end if;

    if p_block_height < 0 then
        return reconciliation.refused(p_user_address, 'invalid_height',
            'p_block_height is negative: pass the height the contract was read at');
    end if;

    loop
        select b.* into v_user
        from public.user_balances b
        where b.user_address = p_user_address
        for update;
        v_exists := found;

        -- Looked up under the lock, so that a retry that waited for the first call sees its audit row.
        select a.* into v_audit
        from public.balance_audit_log a
        where a.run_id = p_run_id and a.user_address = p_user_address;
        if found then
            return reconciliation.reconciled(v_audit);
        end if;

        v_error := case when not v_exists then reconciliation.new_address_fault(p_user_address) end;
        if v_error is not null then
            return reconciliation.refused(p_user_address, 'invalid_address', v_error);
        end if;

        v_ledger_balance := coalesce(v_user.balance, 0);
        if not reconciliation.is_exact_amount(v_ledger_balance) then
            return reconciliation.refused(p_user_address, 'invalid_ledger_balance',
                'the stored balance ' || v_ledger_balance || ' cannot be audited: set it right by hand first');
        end if;

        if v_ledger_balance <> p_contract_balance and exists (
            select from public.reconciliation_holds h
            where h.user_address = p_user_address and h.released_at is null
        ) then
            return reconciliation.refused(p_user_address, 'user_held',
                'an admin holds this user since a rollback or by choice: release_user lets corrections go on');
        end if;

        v_fence := greatest(v_user.reconciled_height, v_user.event_height);
        if p_block_height < v_fence then
            return reconciliation.refused(p_user_address, 'stale_height',
                'the row has seen block ' || v_fence || ', the contract was read at ' || p_block_height
                || ': read it again at a later block');
        end if;

        if p_expected_balance <> v_ledger_balance then
            return reconciliation.refused(p_user_address, 'changed_meanwhile',
                'the ledger holds ' || v_ledger_balance || ', not p_expected_balance ' || p_expected_balance
                || ': read both sides again');
        end if;

        exit when v_exists or reconciliation.create_user_balance(p_user_address);
    end loop;

    -- The clock, not now(): a user's history is in the order of the locks, however long a call waited for its own.
    v_now := clock_timestamp();

    insert into public.balance_audit_log (
        user_address, operation_type, amount, balance_before, balance_after, transaction_hash, created_at,
        run_id, block_height, chain_no, previous_hash
    )
    select
        p_user_address, 'reconciliation', p_contract_balance - v_ledger_balance, v_ledger_balance, p_contract_balance,
        'reconciliation_by_' || p_admin_address, v_now, p_run_id, p_block_height, l.chain_no, l.previous_hash
    from reconciliation.next_audit_link(p_user_address) l
    returning * into v_audit;

    update public.user_balances b
    set balance = p_contract_balance,
        reconciled_height = greatest(b.reconciled_height, p_block_height),
        reconciled_at = v_now,
        updated_at = v_now,
        audit_chain_no = v_audit.chain_no,
        audit_hash = v_audit.row_hash
    where b.user_address = p_user_address;

    return reconciliation.reconciled(v_audit);
end;
$$;

revoke execute on function public.reconcile_user_balance(text, numeric, text, numeric, bigint, uuid)
    from public, anon, authenticated;
grant execute on function public.reconcile_user_balance(text, numeric, text, numeric, bigint, uuid) to service_role;


-- A whole chunk --------------------------------------------------------------------------------------------------

-- Refuses a batch that is wrong as a whole; what is wrong with one user is that user's outcome.
create or replace function reconciliation.require_batch(
    p_user_addresses text[],
    p_contract_balances numeric[],
    p_expected_balances numeric[],
    p_block_height bigint,
    p_admin_address text
)
returns void
language plpgsql
set search_path = ''
as $$
declare
    v_address text;
begin
    perform reconciliation.require_batch_array('p_user_addresses', p_user_addresses);
    perform reconciliation.require_batch_array('p_contract_balances', p_contract_balances);
    perform reconciliation.require_batch_array('p_expected_balances', p_expected_balances);

    if cardinality(p_contract_balances) <> cardinality(p_user_addresses)
        or cardinality(p_expected_balances) <> cardinality(p_user_addresses)
    then
        raise exception 'the arrays have % addresses, % contract balances and % expected balances',
            cardinality(p_user_addresses), cardinality(p_contract_balances), cardinality(p_expected_balances)
            using errcode = 'BR001', hint = 'Give one element a user in each array; null expects that there is no row.';
    end if;

    if p_block_height is null or p_block_height < 0 then
        raise exception 'p_block_height is %', coalesce(p_block_height::text, 'null')
            using errcode = 'BR001', hint = 'Pass the height that the contract balances were read at.';
    end if;

    if reconciliation.admin_fault(p_admin_address) is not null then
        raise exception '%', reconciliation.admin_fault(p_admin_address) using errcode = 'BR001';
    end if;

    select address into v_address
    from unnest(p_user_addresses) as address
    where address is not null
    group by address
    having count(*) > 1
    limit 1;

    if found then
        raise exception 'p_user_addresses names % more than once', v_address
            using errcode = 'BR002', hint = 'Give each address once a call.';
    end if;
end;
$$;


-- reconcile_user_balances: reconcile_user_balance for up to 50,000 users in one transaction: one statement each to
-- create, lock, and compare-update-audit. Every user gets one outcome; the arrays are parallel.
--   p_user_addresses     keys exactly as stored, each once
--   p_contract_balances  FLOW, all read at p_block_height
--   p_expected_balances  FLOW, what the ledger held when it was read; null: there was no row (or a null balance)
--   p_block_height       block height of the contract balances
--   p_admin_address      as in reconcile_user_balance
--   p_run_id             a user this run has corrected already gets that outcome again, and nothing changes
-- Returns, in the order of the input, {"outcomes": [text], "codes": [text | null], "old_balances": [FLOW text | null],
-- "new_balances": [FLOW text | null], "audit_ids": [text | null]}:
--   corrected          written, with an audit row
--   in_sync            ledger and contract agree: nothing is written (no row and 0 on the contract agree as well)
--   changed_meanwhile  not written: code changed_meanwhile (the row moved, appeared or vanished) or stale_height
--   held               the two differ, not written: code user_held, an admin holds the user (015)
--   failed             not written: code invalid_address, invalid_balance or invalid_ledger_balance
-- Raises BR001 (argument null, nested or of another length; height or admin invalid), BR002 (address twice), BR003
-- (over 50,000). An error of the app's own constraints rolls the whole call back with its SQLSTATE (23514, …).
-- Example: select reconcile_user_balances(array['0x01cf0e2f2f715450'], array[12.5], array[12], 1042);
create or replace function public.reconcile_user_balances(
    p_user_addresses text[],
    p_contract_balances numeric[],
    p_expected_balances numeric[],
    p_block_height bigint,
    p_admin_address text default 'ADMIN',
    p_run_id uuid default null
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
-- A chunk is small against the ledger, whatever a cached plan or the price of random reads says about it.
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
set jit = 'off'
as $$
declare
    v_created text[];
    v_is_locked boolean[];
    v_balances numeric[];
    v_fences bigint[];
    v_chain_nos bigint[];
    v_hashes bytea[];
    v_now timestamptz;
    v_answer json;
begin
    perform reconciliation.require_batch(
        p_user_addresses, p_contract_balances, p_expected_balances, p_block_height, p_admin_address);

    -- Create, in address order like the lock: whoever comes second waits here, then finds the row below.
    if array_position(p_expected_balances, null) is not null then
        with created as (
            insert into public.user_balances (user_address, balance)
            select i.user_address, 0
            from unnest(p_user_addresses, p_contract_balances, p_expected_balances)
                as i (user_address, contract_balance, expected_balance)
            where i.expected_balance is null
                and i.contract_balance <> 0
                and reconciliation.balance_fault(i.contract_balance) is null
                and reconciliation.new_address_fault(i.user_address) is null
                and not exists (
                    select from public.user_balances b where b.user_address = i.user_address)
                and not exists (
                    select from public.balance_audit_log a
                    where a.run_id = p_run_id and a.user_address = i.user_address)
                and not exists (
                    select from public.reconciliation_holds h
                    where h.user_address = i.user_address and h.released_at is null)
            order by i.user_address collate "C"
            on conflict (user_address) do nothing
            returning user_address
        )
        select array_agg(c.user_address) into v_created from created c;
        perform reconciliation.lock_audit_chains(v_created);
    end if;

    -- Lock. One order in every session, so that no two calls wait for each other. What the lock saw is laid out in
    -- the order of the input; a row that this call created counts as absent.
    with locked as materialized (
        select i.position, greatest(b.reconciled_height, b.event_height) as fence, b.audit_chain_no, b.audit_hash,
            case when c.user_address is null then b.balance end as balance
        from unnest(p_user_addresses) with ordinality as i (user_address, position)
        join public.user_balances b on b.user_address = i.user_address
        left join unnest(v_created) as c (user_address) on c.user_address = i.user_address
        order by b.user_address collate "C"
        for update of b
    )
    select
        array_agg(l.position is not null order by i.position),
        array_agg(l.balance order by i.position),
        array_agg(l.fence order by i.position),
        array_agg(l.audit_chain_no order by i.position),
        array_agg(l.audit_hash order by i.position)
    into v_is_locked, v_balances, v_fences, v_chain_nos, v_hashes
    from generate_series(1, cardinality(p_user_addresses)) as i (position)
    left join locked l on l.position = i.position;

    v_now := clock_timestamp();

    -- Compare, update, audit and answer. An earlier audit row of this run stands for its user as it is.
    with judged as materialized (
        select
            i.position,
            i.user_address,
            i.is_locked and a.id is null as is_writable,
            coalesce(a.balance_before, i.balance, 0) as old_balance,
            coalesce(a.balance_after, i.contract_balance) as new_balance,
            i.chain_no,
            i.last_hash,
            a.id::text as audit_id,
            case
                when i.user_address is null then 'invalid_address'
                when reconciliation.balance_fault(i.contract_balance) is not null then 'invalid_balance'
                when a.id is not null then null
                when not i.is_locked and i.expected_balance is null
                    and reconciliation.new_address_fault(i.user_address) is not null then 'invalid_address'
                when not reconciliation.is_exact_amount(i.balance) then 'invalid_ledger_balance'
                when h.user_address is not null and i.contract_balance <> coalesce(i.balance, 0) then 'user_held'
                when p_block_height < i.fence then 'stale_height'
                when i.balance is distinct from i.expected_balance then 'changed_meanwhile'
                when not i.is_locked and i.contract_balance <> 0 then 'changed_meanwhile'
            end as code
        from unnest(
            p_user_addresses, p_contract_balances, p_expected_balances, v_is_locked, v_balances, v_fences, v_chain_nos,
            v_hashes
        ) with ordinality as i (
            user_address, contract_balance, expected_balance, is_locked, balance, fence, chain_no, last_hash, position)
        left join public.balance_audit_log a on a.run_id = p_run_id and a.user_address = i.user_address
        -- Looked up under the lock, so that a hold that was placed meanwhile is seen.
        left join public.reconciliation_holds h on h.user_address = i.user_address and h.released_at is null
    ),
    decided as (
        select
            j.*,
            case
                when j.code in ('changed_meanwhile', 'stale_height') then 'changed_meanwhile'
                when j.code = 'user_held' then 'held'
                when j.code is not null then 'failed'
                when j.new_balance = j.old_balance then 'in_sync'
                else 'corrected'
            end as outcome
        from judged j
    ),
    -- Where each chain ends: as next_audit_link says it for one user.
    linked as (
        select d.*, coalesce(l.chain_no, 0) + 1 as next_chain_no, l.row_hash as previous_hash
        from decided d
        left join reconciliation.audit_heads h on h.user_address = d.user_address
        left join lateral (
            select a.chain_no, a.row_hash
            from public.balance_audit_log a
            where d.chain_no is null and h.chain_no is null and a.user_address = d.user_address
                and a.chain_no is not null
            order by a.chain_no desc
            limit 1
        ) last on true
        cross join lateral (
            select
                case when h.chain_no > coalesce(d.chain_no, 0) then h.chain_no else coalesce(d.chain_no, last.chain_no) end,
                case when h.chain_no > coalesce(d.chain_no, 0) then h.row_hash else coalesce(d.last_hash, last.row_hash) end
        ) l (chain_no, row_hash)
        where d.is_writable and d.outcome = 'corrected'
    ),
    audited as (
        insert into public.balance_audit_log (
            user_address, operation_type, amount, balance_before, balance_after, transaction_hash, created_at,
            run_id, block_height, chain_no, previous_hash
        )
        select
            l.user_address, 'reconciliation', l.new_balance - l.old_balance, l.old_balance, l.new_balance,
            'reconciliation_by_' || p_admin_address, v_now, p_run_id, p_block_height, l.next_chain_no, l.previous_hash
        from linked l
        returning id::text as audit_id, user_address, balance_after, chain_no, row_hash
    ),
    updated as (
        update public.user_balances b
        set balance = w.balance_after,
            reconciled_height = greatest(b.reconciled_height, p_block_height),
            reconciled_at = v_now,
            updated_at = v_now,
            audit_chain_no = w.chain_no,
            audit_hash = w.row_hash
        from audited w
        where b.user_address = w.user_address
    ),
    answer as (
        select
            d.position, d.outcome, d.code, coalesce(d.audit_id, w.audit_id) as audit_id,
            case when d.code is null then reconciliation.amount_text(d.old_balance) end as old_balance,
            case when d.code is null then reconciliation.amount_text(d.new_balance) end as new_balance
        from decided d
        left join audited w on w.user_address = d.user_address
    )
    select json_build_object(
        'outcomes', coalesce(json_agg(r.outcome order by r.position), '[]'),
        'codes', coalesce(json_agg(r.code order by r.position), '[]'),
        'old_balances', coalesce(json_agg(r.old_balance order by r.position), '[]'),
        'new_balances', coalesce(json_agg(r.new_balance order by r.position), '[]'),
        'audit_ids', coalesce(json_agg(r.audit_id order by r.position), '[]')
    )
    into v_answer
    from answer r;

    return v_answer;
end;
$$;

revoke execute on function public.reconcile_user_balances(text[], numeric[], numeric[], bigint, text, uuid)
    from public, anon, authenticated;
grant execute on function public.reconcile_user_balances(text[], numeric[], numeric[], bigint, text, uuid)
    to service_role;
