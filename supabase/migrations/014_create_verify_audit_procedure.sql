-- Has the audit log been tampered with? Three procedures look through it a page at a time, and write nothing:
-- verify_audit_chains recomputes every row's hash and follows every user's chain, verify_audit_heads finds chains whose
-- end is gone, verify_audit_adoption checks the rows from before the chain. Each page sees one moment of the database.
-- Two more keep how far the scheduled verification is: get_audit_round and keep_audit_round, at the end of this file.
--
-- A fault is {"audit_id": text | null, "user_address": text | null, "chain_no": place in the user's chain | null,
-- "code": text, "detail": text}; of many the first 20 of a page are named, and all are counted:
--   row_altered           the row's content is not what its hash, or the next row's copy of that hash, was made of
--   row_missing           no row has this place, and a later row or the chain's head says that one had
--   row_inserted          a row that no procedure and no trigger put there
--   head_altered          the chain's head has another hash than the row that it stands for
--   adopted_rows_altered  the rows from before the chain are not those that were there when it began


-- The hash that a row should have.
create or replace function reconciliation.expected_row_hash(p_audit public.balance_audit_log)
returns bytea
language sql
stable
as $$
    select reconciliation.audit_row_hash(
        p_audit.chain_no, p_audit.id::text, p_audit.user_address, p_audit.operation_type, p_audit.amount,
        p_audit.balance_before, p_audit.balance_after, p_audit.transaction_hash, extract(epoch from p_audit.created_at),
        p_audit.run_id, p_audit.block_height, p_audit.reason, p_audit.reverses_audit_id, p_audit.previous_hash);
$$;


-- Refuses a page size that is none.
create or replace function reconciliation.require_page(p_name text, p_size integer)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
    if p_size is null or p_size not between 1 and 50000 then
        raise exception '% is %, not between 1 and 50000', p_name, coalesce(p_size::text, 'null')
            using errcode = 'BR001', hint = 'Ask for 1 to 50000 rows a page.';
    end if;
end;
$$;


-- The SHA-256 of what was folded so far and the next hash, for all of them in order.
create or replace function reconciliation.fold_hashes(p_digest bytea, p_hashes bytea[])
returns bytea
language plpgsql
immutable
set search_path = ''
as $$
declare
    v_digest bytea := p_digest;
    v_hash bytea;
begin
    foreach v_hash in array coalesce(p_hashes, '{}') loop
        v_digest := sha256(v_digest || coalesce(v_hash, ''));
    end loop;
    return v_digest;
end;
$$;


-- verify_audit_chains: one page of the chained rows, by user and place.
--   p_after_user, p_after_chain_no  the last row of the page before; null starts from the beginning
--   p_rows                          rows at most, 1 to 50,000, else SQLSTATE BR001
--   p_user_address                  only this user's rows; null: everybody's
--   p_until                         the digest is of rows created before; null: of all
--   p_digest                        the digest of the page before, in hex; '' to begin with
-- Returns {"rows": looked at, "users": whose last row was among them, "through_user", "through_chain_no": the page's last
-- row, null when there is no more, "faults": number, "first_faults": [fault], "gaps": rows whose balance_before is not the
-- balance_after of the row before, "unaudited": users whose ledger balance is not their last row's balance_after,
-- "first_unaudited": [up to 5 addresses], "unanchored": users without a head, whose last rows could be missing,
-- "digest": hex}. The digest does not depend on the size of the pages: one of an earlier day, for the same p_until, is the
-- same unless history was rewritten. Rows of the user SYSTEM, which are no user's balance, have no gaps.
-- Example: select verify_audit_chains(p_rows => 10000);
create or replace function public.verify_audit_chains(
    p_after_user text default null,
    p_after_chain_no bigint default null,
    p_rows integer default 10000,
    p_user_address text default null,
    p_until timestamptz default null,
    p_digest text default ''
)
returns json
language plpgsql
stable
security definer
set search_path = ''
-- A page is small against the log, whatever the statistics say about it.
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
set jit = 'off'
as $$
declare
    v_after_user text := coalesce(p_after_user, '');
    v_after_chain_no bigint := coalesce(p_after_chain_no, -9223372036854775808);
    v_until_s numeric := extract(epoch from p_until);
    v_hashes bytea[];
    v_answer jsonb;
