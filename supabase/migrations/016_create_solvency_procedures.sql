-- Is the ledger whole? What all users own in the ledger, against the escrow vault and the contract's own total.
-- service_role reads the checks; nothing but record_solvency_check writes them.

-- 1. A table of this name that is there already is checked before anything is touched.
do $$
begin
    perform reconciliation.check_column('solvency_checks', 'check_id', 'uuid', p_required => true);
    perform reconciliation.check_column('solvency_checks', 'state', 'text', p_required => true);
    perform reconciliation.check_column('solvency_checks', 'since', 'time', p_required => true);
    perform reconciliation.check_column('solvency_checks', 'vault_balance', 'amount', p_required => true);
    perform reconciliation.secure_existing_table('solvency_checks');
end;
$$;

-- 2. One row for every check, whatever it found.
create table if not exists public.solvency_checks (
    check_no bigint generated always as identity unique,    -- the order in which they were recorded
    check_id uuid primary key,
    checked_at timestamptz not null,
    admin_address text not null,        -- who asked
    state text not null check (state in (
        'solvent', 'surplus', 'deficit', 'contract_mismatch', 'contract_short', 'unreadable')),
    confirmed boolean not null,         -- a mismatch that was still there when it was looked at again
    since timestamptz not null,         -- the first check of this state in a row
    tolerance numeric not null,         -- FLOW; smaller differences do not count
    block_height bigint,                -- where both balances of the contract were read
    ledger_total numeric,               -- FLOW; a sum may exceed every amount of ours
    ledger_users bigint,
    negative_users bigint,              -- of them, those below zero, which the total has as they are
    negative_total numeric,
    unusable_users bigint,              -- of them, those whose balance is null or no amount: not in the total
    respelled_users bigint,             -- rows beyond one for each account: other spellings; null: not counted
    vault_balance numeric(20, 8),
    contract_total numeric(20, 8),
    audit_id text,                      -- the audit row of a confirmed mismatch
    error_code text,                    -- why it is unreadable, or why a confirmed mismatch has no audit row
    error text,
    constraint solvency_checks_read check (
        case state
            when 'unreadable' then error_code is not null and vault_balance is null
            else num_nulls(block_height, ledger_total, ledger_users, vault_balance, contract_total) = 0
        end),
    constraint solvency_checks_confirmed check (not confirmed or state not in ('solvent', 'unreadable'))
);

-- 3. Who may touch it.
select reconciliation.revoke_new_table_grants('solvency_checks');
alter table public.solvency_checks enable row level security;
revoke all on table public.solvency_checks from public, anon, authenticated, service_role;
grant select on table public.solvency_checks to service_role;


-- The ledger's side -----------------------------------------------------------------------------------------------

-- ledger_totals: what the ledger holds altogether, exactly, as of one moment.
-- Returns {"total": FLOW text, "users", "negative_users", "negative_total": FLOW text, "unusable_users",
-- "respelled_users"}: total is the sum of all balances that are amounts, those below zero included as they are;
-- unusable are those that are null, not finite, 10^12 or more, or finer than 1e-8; respelled are the rows beyond one
-- for each account (0x and case aside), null when more than 100,000 addresses are not spelled with 0x and lower case:
-- telling would take too long. Texts have 8 places and any number of digits before them.
-- Example: select ledger_totals();
create or replace function public.ledger_totals()
returns json
language sql
stable
security definer
set search_path = ''
as $$
    with sums as (
        select count(*) as users, count(r.amount) as usable_users, coalesce(sum(r.amount), 0) as total,
            count(*) filter (where r.amount < 0) as negative_users,
            coalesce(sum(r.amount) filter (where r.amount < 0), 0) as negative_total
        from (
            select case when reconciliation.is_exact_amount(b.balance) then b.balance end as amount
            from public.user_balances b
            offset 0    -- so that each balance is judged once
        ) r
    ),
    -- Only a row that is not spelled as usual can have a twin: as a rule there is none to look up.
    unusual as materialized (
        select '0x' || lower(right(b.user_address, 16)) as usual
        from public.user_balances b
        where case    -- in this order: the pattern costs more than all the rest
            when length(b.user_address) = 18 and starts_with(b.user_address, '0x')
                and b.user_address = lower(b.user_address) then false
            else b.user_address ~ '^(0x)?[0-9a-fA-F]{16}$'
        end
        limit 100001
    ),
    accounts as (
        select u.usual, count(*) as spellings
        from unusual u
        group by u.usual
    )
    select json_build_object(
        'total', round(s.total, 8)::text,
        'users', s.users,
        'negative_users', s.negative_users,
        'negative_total', round(s.negative_total, 8)::text,
        'unusable_users', s.users - s.usable_users,
        'respelled_users', (
            select case when coalesce(sum(a.spellings), 0) <= 100000 then coalesce(sum(a.spellings - 1
                + (exists (select from public.user_balances b where b.user_address = a.usual))::integer), 0) end
            from accounts a)
    )
    from sums s;
