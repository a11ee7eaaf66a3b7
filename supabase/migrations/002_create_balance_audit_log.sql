-- balance_audit_log: one row for every change of a balance, and for every reconciliation an admin asked for.
-- Append-only: a mistake is corrected by a new row. Each user's rows are a chain of hashes, so that a change made past
-- that rule shows (014 looks for it). Additive on an app's own table, like 001.

-- 1. A table that is there already is checked before anything is touched.
do $$
declare
    v_column text;
    v_index text;
begin
    perform reconciliation.check_column('balance_audit_log', 'id', 'any', p_required => true);
    perform reconciliation.check_column('balance_audit_log', 'user_address', 'text', p_required => true);
    perform reconciliation.check_column('balance_audit_log', 'operation_type', 'text', p_required => true);
    perform reconciliation.check_column('balance_audit_log', 'amount', 'amount', p_required => true);
    perform reconciliation.check_column('balance_audit_log', 'balance_before', 'amount', p_required => true);
    perform reconciliation.check_column('balance_audit_log', 'balance_after', 'amount', p_required => true);
    perform reconciliation.check_column('balance_audit_log', 'transaction_hash', 'text');
    perform reconciliation.check_column('balance_audit_log', 'created_at', 'time');
    perform reconciliation.check_column('balance_audit_log', 'run_id', 'uuid');
    perform reconciliation.check_column('balance_audit_log', 'block_height', 'bigint');
    perform reconciliation.check_column('balance_audit_log', 'reason', 'text');
    perform reconciliation.check_column('balance_audit_log', 'reverses_audit_id', 'text');
    perform reconciliation.check_column('balance_audit_log', 'chain_no', 'bigint');
    perform reconciliation.check_column('balance_audit_log', 'previous_hash', 'bytea');
    perform reconciliation.check_column('balance_audit_log', 'row_hash', 'bytea');

    if exists (
        select from information_schema.columns c
        where c.table_schema = 'public' and c.table_name = 'balance_audit_log' and c.column_name = 'operation_type'
            and c.character_maximum_length < length('reconciliation_rollback')
    ) then
        raise exception 'public.balance_audit_log.operation_type is too narrow for ''reconciliation_rollback'''
            using errcode = 'BR005', hint =
                'alter table public.balance_audit_log alter column operation_type type text; then migrate again.';
    end if;

    select c.column_name into v_column
    from information_schema.columns c
    where c.table_schema = 'public' and c.table_name = 'balance_audit_log'
        and c.is_nullable = 'NO' and c.column_default is null and c.is_identity = 'NO' and c.is_generated = 'NEVER'
        and c.column_name not in (
            'user_address', 'operation_type', 'amount', 'balance_before', 'balance_after', 'created_at')
    limit 1;

    if found then
        raise exception 'public.balance_audit_log.% is not null and has no default: the procedures cannot fill it',
            v_column using errcode = 'BR005', hint = format(
                'alter table public.balance_audit_log alter column %1$I set default …; or drop its not null; '
                'then migrate again.', v_column);
    end if;

    select i.indexrelid::regclass::text into v_index
    from pg_catalog.pg_index i
    where i.indrelid = pg_catalog.to_regclass('public.balance_audit_log') and i.indisunique and i.indpred is null
        and 0 <> all (i.indkey)
        and not exists (
            select from pg_catalog.pg_attribute a
            where a.attrelid = i.indrelid and a.attnum = any (i.indkey)
                and a.attname not in ('user_address', 'operation_type', 'transaction_hash'))
    limit 1;

    if found then
        raise exception 'unique index % would let a user be reconciled by an admin once only', v_index
            using errcode = 'BR005', hint =
                'Make it partial: … where operation_type <> ''reconciliation''; then migrate again.';
    end if;

    perform reconciliation.secure_existing_table('balance_audit_log');
end;
$$;