begin
    perform reconciliation.require_page('p_rows', p_rows);

    -- The page, with the row before it and the row after it: what a row follows, and whether it is its user's last.
    with page as materialized (
        (
            select a as row, 0 as part
            from public.balance_audit_log a
            where a.user_address = p_after_user and a.chain_no = p_after_chain_no
        )
        union all
        (
            select a, 1
            from public.balance_audit_log a
            where a.chain_no is not null
                and (p_user_address is null or a.user_address = p_user_address)
                and (a.user_address, a.chain_no) > (v_after_user, v_after_chain_no)
            order by a.user_address, a.chain_no
            limit p_rows + 1
        )
    ),
    hashed as materialized (
        select
            p.part, (p.row).id::text as audit_id, (p.row).user_address, (p.row).chain_no, (p.row).previous_hash,
            (p.row).row_hash, (p.row).balance_before, (p.row).balance_after,
            (p.row).row_hash is not distinct from reconciliation.expected_row_hash(p.row) as is_whole,
            coalesce(extract(epoch from (p.row).created_at) < v_until_s, true) as is_digested,
            row_number() over (order by p.part, (p.row).user_address, (p.row).chain_no) as position,
            count(*) filter (where p.part = 1) over () as fetched
        from page p
    ),
    followed as (
        select
            s.*,
            lag(s.user_address) over w is not distinct from s.user_address as has_previous,
            lag(s.chain_no) over w as last_chain_no,
            lag(s.row_hash) over w as last_hash,
            lag(s.is_whole) over w as last_is_whole,
            lag(s.audit_id) over w as last_audit_id,
            lag(s.balance_after) over w as last_balance,
            lead(s.user_address) over w is distinct from s.user_address as is_last,
            -- The row after the page was fetched to look at, no more.
            s.part = 1 and not (s.fetched > p_rows and lead(s.position) over w is null) as is_looked_at
        from hashed s
        window w as (order by s.position)
    ),
    looked_at as materialized (
        select
            f.*,
            b.user_address is not null as has_ledger_row,
            b.balance as ledger_balance,
            b.audit_chain_no,
            b.audit_hash,
            h.chain_no as aside_chain_no,
            h.row_hash as aside_hash,
            greatest(b.audit_chain_no, h.chain_no) as head_no
        from followed f
        left join public.user_balances b on f.is_last and b.user_address = f.user_address
        left join reconciliation.audit_heads h on f.is_last and h.user_address = f.user_address
        where f.is_looked_at
    ),
    fault as (
        -- One at most of a row …
        select
            l.position,
            case
                when not l.is_whole then l.audit_id
                when l.has_previous and l.last_chain_no = l.chain_no then l.audit_id
                when l.chain_no < 1 then l.audit_id
                when coalesce(l.last_chain_no, 0) < l.chain_no - 1 or not l.has_previous and l.chain_no > 1 then null
                else coalesce(l.last_audit_id, l.audit_id)
            end as audit_id,
            l.user_address,
            case
                when not l.is_whole or l.chain_no < 1 or l.has_previous and l.last_chain_no = l.chain_no then l.chain_no
                when not l.has_previous then 1
                when l.last_chain_no < l.chain_no - 1 then l.last_chain_no + 1
                else l.last_chain_no
            end as chain_no,
            case
                when not l.is_whole then 'row_altered'
                when l.chain_no < 1 or l.has_previous and l.last_chain_no = l.chain_no then 'row_inserted'
                when not l.has_previous and l.chain_no > 1 then 'row_missing'
                when l.has_previous and l.last_chain_no < l.chain_no - 1 then 'row_missing'
                when not l.has_previous then 'row_inserted'
                else 'row_altered'
            end as code,
            case
                when not l.is_whole then 'its content does not have the hash that was stored with it'
                when l.chain_no < 1 then 'no chain has this place'
                when l.has_previous and l.last_chain_no = l.chain_no then 'the place is taken by another row'
                when coalesce(case when l.has_previous then l.last_chain_no end, 0) < l.chain_no - 1
                    then 'gone; the next row that is there has place ' || l.chain_no
                when not l.has_previous then 'the first row of a chain follows none, and this one does'
                else 'the row at place ' || l.chain_no || ' follows one with another hash'
            end as detail
        from looked_at l
        where not l.is_whole
            or l.chain_no < 1
            or coalesce(case when l.has_previous then l.last_chain_no end, 0) <> l.chain_no - 1
            or case
                when not l.has_previous then l.previous_hash is not null
                -- A row whose own hash is wrong has its fault already.
                else l.last_is_whole and l.previous_hash is distinct from l.last_hash
            end
        union all
        -- … and one of a chain's end. A head without its row is verify_audit_heads' to find.
        select
            l.position,
            case when l.head_no = l.chain_no then l.audit_id else (
                select a.id::text
                from public.balance_audit_log a
                where a.user_address = l.user_address and a.chain_no > l.head_no
                order by a.chain_no
                limit 1
            ) end,
            l.user_address,
            case when l.head_no = l.chain_no then l.chain_no else l.head_no + 1 end,
            case when l.head_no = l.chain_no then 'head_altered' else 'row_inserted' end,
            case when l.head_no = l.chain_no then 'the last row of the chain has another hash than the chain''s head'
                else 'the chain''s head is at place ' || l.head_no end
        from looked_at l
        where l.is_last and l.is_whole
            and (
                l.head_no < l.chain_no
                or l.audit_chain_no = l.chain_no and l.audit_hash is distinct from l.row_hash
                or l.aside_chain_no = l.chain_no and l.aside_hash is distinct from l.row_hash
            )
    )
    select
        jsonb_build_object(
            'rows', count(*),
            'users', count(*) filter (where l.is_last),
            'through_user', (select t.user_address from looked_at t where t.fetched > p_rows
                order by t.position desc limit 1),
            'through_chain_no', (select t.chain_no from looked_at t where t.fetched > p_rows
                order by t.position desc limit 1),
            'faults', (select count(*) from fault),
            'first_faults', (
                select coalesce(jsonb_agg(to_jsonb(t) - 'position' order by t.position), '[]')
                from (select * from fault order by fault.position limit 20) t
            ),
            'gaps', count(*) filter (
                where l.has_previous and l.last_chain_no = l.chain_no - 1 and l.balance_before <> l.last_balance
                    and l.user_address <> 'SYSTEM'),
            'unaudited', count(*) filter (
                where l.is_last and l.has_ledger_row and l.ledger_balance is distinct from l.balance_after),
            'first_unaudited', (
                select coalesce(jsonb_agg(t.user_address), '[]')
                from (
                    select u.user_address
                    from looked_at u
                    where u.is_last and u.has_ledger_row and u.ledger_balance is distinct from u.balance_after
                    order by u.position
                    limit 5
                ) t
            ),
            'unanchored', count(*) filter (where l.is_last and l.head_no is null)
        ),
        array_agg(l.row_hash order by l.position) filter (where l.is_digested)
    into v_answer, v_hashes
    from looked_at l;

    return v_answer || jsonb_build_object(
        'digest', encode(reconciliation.fold_hashes(decode(coalesce(p_digest, ''), 'hex'), v_hashes), 'hex'));