$$;

revoke execute on function public.ledger_totals() from public, anon, authenticated;
grant execute on function public.ledger_totals() to service_role;


-- The checks ------------------------------------------------------------------------------------------------------

-- A check as the procedures answer it; amounts are decimal text.
create or replace function reconciliation.solvency_json(p_check public.solvency_checks)
returns json
language sql
stable
set search_path = ''
as $$
    select json_build_object(
        'check_id', p_check.check_id, 'checked_at', p_check.checked_at, 'admin_address', p_check.admin_address,
        'state', p_check.state, 'confirmed', p_check.confirmed, 'since', p_check.since,
        'tolerance', round(p_check.tolerance, 8)::text, 'block_height', p_check.block_height,
        'ledger_total', round(p_check.ledger_total, 8)::text, 'ledger_users', p_check.ledger_users,
        'negative_users', p_check.negative_users, 'negative_total', round(p_check.negative_total, 8)::text,
        'unusable_users', p_check.unusable_users, 'respelled_users', p_check.respelled_users,
        'vault_balance', p_check.vault_balance::text, 'contract_total', p_check.contract_total::text,
        'audit_id', p_check.audit_id, 'error_code', p_check.error_code, 'error', p_check.error
    );
$$;

-- Refuses a check that contradicts itself.
create or replace function reconciliation.require_solvency_check(p_check public.solvency_checks)
returns void
language plpgsql
set search_path = ''
as $$
declare
    v_differs boolean := greatest(
        abs(p_check.vault_balance - p_check.ledger_total), abs(p_check.contract_total - p_check.ledger_total)
    ) >= p_check.tolerance;
    v_fault text := case
        when p_check.check_id is null then 'p_check_id is null'
        when reconciliation.admin_fault(p_check.admin_address) is not null
            then reconciliation.admin_fault(p_check.admin_address)
        when p_check.state is null or p_check.state not in (
            'solvent', 'surplus', 'deficit', 'contract_mismatch', 'contract_short', 'unreadable')
            then 'p_state is unknown'
        when p_check.confirmed is null or p_check.confirmed and p_check.state in ('solvent', 'unreadable')
            then 'p_confirmed is null, or there is nothing to confirm'
        when p_check.tolerance is null or not (p_check.tolerance > 0 and reconciliation.is_exact_amount(p_check.tolerance))
            then 'p_tolerance is no amount above 0'
        when p_check.state = 'unreadable' and (
            p_check.error_code is null
            or num_nonnulls(p_check.block_height, p_check.ledger_total, p_check.vault_balance,
                p_check.contract_total) > 0)
            then 'an unreadable check has an error code and no amounts'
        when p_check.state <> 'unreadable' and (
            num_nulls(p_check.block_height, p_check.ledger_total, p_check.ledger_users, p_check.vault_balance,
                p_check.contract_total) > 0 or p_check.error_code is not null)
            then 'a check that was read has a height, a number of users, three amounts and no error'
        when p_check.ledger_total in ('NaN', 'Infinity', '-Infinity') then 'p_ledger_total is not finite'
        when scale(trim_scale(p_check.ledger_total)) > 8 then 'p_ledger_total is finer than 1e-8'
        when (p_check.state = 'solvent') = v_differs then 'p_state does not fit the amounts'
    end;