-- 2. The table.
create table if not exists public.balance_audit_log (
    id bigint generated always as identity primary key,
    user_address text collate "C" not null,
    -- 'reconciliation', 'reconciliation_rollback', or what the app calls its event
    operation_type text not null,
    amount numeric(20, 8) not null,               -- FLOW, signed: balance_after - balance_before
    balance_before numeric(20, 8) not null,
    balance_after numeric(20, 8) not null,
    transaction_hash text,                        -- 'reconciliation_by_' || admin, or the event's transaction
    created_at timestamptz not null default now()
);

-- 3. What the procedures keep with it, and what an existing table may lack.
alter table public.balance_audit_log
    add column if not exists run_id uuid,                 -- the bulk run that wrote it, if one did
    add column if not exists block_height bigint,         -- height the contract was read at, or the event's block
    add column if not exists transaction_hash text,
    add column if not exists reason text,                 -- why, in the words of whoever acted
    add column if not exists reverses_audit_id text,      -- the row that this one takes back
    add column if not exists chain_no bigint,             -- 1, 2, … of the user; null: a row that was adopted, see 7
    add column if not exists previous_hash bytea,         -- row_hash of the user's row before; null for the first
    add column if not exists row_hash bytea;              -- SHA-256 of this row, previous_hash included

do $$
begin
    perform reconciliation.add_timestamp('balance_audit_log', 'created_at');
end;
$$;

-- 4. A run corrects a user once: the procedures look a retry up here, and the index has the last word.
create unique index if not exists balance_audit_log_run_user_key
    on public.balance_audit_log (run_id, user_address) where run_id is not null;

-- A row is taken back once.
create unique index if not exists balance_audit_log_reverses_key
    on public.balance_audit_log (reverses_audit_id) where reverses_audit_id is not null;

-- A user's history in the order of its chain, in which each number comes once; adopted rows come before it.
create unique index if not exists balance_audit_log_chain_key
    on public.balance_audit_log (user_address, chain_no nulls first);

-- 5. Append-only, for the owner too. The grants below already stop the API roles; this holds when somebody
-- grants them back. A statement trigger, so that a statement that matches no row is refused as well.
create or replace function reconciliation.refuse_audit_change()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
    raise exception 'balance_audit_log is append-only: % is refused', tg_op
        using errcode = 'BR004', hint =
            'Write a new row that corrects the old one. For retention the owner of the table may disable the trigger '
            'balance_audit_log_append_only in a transaction of its own.';
end;
$$;

create or replace trigger balance_audit_log_append_only
    before update or delete or truncate on public.balance_audit_log
    for each statement execute function reconciliation.refuse_audit_change();

-- 6. The chain. A row carries its place among its user's rows, the hash of the row before, and its own: SHA-256 of the
-- text below in UTF-8, comma-separated: numbers and hex as they are, nothing for null, then free texts in quotes, so
-- that no two rows make one text. Amounts have no trailing zeros, and the time is in seconds since 1970, whatever the
-- session's time zone. docs/sql-api.md has an example. Of the ways to write it down this was the cheapest.
-- A body in the form `return …` is bound when it is made, and needs no search_path; the planner inlines it.
create or replace function reconciliation.audit_row_hash(
    p_chain_no bigint,
    p_id text,
    p_user_address text,
    p_operation_type text,
    p_amount numeric,
    p_balance_before numeric,
    p_balance_after numeric,
    p_transaction_hash text,
    p_created_at_s numeric,                       -- seconds since 1970
    p_run_id uuid,
    p_block_height bigint,
    p_reason text,
    p_reverses_audit_id text,
    p_previous_hash bytea
)
returns bytea
language sql
stable
return sha256(convert_to(concat(
    p_chain_no, ',', trim_scale(p_amount), ',', trim_scale(p_balance_before), ',', trim_scale(p_balance_after), ',',
    p_created_at_s, ',', p_run_id, ',', p_block_height, ',', encode(p_previous_hash, 'hex'), ',',
    quote_nullable(p_id), ',', quote_nullable(p_user_address), ',', quote_nullable(p_operation_type), ',',
    quote_nullable(p_transaction_hash), ',', quote_nullable(p_reason), ',', quote_nullable(p_reverses_audit_id)
), 'UTF8'));

