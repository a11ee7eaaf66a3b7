-- What callers of the HTTP functions ask for: how often, and with which idempotency key.
-- service_role reads these tables; nothing but the procedures below writes them. A row that is over is deleted when a
-- new one is added, a hundred at a time, so that no job is needed and no call pays for many.

-- 1. Tables of these names that are there already are checked before anything is touched.
do $$
begin
    perform reconciliation.check_column('reconciliation_requests', 'key', 'text', p_required => true);
    perform reconciliation.check_column('reconciliation_requests', 'token', 'uuid', p_required => true);
    perform reconciliation.check_column('reconciliation_requests', 'expires_at', 'time', p_required => true);
    perform reconciliation.check_column('reconciliation_request_slots', 'actor', 'text', p_required => true);
    perform reconciliation.check_column('reconciliation_request_slots', 'window_from', 'time', p_required => true);
    perform reconciliation.secure_existing_table('reconciliation_requests');
    perform reconciliation.secure_existing_table('reconciliation_request_slots');
end;
$$;

-- 2. One row for every request with an idempotency key.
create table if not exists public.reconciliation_requests (
    function text collate "C" not null,
    actor text collate "C" not null,
    key text collate "C" not null,
    payload_hash text not null,
    token uuid not null,                -- who works on it, or did
    leased_until timestamptz not null,  -- until then nobody else does
    status integer,                     -- the answer's HTTP status; null: there is no answer yet
    body text,
    expires_at timestamptz not null,    -- the key is free again from then on
    primary key (function, actor, key)
);

create index if not exists reconciliation_requests_expiry_idx on public.reconciliation_requests (expires_at);

-- 3. One row an actor: the minute that is running, and how many of its requests are taken.
create table if not exists public.reconciliation_request_slots (
    actor text collate "C" primary key,
    window_from timestamptz not null,
    taken integer not null
);

create index if not exists reconciliation_request_slots_window_idx
    on public.reconciliation_request_slots (window_from);

-- 4. Who may touch them.
do $$
declare
    v_table text;
begin
    foreach v_table in array array['reconciliation_requests', 'reconciliation_request_slots'] loop
        perform reconciliation.revoke_new_table_grants(v_table);
        execute format('alter table public.%I enable row level security', v_table);
        execute format('revoke all on table public.%I from public, anon, authenticated, service_role', v_table);
        execute format('grant select on table public.%I to service_role', v_table);
    end loop;
end;
$$;


-- What these procedures say the same way --------------------------------------------------------------------------

-- Refuses a name that is null, blank or longer than 200 characters.
create or replace function reconciliation.require_name(p_name text, p_value text)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
    if coalesce(btrim(p_value), '') = '' or length(p_value) > 200 then
        raise exception '% is blank or longer than 200 characters', p_name
            using errcode = 'BR001', hint = 'Pass 1 to 200 characters.';
    end if;
end;
$$;

-- Seconds from now on, or 0 when the moment is over.
create or replace function reconciliation.seconds_until(p_moment timestamptz)
returns double precision
language sql
volatile
set search_path = ''
as $$
    select greatest(0, extract(epoch from p_moment - clock_timestamp()))::double precision;
$$;


-- Idempotency -----------------------------------------------------------------------------------------------------