begin
    if v_fault is not null then
        raise exception '%', v_fault using errcode = 'BR001', hint = 'Record what the check has found.';
    end if;
end;
$$;

-- Writes the audit row of a confirmed mismatch. An app's own constraint may refuse it, and a sum may be too large for
-- it: the check is kept then, and says so.
create or replace function reconciliation.audit_solvency_check(inout p_check public.solvency_checks)
language plpgsql
set search_path = ''
as $$
declare
    v_difference numeric := p_check.vault_balance - p_check.ledger_total;
begin
    if not (reconciliation.is_exact_amount(p_check.ledger_total) and reconciliation.is_exact_amount(v_difference)) then
        p_check.error_code := 'audit_amount_out_of_range';
        p_check.error := 'The ledger''s total does not fit an audit row. This check is kept without one; look for rows '
            'with balances that nobody can own.';
        return;
    end if;

    insert into public.balance_audit_log (
        user_address, operation_type, amount, balance_before, balance_after, transaction_hash, created_at, block_height
    )
    values (
        'SYSTEM', 'sync_check', v_difference, p_check.ledger_total, p_check.vault_balance,
        'sync_check_by_' || p_check.admin_address, p_check.checked_at, p_check.block_height
    )
    returning id::text into p_check.audit_id;
exception
    when integrity_constraint_violation then
        p_check.error_code := 'audit_row_refused';
        p_check.error := 'A constraint of balance_audit_log refuses the audit row of user SYSTEM (' || sqlerrm
            || '). This check is kept without one; correct the constraint.';
end;
$$;


