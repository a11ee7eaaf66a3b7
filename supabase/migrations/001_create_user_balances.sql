-- user_balances: the ledger, one row a user. The contract holds the truth; this is the fast mirror of it.
-- Applies to an empty database and on top of an app's own table: additive only, no row is rewritten.

-- 1. A table that is there already is checked before anything is touched.
do $$
begin
    perform reconciliation.check_column('user_balances', 'user_address', 'text', p_required => true);
    perform reconciliation.check_column('user_balances', 'balance', 'amount', p_required => true);
    perform reconciliation.check_column('user_balances', 'created_at', 'time');
    perform reconciliation.check_column('user_balances', 'updated_at', 'time');
    perform reconciliation.check_column('user_balances', 'reconciled_height', 'bigint');
    perform reconciliation.check_column('user_balances', 'reconciled_at', 'time');
    perform reconciliation.check_column('user_balances', 'event_height', 'bigint');
    perform reconciliation.check_column('user_balances', 'audit_chain_no', 'bigint');
    perform reconciliation.check_column('user_balances', 'audit_hash', 'bytea');
    perform reconciliation.secure_existing_table('user_balances');
end;
$$;

-- 2. The table. fillfactor leaves room on the page, so that a correction need not touch the index.
create table if not exists public.user_balances (
    -- As the app spells it; a user is matched by exactly this key. Bytewise: cheaper to compare than in a language's
    -- order, and the same order everywhere.
    user_address text collate "C" primary key,
    balance numeric(20, 8) not null default 0,    -- FLOW; may be below zero while events arrive out of order
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
) with (fillfactor = 90);

-- 3. What the procedures keep with it, and what an existing table may lack.
alter table public.user_balances
    add column if not exists reconciled_height bigint,    -- block of the contract balance last reconciled to
    add column if not exists reconciled_at timestamptz,
    add column if not exists event_height bigint,         -- highest block of an applied balance event
    -- The user's last audit row that one of our procedures wrote: its place in the chain and its hash. In the row that
    -- they lock and update anyway, and in no index, so that an update need touch none. DELETE and TRUNCATE leave them
    -- behind in reconciliation.audit_heads, by the triggers of 002.
    add column if not exists audit_chain_no bigint,
    add column if not exists audit_hash bytea;

do $$
begin
    perform reconciliation.add_timestamp('user_balances', 'created_at');
    perform reconciliation.add_timestamp('user_balances', 'updated_at');
end;
$$;

-- 4. One row a user: the procedures lock, page and create by this key.
do $$
declare
    v_duplicate text;
begin
    if exists (select from public.user_balances b where b.user_address is null) then
        raise exception 'public.user_balances has rows without user_address'
            using errcode = 'BR005', hint = 'Give those rows their address or remove them, then migrate again.';
    end if;
    alter table public.user_balances alter column user_address set not null;

    if exists (
        select
        from pg_catalog.pg_index i
        join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = 'public.user_balances'::regclass and a.attname = 'user_address'
            and i.indnkeyatts = 1 and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null
    ) then
        return;
    end if;

    select b.user_address into v_duplicate
    from public.user_balances b
    group by b.user_address
    having count(*) > 1
    limit 1;

    if found then
        raise exception 'public.user_balances holds several rows for one user_address, for example %', v_duplicate
            using errcode = 'BR005', hint =
                'Merge the rows of each address into one: select user_address, count(*), sum(balance) '
                'from user_balances group by 1 having count(*) > 1; then migrate again.';
    end if;
    create unique index user_balances_user_address_key on public.user_balances (user_address);
end;
$$;

-- 5. Who may touch it. TRUNCATE is not subject to row level security, so it is taken away by grant.
select reconciliation.revoke_new_table_grants('user_balances');
alter table public.user_balances enable row level security;
revoke truncate, references, trigger on table public.user_balances from anon, authenticated;
grant select, insert, update, delete on table public.user_balances to service_role;