-- Where the chain of a user ends whose last row did not come from our procedures, or who has no ledger row (any more).
create table if not exists reconciliation.audit_heads (
    user_address text collate "C" primary key,
    chain_no bigint not null,
    row_hash bytea not null
) with (fillfactor = 70);

-- Keeps out others who add to the chain of one of these users while they have no ledger row that could be locked, until
-- the transaction ends. A few locks for all users: a transaction may take only so many.
create or replace function reconciliation.lock_audit_chains(p_user_addresses text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
    v_bucket integer;
begin
    for v_bucket in
        select distinct hashtext(address) & 63 from unnest(p_user_addresses) as address order by 1
    loop
        perform pg_advisory_xact_lock(hashtext('balance_audit_log'), v_bucket);
    end loop;
end;
$$;

-- Place and previous hash of a user's next audit row; the user's ledger row has to be locked. Of a head and a row at
-- the same place the head counts: what does not fit must not be covered up by what comes after it.
create or replace function reconciliation.next_audit_link(
    p_user_address text,
    out chain_no bigint,
    out previous_hash bytea
)
language plpgsql
set search_path = ''
as $$
begin
    select ends.chain_no, ends.row_hash into chain_no, previous_hash
    from (
        (
            select 1 as place, b.audit_chain_no as chain_no, b.audit_hash as row_hash
            from public.user_balances b
            where b.user_address = p_user_address and b.audit_chain_no is not null
        )
        union all
        (
            select 2, h.chain_no, h.row_hash
            from reconciliation.audit_heads h
            where h.user_address = p_user_address
        )
        union all
        (
            select 3, a.chain_no, a.row_hash
            from public.balance_audit_log a
            where a.user_address = p_user_address and a.chain_no is not null
            order by a.chain_no desc
            limit 1
        )
    ) ends
    order by ends.chain_no desc, ends.place
    limit 1;

    chain_no := coalesce(chain_no, 0) + 1;
end;
$$;

-- Before insert of a row without a place, an app's own: takes the next one. Says so in a setting of the transaction,
-- for the trigger after the insert: the row may yet be given up (on conflict do nothing).
create or replace function reconciliation.link_audit_row()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    perform from public.user_balances b where b.user_address = new.user_address for no key update;
    if not found then
        perform reconciliation.lock_audit_chains(array[new.user_address]);
        perform from public.user_balances b where b.user_address = new.user_address for no key update;
    end if;

    select l.chain_no, l.previous_hash into new.chain_no, new.previous_hash
    from reconciliation.next_audit_link(new.user_address) l;
    perform set_config('reconciliation.linked', new.user_address || ' ' || new.chain_no, true);
    return new;
end;
$$;

-- Before insert of every row: its hash; only now is its id known. For each row of a batch, so without a SET clause,
-- which would cost as much as the hash: every name says its schema instead.
create or replace function reconciliation.seal_audit_row()
returns trigger
language plpgsql
security definer
as $$
begin
    new.row_hash := reconciliation.audit_row_hash(
        new.chain_no, new.id::pg_catalog.text, new.user_address, new.operation_type, new.amount, new.balance_before,
        new.balance_after, new.transaction_hash, extract(epoch from new.created_at), new.run_id, new.block_height,
        new.reason, new.reverses_audit_id, new.previous_hash);
    return new;
end;
$$;

-- After insert of a row that took its place above: its user's chain ends here. Not in the ledger row: that may be in
-- the middle of an update whose trigger writes the audit row.
create or replace function reconciliation.keep_audit_head()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    insert into reconciliation.audit_heads as h (user_address, chain_no, row_hash)
    values (new.user_address, new.chain_no, new.row_hash)
    on conflict (user_address) do update
    set chain_no = excluded.chain_no, row_hash = excluded.row_hash
    where h.chain_no < excluded.chain_no;
    return null;
end;
$$;

-- After delete of a ledger row: the end of the user's chain stays known.
create or replace function reconciliation.keep_deleted_audit_head()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    insert into reconciliation.audit_heads as h (user_address, chain_no, row_hash)
    values (old.user_address, old.audit_chain_no, old.audit_hash)
    on conflict (user_address) do update
    set chain_no = excluded.chain_no, row_hash = excluded.row_hash
    where h.chain_no < excluded.chain_no;
    return null;
end;
$$;

-- Before truncate of the ledger: the same of all users. An app may empty it; its lock keeps all others out by now, so
-- in READ COMMITTED, which is how an app does it, nothing that was committed is overlooked.
create or replace function reconciliation.keep_truncated_audit_heads()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    insert into reconciliation.audit_heads as h (user_address, chain_no, row_hash)
    select b.user_address, b.audit_chain_no, b.audit_hash
    from public.user_balances b
    where b.audit_chain_no is not null and b.audit_hash is not null
    on conflict (user_address) do update
    set chain_no = excluded.chain_no, row_hash = excluded.row_hash
    where h.chain_no < excluded.chain_no;
    return null;
end;
$$;

-- Triggers of one kind go by their names: ours come after those of an app, which may still change the row.
create or replace trigger zz_reconciliation_1_link
    before insert on public.balance_audit_log
    for each row when (new.chain_no is null) execute function reconciliation.link_audit_row();
create or replace trigger zz_reconciliation_2_seal
    before insert on public.balance_audit_log
    for each row execute function reconciliation.seal_audit_row();
create or replace trigger zz_reconciliation_3_head
    after insert on public.balance_audit_log
    for each row when (
        coalesce(current_setting('reconciliation.linked', true), '') <> ''
        and current_setting('reconciliation.linked', true) = new.user_address || ' ' || new.chain_no
    ) execute function reconciliation.keep_audit_head();
create or replace trigger zz_reconciliation_head
    after delete on public.user_balances
    for each row when (old.audit_chain_no is not null and old.audit_hash is not null)
    execute function reconciliation.keep_deleted_audit_head();
create or replace trigger zz_reconciliation_heads
    before truncate on public.user_balances
    for each statement execute function reconciliation.keep_truncated_audit_heads();

-- 7. Rows from before the chain, an app's own, are adopted as they are: how many there were, and a digest of them, each
-- hashed as above, without a place, in the order of their ids. Nothing is rewritten.
create index if not exists balance_audit_log_adopted_idx on public.balance_audit_log (id) where chain_no is null;

create table if not exists reconciliation.audit_adoption (
    adopted boolean primary key default true check (adopted),     -- one row
    adopted_at timestamptz not null,
    adopted_rows bigint not null,
    digest bytea not null
);

do $$
declare
    v_hash bytea;
    v_rows bigint := 0;
    v_digest bytea := '';
begin
    if exists (select from reconciliation.audit_adoption) then
        return;
    end if;
    for v_hash in
        select reconciliation.audit_row_hash(
            null, a.id::text, a.user_address, a.operation_type, a.amount, a.balance_before, a.balance_after,
            a.transaction_hash, extract(epoch from a.created_at), a.run_id, a.block_height, a.reason,
            a.reverses_audit_id, null)
        from public.balance_audit_log a
        where a.chain_no is null
        order by a.id
    loop
        v_rows := v_rows + 1;
        v_digest := sha256(v_digest || v_hash);
    end loop;
    insert into reconciliation.audit_adoption (adopted_at, adopted_rows, digest)
    values (clock_timestamp(), v_rows, v_digest);
end;
$$;

-- 8. Who may touch it. service_role may add rows of the app's own operations.
select reconciliation.revoke_new_table_grants('balance_audit_log');
alter table public.balance_audit_log enable row level security;
revoke update, delete, truncate, references, trigger on table public.balance_audit_log
    from public, anon, authenticated, service_role;
grant select, insert on table public.balance_audit_log to service_role;
