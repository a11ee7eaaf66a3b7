-- The schema `reconciliation`: what the migrations and the procedures share and no API role may reach.
-- PostgREST does not expose it and nobody but its owner has USAGE on it, so its functions need no grants of their own.
--
-- Our SQLSTATEs, all of class BR, raised where a whole call is wrong; what is wrong with one user is a value in the
-- answer (`code`) instead. Never match the text of an error: match these.
--   BR001 invalid_argument   an argument of the call is null, misshapen or out of its range
--   BR002 duplicate          a batch names the same address or audit row twice
--   BR003 batch_too_large    a call names more than 50,000 addresses
--   BR004 append_only        somebody tried to change or remove audit rows
--   BR005 existing_table     a table that was there before these migrations cannot be adopted as it is

create schema if not exists reconciliation;
revoke all on schema reconciliation from public, anon, authenticated, service_role;


-- Refuses a column that is there already and cannot hold what the procedures write; an absent table or an absent
-- optional column passes, the migration is about to make it.
--   p_kind      'text', 'amount' (every UFix64 with its 8 places, signed), 'time', 'bigint', 'uuid' or 'any'
--   p_required  the column has to be there if the table is: adding it would invent money or history
create or replace function reconciliation.check_column(
    p_table text,
    p_column text,
    p_kind text,
    p_required boolean default false
)
returns void
language plpgsql
set search_path = ''
as $$
declare
    v_column information_schema.columns;
    v_fits boolean;
    v_remedy text;
begin
    if pg_catalog.to_regclass(format('public.%I', p_table)) is null then
        return;
    end if;

    select c.* into v_column
    from information_schema.columns c
    where c.table_schema = 'public' and c.table_name = p_table and c.column_name = p_column;

    if not found then
        if p_required then
            raise exception 'public.% has no column %', p_table, p_column
                using errcode = 'BR005', hint = 'Add and fill the column, then migrate again.';
        end if;
        return;
    end if;

    case p_kind
        when 'text' then
            v_fits := v_column.data_type in ('text', 'character varying');
            v_remedy := 'text';
        when 'amount' then
            -- Unbounded numeric, or at least numeric(20,8): a narrower one would round without a word.
            v_fits := v_column.data_type = 'numeric' and (
                v_column.numeric_precision is null
                or (v_column.numeric_scale >= 8 and v_column.numeric_precision - v_column.numeric_scale >= 12)
            );
            v_remedy := format('numeric(20,8) using round(%I::numeric, 8)', p_column);
        when 'time' then
            v_fits := v_column.data_type in ('timestamp with time zone', 'timestamp without time zone');
            v_remedy := 'timestamptz';
        when 'any' then
            v_fits := true;
        else
            v_fits := v_column.data_type = p_kind;
            v_remedy := p_kind;
    end case;

    if not v_fits then
        raise exception 'public.%.% has type %, which cannot hold %', p_table, p_column,
            (select pg_catalog.format_type(a.atttypid, a.atttypmod)
             from pg_catalog.pg_attribute a
             where a.attrelid = format('public.%I', p_table)::regclass and a.attname = p_column),
            case p_kind when 'amount' then 'every amount exactly' else 'a ' || p_kind end
            using errcode = 'BR005', hint = format(
                'alter table public.%I alter column %I type %s; then migrate again.', p_table, p_column, v_remedy);
    end if;
end;
$$;


-- Adds a timestamp column that an existing table lacks. Rows that are there keep null: when they were made is not
-- known, and they are not rewritten.
create or replace function reconciliation.add_timestamp(p_table text, p_column text)
returns void
language plpgsql
set search_path = ''
as $$
begin
    if not exists (
        select from information_schema.columns c
        where c.table_schema = 'public' and c.table_name = p_table and c.column_name = p_column
    ) then
        execute format('alter table public.%I add column %I timestamptz', p_table, p_column);
        execute format('alter table public.%I alter column %I set default now()', p_table, p_column);
    end if;
end;
$$;


-- Turns row level security on for a table that is there already without it. Reads go on as before (the policy is for
-- every role, so the table's grants still decide); writes of roles that do not bypass row level security stop, and a
-- WARNING says so. Called before `create table if not exists`, so a table made by us never comes here.
create or replace function reconciliation.secure_existing_table(p_table text)
returns void
language plpgsql
set search_path = ''
as $$
declare
    v_secured boolean;
begin
    select c.relrowsecurity into v_secured
    from pg_catalog.pg_class c
    where c.oid = pg_catalog.to_regclass(format('public.%I', p_table));

    if v_secured is false then
        execute format(
            'create policy %I on public.%I for select to public using (true)', p_table || '_read_as_before', p_table);
        execute format('alter table public.%I enable row level security', p_table);
        raise warning 'public.% had no row level security: it is on now', p_table
            using detail = format(
                'Policy %s_read_as_before keeps every read working; inserts, updates and deletes of anon, '
                'authenticated and other roles without BYPASSRLS are refused from now on.', p_table),
            hint = 'Narrow the read policy to what users may see, and add policies for the writes you want to allow.';
    end if;
end;
$$;


-- Takes what default privileges gave to browsers away from a table that the migration has just made: one that still
-- has no row level security. A table that was there has it by now (secure_existing_table) and keeps its grants.
create or replace function reconciliation.revoke_new_table_grants(p_table text)
returns void
language plpgsql
set search_path = ''
as $$
begin
    if not (
        select c.relrowsecurity
        from pg_catalog.pg_class c
        where c.oid = pg_catalog.to_regclass(format('public.%I', p_table))
    ) then
        execute format('revoke all on table public.%I from public, anon, authenticated', p_table);
    end if;
end;
$$;


-- Refuses an array argument of a batch that is null, has more than one dimension or more than 50,000 elements.
create or replace function reconciliation.require_batch_array(p_name text, p_array anyarray)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
    if p_array is null or array_ndims(p_array) > 1 then
        raise exception '% is %', p_name, case when p_array is null then 'null' else 'nested' end
            using errcode = 'BR001', hint = 'Give a flat array; an empty one is fine.';
    end if;

    if cardinality(p_array) > 50000 then
        raise exception '% has % elements', p_name, cardinality(p_array)
            using errcode = 'BR003', hint = 'Give at most 50000 a call.';
    end if;
end;
$$;
