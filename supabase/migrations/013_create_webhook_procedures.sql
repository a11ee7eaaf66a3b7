-- Which messages of the indexer were received, and what they were answered: a replay changes nothing.
-- service_role reads the table; nothing but the procedures below writes it. A row that is over is deleted when a new one
-- is added, a hundred at a time, so that no job is needed and no call pays for many.

-- 1. A table of this name that is there already is checked before anything is touched.
do $$
begin
    perform reconciliation.check_column('reconciliation_webhooks', 'message_id', 'text', p_required => true);
    perform reconciliation.check_column('reconciliation_webhooks', 'token', 'uuid', p_required => true);
    perform reconciliation.check_column('reconciliation_webhooks', 'expires_at', 'time', p_required => true);
    perform reconciliation.secure_existing_table('reconciliation_webhooks');
end;
$$;

-- 2. One row a message.
create table if not exists public.reconciliation_webhooks (
    message_id text collate "C" primary key,
    payload_hash text not null,
    received_at timestamptz not null,   -- for the first time
    token uuid not null,                -- who works on it, or did
    leased_until timestamptz not null,  -- until then nobody else does
    status integer,                     -- the answer's HTTP status; null: there is no answer yet
    body text,
    expires_at timestamptz not null     -- the message is forgotten from then on
);

create index if not exists reconciliation_webhooks_expiry_idx on public.reconciliation_webhooks (expires_at);

-- 3. Who may touch it.
select reconciliation.revoke_new_table_grants('reconciliation_webhooks');
alter table public.reconciliation_webhooks enable row level security;
revoke all on table public.reconciliation_webhooks from public, anon, authenticated, service_role;
grant select on table public.reconciliation_webhooks to service_role;