-- record_solvency_check: stores what a check has found. A confirmed mismatch gets an audit row in the same transaction:
-- user 'SYSTEM', operation 'sync_check', amount = vault - ledger, balance_before = ledger, balance_after = vault,
-- transaction_hash 'sync_check_by_' || admin.
--   p_check_id       the check's; recording it again changes nothing and reports the first result
--   p_admin_address  who asked, up to 200 characters
--   p_state          solvent, surplus, deficit, contract_mismatch, contract_short or unreadable
--   p_confirmed      a mismatch that was still there when it was looked at again
--   p_tolerance      FLOW; differences below it do not count
--   p_block_height   where p_vault_balance and p_contract_total were read
--   p_ledger_total … p_respelled_users   as ledger_totals answered, FLOW and numbers of rows
--   p_vault_balance, p_contract_total    FLOW
--   p_error_code, p_error   of an unreadable check, which has no height and no amounts
-- Returns the check: {check_id, checked_at, admin_address, state, confirmed, since, tolerance, block_height,
-- ledger_total, ledger_users, negative_users, negative_total, unusable_users, respelled_users, vault_balance,
-- contract_total, audit_id, error_code, error}; amounts are decimal text. since is checked_at of the first check of this
-- state in a row; checks that could not be read and mismatches that were not confirmed do not interrupt a row.
-- error_code audit_amount_out_of_range or audit_row_refused: the mismatch is stored and has no audit row.
-- Raises BR001 when the check contradicts itself.
-- Example: select record_solvency_check('6900f7a2-1c68-4b4d-a152-04c73fea725e', 'ADMIN', 'deficit', true, 0.00000001,
--     1042, 100, 7, 0, 0, 0, 0, 90, 90);
create or replace function public.record_solvency_check(
    p_check_id uuid,
    p_admin_address text,
    p_state text,
    p_confirmed boolean,
    p_tolerance numeric,
    p_block_height bigint default null,
    p_ledger_total numeric default null,
    p_ledger_users bigint default null,
    p_negative_users bigint default null,
    p_negative_total numeric default null,
    p_unusable_users bigint default null,
    p_respelled_users bigint default null,
    p_vault_balance numeric default null,
    p_contract_total numeric default null,
    p_error_code text default null,
    p_error text default null
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_check public.solvency_checks;
    v_stored public.solvency_checks;
begin
    v_check.check_id := p_check_id;
    v_check.admin_address := p_admin_address;
    v_check.state := p_state;
    v_check.confirmed := p_confirmed;
    v_check.tolerance := p_tolerance;
    v_check.block_height := p_block_height;
    v_check.ledger_total := p_ledger_total;
    v_check.ledger_users := p_ledger_users;
    v_check.negative_users := p_negative_users;
    v_check.negative_total := p_negative_total;
    v_check.unusable_users := p_unusable_users;
    v_check.respelled_users := p_respelled_users;
    v_check.vault_balance := p_vault_balance;
    v_check.contract_total := p_contract_total;
    v_check.error_code := p_error_code;
    v_check.error := p_error;
    perform reconciliation.require_solvency_check(v_check);

    -- One check is recorded after another: what came before is known, and its numbers are in the order of the commits.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('solvency_checks', 0));

    select c.* into v_stored from public.solvency_checks c where c.check_id = p_check_id;
    if found then
        return reconciliation.solvency_json(v_stored);
    end if;

    v_check.checked_at := clock_timestamp();
    v_check.since := v_check.checked_at;
    -- The check that this one goes on from: the last one that could be read and was sure of what it read. An unreadable
    -- one goes on from the last one, whatever that is.
    select c.* into v_stored
    from public.solvency_checks c
    where p_state = 'unreadable' or c.state = 'solvent' or c.confirmed
    order by c.check_no desc
    limit 1;
    if v_stored.state = p_state then
        v_check.since := v_stored.since;
    end if;

    if p_confirmed then
        v_check := reconciliation.audit_solvency_check(v_check);
    end if;

    insert into public.solvency_checks as c (
        check_id, checked_at, admin_address, state, confirmed, since, tolerance, block_height, ledger_total,
        ledger_users, negative_users, negative_total, unusable_users, respelled_users, vault_balance, contract_total,
        audit_id, error_code, error
    )
    values (
        v_check.check_id, v_check.checked_at, v_check.admin_address, v_check.state, v_check.confirmed, v_check.since,
        v_check.tolerance, v_check.block_height, v_check.ledger_total, v_check.ledger_users, v_check.negative_users,
        v_check.negative_total, v_check.unusable_users, v_check.respelled_users, v_check.vault_balance,
        v_check.contract_total, v_check.audit_id, v_check.error_code, v_check.error
    )
    returning c.* into v_check;

    return reconciliation.solvency_json(v_check);
end;
$$;

revoke execute on function public.record_solvency_check(uuid, text, text, boolean, numeric, bigint, numeric, bigint,
    bigint, numeric, bigint, bigint, numeric, numeric, text, text) from public, anon, authenticated;
grant execute on function public.record_solvency_check(uuid, text, text, boolean, numeric, bigint, numeric, bigint,
    bigint, numeric, bigint, bigint, numeric, numeric, text, text) to service_role;


-- list_solvency_checks: the checks, the newest first.
--   p_before  only those that were recorded before this check: none before one that is not there; null: from the newest
--   p_limit   how many at most, 1 to 1,000, else SQLSTATE BR001
-- Returns {"checks": [as record_solvency_check answers]}.
-- Example: select list_solvency_checks(p_limit => 1);
create or replace function public.list_solvency_checks(p_before uuid default null, p_limit integer default 50)
returns json
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
    v_before_no bigint := case
        when p_before is null then 9223372036854775807
        else (select c.check_no from public.solvency_checks c where c.check_id = p_before)
    end;
begin
    perform reconciliation.require_between('p_limit', p_limit, 1, 1000);

    return (
        select json_build_object('checks', coalesce(
            json_agg(reconciliation.solvency_json(page.checked) order by (page.checked).check_no desc), '[]'))
        from (
            select c as checked
            from public.solvency_checks c
            where c.check_no < v_before_no
            order by c.check_no desc
            limit p_limit
        ) page
    );
end;
$$;

revoke execute on function public.list_solvency_checks(uuid, integer) from public, anon, authenticated;
grant execute on function public.list_solvency_checks(uuid, integer) to service_role;