-- begin_request: asks whether a request is to be carried out, and leases it to the caller if it is.
--   p_key, p_function, p_actor  what the request is known by, 1 to 200 characters each
--   p_payload_hash              of everything else that it says, 1 to 200 characters
--   p_ttl_s                     for how long the key is remembered, from its first use on
--   p_lease_s                   for how long others are told that it is in flight; longer than the work can take
--   p_token                     the caller's own: asking again with it, as after a lost answer, changes nothing
-- Returns {"state", "status", "body", "wait_s"}, where state is
--   new        carry it out, then call finish_request or abandon_request
--   done       it was carried out: status and body are the answer that was stored
--   in_flight  somebody else is at it, for wait_s seconds at most
--   mismatch   the key came with another payload before
-- Raises BR001.
-- Example: select begin_request('a-key', 'reconcile_user', 'ops', 'b1946ac9', 86400, 60, gen_random_uuid());
create or replace function public.begin_request(
    p_key text,
    p_function text,
    p_actor text,
    p_payload_hash text,
    p_ttl_s double precision,
    p_lease_s double precision,
    p_token uuid
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_request public.reconciliation_requests;
    v_now timestamptz;
    v_is_new boolean;
begin
    perform reconciliation.require_name('p_key', p_key);
    perform reconciliation.require_name('p_function', p_function);
    perform reconciliation.require_name('p_actor', p_actor);
    perform reconciliation.require_name('p_payload_hash', p_payload_hash);
    perform reconciliation.require_value('p_token', p_token);
    if p_lease_s is null or p_ttl_s is null or not (0 < p_lease_s and p_lease_s <= p_ttl_s and p_ttl_s <= 2592000) then
        raise exception 'p_lease_s is not above 0, or above p_ttl_s, or that is above 2592000'
            using errcode = 'BR001', hint = 'Pass seconds: a short lease, and up to 30 days to live.';
    end if;

    loop
        insert into public.reconciliation_requests as r (
            function, actor, key, payload_hash, token, leased_until, expires_at)
        values (p_function, p_actor, p_key, p_payload_hash, p_token,
            clock_timestamp() + make_interval(secs => p_lease_s), clock_timestamp() + make_interval(secs => p_ttl_s))
        on conflict do nothing;
        v_is_new := found;

        select r.* into v_request
        from public.reconciliation_requests r
        where r.function = p_function and r.actor = p_actor and r.key = p_key
        for update;
        -- Not found: it expired, and somebody else's call has deleted it meanwhile.
        exit when found;
    end loop;
    v_now := clock_timestamp();

    if v_is_new then
        delete from public.reconciliation_requests r
        where (r.function, r.actor, r.key) in (
            select o.function, o.actor, o.key
            from public.reconciliation_requests o
            where o.expires_at <= v_now
            order by o.expires_at
            limit 100
            for update skip locked
        );
    elsif v_request.expires_at <= v_now then
        v_is_new := true;
        update public.reconciliation_requests r
        set payload_hash = p_payload_hash, token = p_token, status = null, body = null,
            leased_until = v_now + make_interval(secs => p_lease_s),
            expires_at = v_now + make_interval(secs => p_ttl_s)
        where r.function = p_function and r.actor = p_actor and r.key = p_key;
    elsif v_request.payload_hash <> p_payload_hash then
        return json_build_object('state', 'mismatch', 'status', null, 'body', null, 'wait_s', 0);
    elsif v_request.status is not null then
        return json_build_object(
            'state', 'done', 'status', v_request.status, 'body', v_request.body, 'wait_s', 0);
    elsif v_request.token <> p_token and v_request.leased_until > v_now then
        return json_build_object('state', 'in_flight', 'status', null, 'body', null,
            'wait_s', reconciliation.seconds_until(v_request.leased_until));
    else
        -- The caller's own, or that of one who never came back.
        update public.reconciliation_requests r
        set token = p_token, leased_until = v_now + make_interval(secs => p_lease_s),
            expires_at = greatest(r.expires_at, v_now + make_interval(secs => p_lease_s))
        where r.function = p_function and r.actor = p_actor and r.key = p_key;
    end if;

    return json_build_object('state', 'new', 'status', null, 'body', null, 'wait_s', 0);
end;
$$;

revoke execute on function public.begin_request(text, text, text, text, double precision, double precision, uuid)
    from public, anon, authenticated;
grant execute on function public.begin_request(text, text, text, text, double precision, double precision, uuid)
    to service_role;


-- finish_request: stores the answer of a request that begin_request leased. It may be repeated.
--   p_token   the one that the request was begun with
--   p_status  an HTTP status, 100 to 599
--   p_body    up to 100,000 characters
-- Returns {"stored": bool}; false, and nothing changed, when somebody else has taken it over meanwhile, or it expired.
-- Raises BR001.
-- Example: select finish_request('a-key', 'reconcile_user', 'ops', 'a9f2b1de-…', 200, '{"success": true}');
create or replace function public.finish_request(
    p_key text,
    p_function text,
    p_actor text,
    p_token uuid,
    p_status integer,
    p_body text
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
begin
    perform reconciliation.require_between('p_status', p_status, 100, 599);
    if p_body is null or length(p_body) > 100000 then
        raise exception 'p_body is null or longer than 100000 characters'
            using errcode = 'BR001', hint = 'Abandon a request whose answer cannot be stored.';
    end if;

    update public.reconciliation_requests r
    set status = p_status, body = p_body
    where r.function = p_function and r.actor = p_actor and r.key = p_key and r.token = p_token;
    return json_build_object('stored', found);
end;
$$;

revoke execute on function public.finish_request(text, text, text, uuid, integer, text)
    from public, anon, authenticated;
grant execute on function public.finish_request(text, text, text, uuid, integer, text) to service_role;


-- abandon_request: gives back a request that has no answer worth keeping, so that it may be tried again at once.
-- Returns {"abandoned": bool}; false, and nothing changed, when it has an answer or another has taken it over.
-- Example: select abandon_request('a-key', 'reconcile_user', 'ops', 'a9f2b1de-…');
create or replace function public.abandon_request(p_key text, p_function text, p_actor text, p_token uuid)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
begin
    delete from public.reconciliation_requests r
    where r.function = p_function and r.actor = p_actor and r.key = p_key and r.token = p_token
        and r.status is null;
    return json_build_object('abandoned', found);
end;
$$;

revoke execute on function public.abandon_request(text, text, text, uuid) from public, anon, authenticated;
grant execute on function public.abandon_request(text, text, text, uuid) to service_role;


-- How often -------------------------------------------------------------------------------------------------------

-- take_request_slot: takes one of the requests that an actor may make in a minute. The minute begins with its first
-- request and not by the clock; a request that is refused takes nothing.
--   p_actor    who asks, 1 to 200 characters
--   p_per_min  requests a minute, 1 to 1,000,000
-- Returns {"wait_s": 0 when the request may be made, else seconds until the next minute begins}. Raises BR001.
-- Example: select take_request_slot('ops', 120);
create or replace function public.take_request_slot(p_actor text, p_per_min integer)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_slots public.reconciliation_request_slots;
    v_now timestamptz;
begin
    perform reconciliation.require_name('p_actor', p_actor);
    perform reconciliation.require_between('p_per_min', p_per_min, 1, 1000000);

    loop
        select s.* into v_slots from public.reconciliation_request_slots s where s.actor = p_actor for update;
        exit when found;
        insert into public.reconciliation_request_slots (actor, window_from, taken)
        values (p_actor, clock_timestamp(), 0)
        on conflict do nothing;
        delete from public.reconciliation_request_slots s
        where s.actor in (
            select o.actor
            from public.reconciliation_request_slots o
            where o.window_from <= clock_timestamp() - interval '1 minute'
            order by o.window_from
            limit 100
            for update skip locked
        );
    end loop;
    -- The clock is read under the row's lock: minutes begin in the order of the locks.
    v_now := clock_timestamp();

    if v_slots.window_from <= v_now - interval '1 minute' then
        v_slots.window_from := v_now;
        v_slots.taken := 0;
    end if;
    if v_slots.taken >= p_per_min then
        return json_build_object(
            'wait_s', reconciliation.seconds_until(v_slots.window_from + interval '1 minute'));
    end if;

    update public.reconciliation_request_slots s
    set window_from = v_slots.window_from, taken = v_slots.taken + 1
    where s.actor = p_actor;
    return json_build_object('wait_s', 0);
end;
$$;

revoke execute on function public.take_request_slot(text, integer) from public, anon, authenticated;
grant execute on function public.take_request_slot(text, integer) to service_role;