-- begin_webhook: asks whether a message is to be worked, and leases it to the caller if it is.
--   p_message_id    the sender's id of the message, 1 to 200 characters
--   p_payload_hash  of the message's body, 1 to 200 characters
--   p_ttl_s         for how long the message is remembered, from now on
--   p_lease_s       for how long others are told that it is in flight; longer than the work can take
--   p_token         the caller's own: asking again with it, as after a lost answer, changes nothing
-- Returns {"state", "status", "body", "wait_s"}, where state is
--   new        work it, then call finish_webhook or abandon_webhook
--   done       it was worked: status and body are the answer that was stored
--   in_flight  somebody else is at it, for wait_s seconds at most
--   mismatch   a message of this id was worked, or is, that said something else
-- Raises BR001.
-- Example: select begin_webhook('msg_2b7f', 'b1946ac9', 259200, 120, gen_random_uuid());
create or replace function public.begin_webhook(
    p_message_id text,
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
    v_webhook public.reconciliation_webhooks;
    v_now timestamptz;
begin
    perform reconciliation.require_name('p_message_id', p_message_id);
    perform reconciliation.require_name('p_payload_hash', p_payload_hash);
    perform reconciliation.require_value('p_token', p_token);
    if p_lease_s is null or p_ttl_s is null or not (0 < p_lease_s and p_lease_s <= p_ttl_s and p_ttl_s <= 2592000) then
        raise exception 'p_lease_s is not above 0, or above p_ttl_s, or that is above 2592000'
            using errcode = 'BR001', hint = 'Pass seconds: a short lease, and up to 30 days to live.';
    end if;

    loop
        v_now := clock_timestamp();
        insert into public.reconciliation_webhooks (
            message_id, payload_hash, received_at, token, leased_until, expires_at)
        values (p_message_id, p_payload_hash, v_now, p_token,
            v_now + make_interval(secs => p_lease_s), v_now + make_interval(secs => p_ttl_s))
        on conflict do nothing;
        if found then
            delete from public.reconciliation_webhooks w
            where w.message_id in (
                select o.message_id
                from public.reconciliation_webhooks o
                where o.expires_at <= v_now
                order by o.expires_at
                limit 100
                for update skip locked
            );
            return json_build_object('state', 'new', 'status', null, 'body', null, 'wait_s', 0);
        end if;

        select w.* into v_webhook
        from public.reconciliation_webhooks w
        where w.message_id = p_message_id
        for update;
        -- Not found: it expired or was given back, and is deleted meanwhile.
        exit when found;
    end loop;
    -- The clock is read under the row's lock: a lease that ended while we waited for it has ended.
    v_now := clock_timestamp();

    if v_webhook.expires_at > v_now then
        if v_webhook.status is not null and v_webhook.payload_hash = p_payload_hash then
            return json_build_object(
                'state', 'done', 'status', v_webhook.status, 'body', v_webhook.body, 'wait_s', 0);
        end if;
        if v_webhook.status is not null
            or v_webhook.payload_hash <> p_payload_hash and v_webhook.leased_until > v_now
        then
            return json_build_object('state', 'mismatch', 'status', null, 'body', null, 'wait_s', 0);
        end if;
        if v_webhook.token <> p_token and v_webhook.leased_until > v_now then
            return json_build_object('state', 'in_flight', 'status', null, 'body', null,
                'wait_s', reconciliation.seconds_until(v_webhook.leased_until));
        end if;
    end if;

    -- Forgotten, the caller's own, or that of one who never came back.
    update public.reconciliation_webhooks w
    set payload_hash = p_payload_hash, token = p_token, status = null, body = null,
        received_at = case when v_webhook.expires_at > v_now then w.received_at else v_now end,
        leased_until = v_now + make_interval(secs => p_lease_s),
        expires_at = v_now + make_interval(secs => p_ttl_s)
    where w.message_id = p_message_id;
    return json_build_object('state', 'new', 'status', null, 'body', null, 'wait_s', 0);
end;
$$;

revoke execute on function public.begin_webhook(text, text, double precision, double precision, uuid)
    from public, anon, authenticated;
grant execute on function public.begin_webhook(text, text, double precision, double precision, uuid) to service_role;


-- finish_webhook: stores the answer of a message that begin_webhook leased. It may be repeated.
--   p_token   the one that the message was begun with
--   p_status  an HTTP status, 100 to 599
--   p_body    up to 10,000,000 characters
-- Returns {"stored": bool}; false, and nothing changed, when somebody else has taken it over meanwhile, or it is
-- forgotten. Raises BR001.
-- Example: select finish_webhook('msg_2b7f', 'a9f2b1de-…', 200, '{"users": 1}');
create or replace function public.finish_webhook(p_message_id text, p_token uuid, p_status integer, p_body text)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
begin
    perform reconciliation.require_between('p_status', p_status, 100, 599);
    if p_body is null or length(p_body) > 10000000 then
        raise exception 'p_body is null or longer than 10000000 characters'
            using errcode = 'BR001', hint = 'Abandon a message whose answer cannot be stored.';
    end if;

    update public.reconciliation_webhooks w
    set status = p_status, body = p_body
    where w.message_id = p_message_id and w.token = p_token;
    return json_build_object('stored', found);
end;
$$;

revoke execute on function public.finish_webhook(text, uuid, integer, text) from public, anon, authenticated;
grant execute on function public.finish_webhook(text, uuid, integer, text) to service_role;


-- abandon_webhook: gives back a message that could not be worked, so that it may come again at once.
-- Returns {"abandoned": bool}; false, and nothing changed, when it has an answer or another has taken it over.
-- Example: select abandon_webhook('msg_2b7f', 'a9f2b1de-…');
create or replace function public.abandon_webhook(p_message_id text, p_token uuid)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
begin
    delete from public.reconciliation_webhooks w
    where w.message_id = p_message_id and w.token = p_token and w.status is null;
    return json_build_object('abandoned', found);
end;
$$;

revoke execute on function public.abandon_webhook(text, uuid) from public, anon, authenticated;
grant execute on function public.abandon_webhook(text, uuid) to service_role;
