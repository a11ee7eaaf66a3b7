-- balance_audit_log: one row for every change of a balance, and for every reconciliation an admin asked for.
-- Append-only: a mistake is corrected by a new row. Additive on an app's own table, like 001.

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
    operation_type text not null,                 -- 'reconciliation', or what the app calls its event
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
    add column if not exists transaction_hash text;

do $$
begin
    perform reconciliation.add_timestamp('balance_audit_log', 'created_at');
end;
$$;

-- 4. A run corrects a user once: the procedures look a retry up here, and the index has the last word.
create unique index if not exists balance_audit_log_run_user_key
    on public.balance_audit_log (run_id, user_address) where run_id is not null;

-- A user's history, in order.
create index if not exists balance_audit_log_user_history_idx
    on public.balance_audit_log (user_address, created_at);

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

-- 6. Who may touch it. service_role may add rows of the app's own operations.
select reconciliation.revoke_new_table_grants('balance_audit_log');
alter table public.balance_audit_log enable row level security;
revoke update, delete, truncate, references, trigger on table public.balance_audit_log
    from public, anon, authenticated, service_role;
grant select, insert on table public.balance_audit_log to service_role;