end;
$$;

revoke execute on function public.verify_audit_chains(text, bigint, integer, text, timestamptz, text)
    from public, anon, authenticated;
grant execute on function public.verify_audit_chains(text, bigint, integer, text, timestamptz, text) to service_role;


-- verify_audit_heads: one page of the heads of the chains, by user: is the row there that a head stands for?
--   p_after         the last user of the page before; null starts from the beginning
--   p_users         users at most, 1 to 50,000, else SQLSTATE BR001
--   p_user_address  only this user; null: everybody
--   p_aside         false: the heads in user_balances; true: those beside it, of users without a ledger row and of
--                   rows that no procedure wrote. Of a user who has both the later one counts.
-- Returns {"heads": looked at, "through": the page's last user, null when there is no more, "faults", "first_faults"}.
-- Example: select verify_audit_heads(p_users => 10000);
create or replace function public.verify_audit_heads(
    p_after text default null,
    p_users integer default 10000,
    p_user_address text default null,
    p_aside boolean default false
)
returns json
language plpgsql
stable
security definer
set search_path = ''
-- Planned for its values: of the two sources one is left.
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
set jit = 'off'
as $$
begin
    perform reconciliation.require_page('p_users', p_users);

    return (
        with page as materialized (
            (
                select b.user_address, b.audit_chain_no as chain_no
                from public.user_balances b
                where not p_aside and b.user_address >= coalesce(p_after, '') and b.user_address is distinct from p_after
                    and (p_user_address is null or b.user_address = p_user_address)
                order by b.user_address
                limit p_users
            )
            union all
            (
                select h.user_address, h.chain_no
                from reconciliation.audit_heads h
                where p_aside and h.user_address >= coalesce(p_after, '') and h.user_address is distinct from p_after
                    and (p_user_address is null or h.user_address = p_user_address)
                order by h.user_address
                limit p_users
            )
        ),
        head as materialized (
            select p.user_address, p.chain_no
            from page p
            where p.chain_no is not null
                and not exists (
                    select from reconciliation.audit_heads h
                    where not p_aside and h.user_address = p.user_address and h.chain_no >= p.chain_no)
                and not exists (
                    select from public.user_balances b
                    where p_aside and b.user_address = p.user_address and b.audit_chain_no > p.chain_no)
        ),
        fault as (
            select
                null::text as audit_id,
                d.user_address,
                coalesce(last.chain_no, 0) + 1 as chain_no,
                'row_missing' as code,
                'gone; the chain''s head is at place ' || d.chain_no as detail
            from head d
            left join lateral (
                select a.chain_no
                from public.balance_audit_log a
                where a.user_address = d.user_address and a.chain_no < d.chain_no
                order by a.chain_no desc
                limit 1
            ) last on true
            where not exists (
                select from public.balance_audit_log a
                where a.user_address = d.user_address and a.chain_no = d.chain_no
            )
        )
        select json_build_object(
            'heads', (select count(*) from head),
            'through', (
                select p.user_address from page p
                where (select count(*) from page) = p_users
                order by p.user_address desc
                limit 1
            ),
            'faults', (select count(*) from fault),
            'first_faults', (
                select coalesce(json_agg(t order by t.user_address), '[]')
                from (select * from fault order by fault.user_address limit 20) t
            )
        )
    );
end;
$$;

revoke execute on function public.verify_audit_heads(text, integer, text, boolean) from public, anon, authenticated;
grant execute on function public.verify_audit_heads(text, integer, text, boolean) to service_role;


-- verify_audit_adoption: one page of the rows from before the chain, by id.
--   p_after   the last audit id of the page before; null starts from the beginning
--   p_rows    rows at most, 1 to 50,000, else SQLSTATE BR001
--   p_digest  the digest of the page before, in hex; '' to begin with
-- Returns {"rows", "through": the page's last id, null when there is no more, "digest": hex, "adopted_rows",
-- "adopted_digest": how many there were when the chain began, and their digest, "adopted_at", "later_audit_id": the first
-- of the page's rows that was made after that, or null}. The rows are those that were adopted if count and digest over
-- all pages are.
-- Example: select verify_audit_adoption(p_rows => 10000);
create or replace function public.verify_audit_adoption(
    p_after text default null,
    p_rows integer default 10000,
    p_digest text default ''
)
returns json
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
    v_adoption reconciliation.audit_adoption;
    v_rows bigint;
    v_through text;
    v_later text;
    v_hashes bytea[];
begin
    perform reconciliation.require_page('p_rows', p_rows);
    select * into v_adoption from reconciliation.audit_adoption;

    -- An app's id may be of any type: the last one is taken for that type's, and compared as it is ordered.
    execute format($query$
        select count(*), (array_agg(page.id order by page.position desc))[1]::text,
            array_agg(page.row_hash order by page.position),
            (array_agg(page.id::text order by page.position) filter (where page.created_at_s > $2))[1]
        from (
            select a.id, reconciliation.expected_row_hash(a) as row_hash, extract(epoch from a.created_at) as created_at_s,
                row_number() over (order by a.id) as position
            from public.balance_audit_log a
            where a.chain_no is null %s
            order by a.id
            limit $1
        ) page
    $query$, case when p_after is not null then format('and a.id > %L::%s', p_after, (
        select format_type(t.atttypid, t.atttypmod) from pg_catalog.pg_attribute t
        where t.attrelid = 'public.balance_audit_log'::regclass and t.attname = 'id'
    )) end)
    into v_rows, v_through, v_hashes, v_later
    using p_rows, extract(epoch from v_adoption.adopted_at);

    return json_build_object(
        'rows', v_rows,
        'through', case when v_rows = p_rows then v_through end,
        'digest', encode(reconciliation.fold_hashes(decode(coalesce(p_digest, ''), 'hex'), v_hashes), 'hex'),
        'adopted_rows', v_adoption.adopted_rows,
        'adopted_digest', encode(v_adoption.digest, 'hex'),
        'adopted_at', v_adoption.adopted_at,
        'later_audit_id', v_later
    );
end;
$$;

revoke execute on function public.verify_audit_adoption(text, integer, text) from public, anon, authenticated;
grant execute on function public.verify_audit_adoption(text, integer, text) to service_role;


-- How far the scheduled verification is: a round goes through everything, and takes as many invocations as it needs.
do $$
begin
    perform reconciliation.check_column('reconciliation_audit_round', 'step', 'bigint', p_required => true);
    perform reconciliation.check_column('reconciliation_audit_round', 'token', 'uuid', p_required => true);
    perform reconciliation.check_column('reconciliation_audit_round', 'after', 'text', p_required => true);
    perform reconciliation.check_column('reconciliation_audit_round', 'started_at', 'time', p_required => true);
    perform reconciliation.secure_existing_table('reconciliation_audit_round');
end;
$$;

create table if not exists public.reconciliation_audit_round (
    only_row boolean primary key default true check (only_row),
    step bigint not null,               -- how often it was kept: who keeps it says what it goes on from
    token uuid not null,                -- who kept it last
    started_at timestamptz not null,    -- when the round began
    kept_at timestamptz not null,
    after text,                         -- where to go on; null: the round has gone through everything
    faults bigint not null,             -- of the round so far
    found json not null,                -- the round so far, as the function verify_audit answers it
    last_found json                     -- the same of the last round that went through everything
);

do $$
begin
    perform reconciliation.revoke_new_table_grants('reconciliation_audit_round');
end;
$$;
alter table public.reconciliation_audit_round enable row level security;
revoke all on table public.reconciliation_audit_round from public, anon, authenticated, service_role;
grant select on table public.reconciliation_audit_round to service_role;


-- get_audit_round: how far the scheduled verification is.
-- Returns {"step", "started_at", "kept_at", "found": the round so far, "last_found": the last round that went through
-- everything, or null}; null before the first round.
-- Example: select get_audit_round();
create or replace function public.get_audit_round()
returns json
language sql
stable
security definer
set search_path = ''
as $$
    select json_build_object(
        'step', r.step, 'started_at', r.started_at, 'kept_at', r.kept_at, 'found', r.found, 'last_found', r.last_found)
    from public.reconciliation_audit_round r;
$$;

revoke execute on function public.get_audit_round() from public, anon, authenticated;
grant execute on function public.get_audit_round() to service_role;


-- keep_audit_round: the round has come so far.
--   p_step    the step that this goes on from; 0: none was kept
--   p_token   who keeps it; the same call may be repeated
--   p_found   the round so far: an object with "faults", a number, and "after", text, null when it is over;
--             else SQLSTATE BR001
--   p_begins  a new round, instead of going on with that of p_step
-- Returns {"stored": boolean}: false when somebody else has kept it since; then nothing is changed.
-- Example: select keep_audit_round(0, gen_random_uuid(), '{"faults": 0, "after": "WyIy"}', true);
create or replace function public.keep_audit_round(p_step bigint, p_token uuid, p_found json, p_begins boolean)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_faults bigint;
    v_stored boolean;
begin
    if p_step is null or p_step < 0 or p_token is null or p_begins is null
        or json_typeof(p_found) is distinct from 'object'
        or coalesce(p_found ->> 'faults', '') !~ '^[0-9]{1,18}$'
        or coalesce(json_typeof(p_found -> 'after'), 'missing') not in ('null', 'string')
    then
        raise exception 'this is no round of a verification'
            using errcode = 'BR001', hint = 'Give a step, a token, what was found with faults and after, and p_begins.';
    end if;
    v_faults := (p_found ->> 'faults')::bigint;

    if p_step = 0 then
        insert into public.reconciliation_audit_round (step, token, started_at, kept_at, after, faults, found)
        values (1, p_token, clock_timestamp(), clock_timestamp(), p_found ->> 'after', v_faults, p_found)
        on conflict do nothing;
    else
        update public.reconciliation_audit_round r
        set step = r.step + 1,
            token = p_token,
            started_at = case when p_begins then clock_timestamp() else r.started_at end,
            kept_at = clock_timestamp(),
            after = p_found ->> 'after',
            faults = v_faults,
            found = p_found,
            -- A round that is begun anew before it was over leaves the one before it.
            last_found = case when p_begins and r.after is null then r.found else r.last_found end
        where r.step = p_step;
    end if;

    select r.step = p_step + 1 and r.token = p_token into v_stored from public.reconciliation_audit_round r;
    return json_build_object('stored', coalesce(v_stored, false));
end;
$$;

revoke execute on function public.keep_audit_round(bigint, uuid, json, boolean) from public, anon, authenticated;
grant execute on function public.keep_audit_round(bigint, uuid, json, boolean) to service_role;
