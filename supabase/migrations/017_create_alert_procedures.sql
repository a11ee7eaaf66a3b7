-- What people are told of: conditions that hold, the messages about them, and which runs were announced.
-- service_role reads these tables; nothing but the procedures below writes them.
--
-- A condition is a kind of alert that is open or is not; there is one open alert a kind. A change of it and the
-- messages about that change are one transaction, so a crash between them and their sending loses nothing: whoever
-- comes next leases what is not sent. A message whose sender was lost after it had gone out is sent again: once at
-- least, not once exactly.
--
-- Lock order: the run's row, the alerts by kind, their deliveries.

-- 1. Tables of these names that are there already are checked before anything is touched.
do $$
begin
    perform reconciliation.check_column('reconciliation_alerts', 'alert_id', 'uuid', p_required => true);
    perform reconciliation.check_column('reconciliation_alerts', 'kind', 'text', p_required => true);
    perform reconciliation.check_column('reconciliation_alerts', 'resolved_at', 'time', p_required => true);
    perform reconciliation.check_column('reconciliation_alert_deliveries', 'delivery_id', 'bigint', p_required => true);
    perform reconciliation.check_column('reconciliation_alert_deliveries', 'channel', 'text', p_required => true);
    perform reconciliation.check_column('reconciliation_alert_deliveries', 'token', 'uuid', p_required => true);
    perform reconciliation.check_column('reconciliation_watchdog', 'last_tick_at', 'time', p_required => true);
    perform reconciliation.secure_existing_table('reconciliation_alerts');
    perform reconciliation.secure_existing_table('reconciliation_alert_deliveries');
    perform reconciliation.secure_existing_table('reconciliation_watchdog');
end;
$$;

-- 2. One row for each time that a condition held, from its first observation until it was over.
create table if not exists public.reconciliation_alerts (
    alert_id uuid primary key default gen_random_uuid(),
    kind text not null check (kind in (
        'run_discrepancies', 'run_halted', 'run_failed', 'sweep_overdue', 'solvency_mismatch', 'solvency_unreadable',
        'audit_broken')),
    severity text not null check (severity in ('info', 'warning', 'critical')),
    state text not null,                -- while it stays the same nobody is told again
    summary text not null,
    remedy text not null,
    facts json not null,                -- label: value, in the order in which they are shown
    run_id uuid,                        -- the run that showed it, if one did
    opened_at timestamptz not null,     -- since when it holds
    changed_at timestamptz not null,    -- since when in this state
    last_seen_at timestamptz not null,
    times bigint not null default 1,    -- how often it was observed
    resolved_at timestamptz             -- null: it holds
);

create unique index if not exists reconciliation_alerts_one_open_key
    on public.reconciliation_alerts (kind) where resolved_at is null;
create index if not exists reconciliation_alerts_newest_idx on public.reconciliation_alerts (opened_at, alert_id);

-- 3. One row a message and channel. A channel is named without its secrets.
create table if not exists public.reconciliation_alert_deliveries (
    delivery_id bigint generated always as identity primary key,
    alert_id uuid not null references public.reconciliation_alerts on delete cascade,
    event text not null check (event in ('opened', 'changed', 'resolved')),
    channel text not null,
    message json not null,              -- the alert as it was then
    created_at timestamptz not null,
    state text not null default 'pending' check (state in ('pending', 'sent', 'gave_up')),
    attempts integer not null default 0,
    next_at timestamptz not null,       -- not to be sent before
    token uuid,                         -- who sends it, or did
    leased_until timestamptz,           -- until then nobody else does
    sent_at timestamptz,
    error text                          -- of the last attempt that failed
);

create index if not exists reconciliation_alert_deliveries_pending_idx
    on public.reconciliation_alert_deliveries (alert_id, channel, delivery_id) where state = 'pending';
create index if not exists reconciliation_alert_deliveries_alert_idx
    on public.reconciliation_alert_deliveries (alert_id, channel, created_at);

-- 4. Since when the watchdog watches, and when it did last: one row.
create table if not exists public.reconciliation_watchdog (
    only_row boolean primary key default true check (only_row),
    first_tick_at timestamptz not null,
    last_tick_at timestamptz not null
);

-- 5. When a run that has ended was announced. Runs that ended before there was this column are not news.
do $$
begin
    if not exists (
        select from information_schema.columns c
        where c.table_schema = 'public' and c.table_name = 'reconciliation_runs' and c.column_name = 'announced_at'
    ) then
        alter table public.reconciliation_runs add column announced_at timestamptz;
        update public.reconciliation_runs set announced_at = finished_at where finished_at is not null;
    end if;
end;
$$;

create index if not exists reconciliation_runs_unannounced_idx
    on public.reconciliation_runs (finished_at, run_id)
    where announced_at is null and not dry_run and finished_at is not null;

-- 6. Who may touch them.
do $$
declare
    v_table text;
begin
    foreach v_table in array array[
        'reconciliation_alerts', 'reconciliation_alert_deliveries', 'reconciliation_watchdog'
    ] loop
        perform reconciliation.revoke_new_table_grants(v_table);
        execute format('alter table public.%I enable row level security', v_table);
        execute format('revoke all on table public.%I from public, anon, authenticated, service_role', v_table);
        execute format('grant select on table public.%I to service_role', v_table);
    end loop;
end;
$$;


-- What these procedures say the same way --------------------------------------------------------------------------

-- Refuses a kind, an alert or channels that nobody could be told of.
create or replace function reconciliation.require_alert(p_kind text, p_alert json, p_channels text[])
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
    if p_kind is null or p_kind not in (
        'run_discrepancies', 'run_halted', 'run_failed', 'sweep_overdue', 'solvency_mismatch', 'solvency_unreadable',
        'audit_broken')
    then
        raise exception 'p_kind is %', coalesce(left(p_kind, 100), 'null')
            using errcode = 'BR001', hint = 'Pass a kind of docs/sql-api.md.';
    end if;
    if p_channels is null or array_ndims(p_channels) > 1 or cardinality(p_channels) > 100
        or exists (select from unnest(p_channels) as c (name) where coalesce(length(c.name), 0) not between 1 and 100)
    then
        raise exception 'p_channels is null, nested, too long, or holds what is no name'
            using errcode = 'BR001', hint = 'Pass up to 100 names of 1 to 100 characters; none is fine.';
    end if;
    if p_alert is not null and not coalesce(
        json_typeof(p_alert) = 'object'
        and p_alert ->> 'severity' in ('info', 'warning', 'critical')
        and length(p_alert ->> 'state') between 1 and 500
        and length(p_alert ->> 'summary') between 1 and 2000
        and length(p_alert ->> 'remedy') between 1 and 2000
        and json_typeof(p_alert -> 'facts') = 'object', false)
    then
        raise exception 'p_alert lacks something, or it is too long'
            using errcode = 'BR001', hint =
                'Give an object with severity (info, warning, critical), state, summary, remedy and facts (an object).';
    end if;
end;
$$;

-- Puts a message about an alert into the outbox, once for each channel. Returns how many.
create or replace function reconciliation.tell(
    p_alert public.reconciliation_alerts,
    p_event text,
    p_at timestamptz,
    p_channels text[]
)
returns integer
language plpgsql
set search_path = ''
as $$
declare
    v_deliveries integer;
begin
    insert into public.reconciliation_alert_deliveries (alert_id, event, channel, message, created_at, next_at)
    select p_alert.alert_id, p_event, c.name, json_build_object(
            'event', p_event, 'kind', p_alert.kind, 'severity', p_alert.severity, 'summary', p_alert.summary,
            'remedy', p_alert.remedy, 'facts', p_alert.facts, 'run_id', p_alert.run_id, 'since', p_alert.opened_at,
            'at', p_at),
        p_at, p_at
    from (select distinct n.name from unnest(p_channels) as n (name)) c
    order by c.name;
    get diagnostics v_deliveries = row_count;
    return v_deliveries;
end;
$$;

-- What observe_alert does; its arguments are checked by then.
create or replace function reconciliation.observe_alert(
    p_kind text, p_alert json, p_run_id uuid, p_channels text[]
)
returns json
language plpgsql
set search_path = ''
as $$
declare
    v_alert public.reconciliation_alerts;
    v_now timestamptz;
    v_event text;
    v_channels text[] := p_channels;
begin
    loop
        select a.* into v_alert
        from public.reconciliation_alerts a
        where a.kind = p_kind and a.resolved_at is null
        for update;
        -- The clock is read under the row's lock: what is told goes in the order of the locks.
        v_now := clock_timestamp();
        exit when found;
        if p_alert is null then
            return json_build_object('event', null, 'alert_id', null, 'deliveries', 0);
        end if;

        insert into public.reconciliation_alerts (
            kind, severity, state, summary, remedy, facts, run_id, opened_at, changed_at, last_seen_at)
        values (
            p_kind, p_alert ->> 'severity', p_alert ->> 'state', p_alert ->> 'summary', p_alert ->> 'remedy',
            p_alert -> 'facts', p_run_id, v_now, v_now, v_now)
        on conflict (kind) where resolved_at is null do nothing
        returning * into v_alert;
        if found then
            return json_build_object('event', 'opened', 'alert_id', v_alert.alert_id,
                'deliveries', reconciliation.tell(v_alert, 'opened', v_now, p_channels));
        end if;
        -- Somebody else was quicker: theirs is the open one.
    end loop;

    if p_alert is null then
        v_event := 'resolved';
        update public.reconciliation_alerts a
        set resolved_at = v_now
        where a.alert_id = v_alert.alert_id
        returning * into v_alert;
        v_alert.run_id := coalesce(p_run_id, v_alert.run_id);
        -- Nobody was to hear of it, so nobody needs to hear that it is over.
        if not exists (
            select from public.reconciliation_alert_deliveries d where d.alert_id = v_alert.alert_id
        ) then
            v_channels := '{}';
        end if;
    elsif v_alert.state <> p_alert ->> 'state' then
        v_event := 'changed';
        update public.reconciliation_alerts a
        set severity = p_alert ->> 'severity', state = p_alert ->> 'state', summary = p_alert ->> 'summary',
            remedy = p_alert ->> 'remedy', facts = p_alert -> 'facts', run_id = p_run_id, changed_at = v_now,
            last_seen_at = v_now, times = a.times + 1
        where a.alert_id = v_alert.alert_id
        returning * into v_alert;
    else
        update public.reconciliation_alerts a
        set last_seen_at = v_now, times = a.times + 1
        where a.alert_id = v_alert.alert_id
        returning * into v_alert;
        -- A channel that is new, or that the first observer did not have, hears of it now.
        v_channels := array(
            select n.name
            from unnest(p_channels) as n (name)
            where not exists (
                select from public.reconciliation_alert_deliveries d
                where d.alert_id = v_alert.alert_id and d.channel = n.name and d.created_at >= v_alert.changed_at
            )
        );
    end if;

    return json_build_object('event', v_event, 'alert_id', v_alert.alert_id,
        'deliveries', reconciliation.tell(v_alert, coalesce(v_event, 'opened'), v_now, v_channels));
end;
$$;

-- An alert in the form in which it is listed.
create or replace function reconciliation.alert_json(p_alert public.reconciliation_alerts)
returns json
language sql
stable
set search_path = ''
as $$
    select json_build_object(
        'alert_id', p_alert.alert_id, 'kind', p_alert.kind, 'severity', p_alert.severity, 'state', p_alert.state,
        'summary', p_alert.summary, 'remedy', p_alert.remedy, 'facts', p_alert.facts, 'run_id', p_alert.run_id,
        'opened_at', p_alert.opened_at, 'changed_at', p_alert.changed_at, 'last_seen_at', p_alert.last_seen_at,
        'times', p_alert.times, 'resolved_at', p_alert.resolved_at);
$$;


-- Conditions ------------------------------------------------------------------------------------------------------

-- observe_alert: a condition holds, or is over. In the same transaction a message for each channel is put into the
-- outbox when it begins, when its state changes, and when it ends (if anybody was to hear that it had begun).
--   p_kind      run_discrepancies, run_halted, run_failed, sweep_overdue, solvency_mismatch, solvency_unreadable or
--               audit_broken
--   p_alert     {severity: info, warning or critical; state: 1 to 500 characters; summary, remedy: 1 to 2,000; facts:
--               an object}, or null: the condition is over
--   p_run_id    the run that showed it; null: none
--   p_channels  names of those who are to be told, up to 100. One that has not been told of an open alert in its
--               present state is told when that is observed again
-- Returns {"event": opened, changed, resolved, or null: nothing is new, "alert_id", "deliveries": messages added}.
-- Of concurrent observers one opens, changes or resolves it. Raises BR001.
-- Example: select observe_alert('audit_broken', '{"severity": "critical", "state": "3 rows", "summary": "…",
--     "remedy": "…", "facts": {"Faults": "3"}}', null, array['slack-5e6f7a8b']);
create or replace function public.observe_alert(
    p_kind text,
    p_alert json default null,
    p_run_id uuid default null,
    p_channels text[] default '{}'
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
begin
    perform reconciliation.require_alert(p_kind, p_alert, p_channels);
    return reconciliation.observe_alert(p_kind, p_alert, p_run_id, p_channels);
end;
$$;

revoke execute on function public.observe_alert(text, json, uuid, text[]) from public, anon, authenticated;
grant execute on function public.observe_alert(text, json, uuid, text[]) to service_role;


-- list_alerts: alerts, the newest first.
--   p_open_only  only those that hold
--   p_before     only alerts that were opened before this one; null starts with the newest
--   p_limit      alerts at most, 1 to 1,000, else BR001
-- Returns an array of {alert_id, kind, severity, state, summary, remedy, facts, run_id, opened_at, changed_at,
-- last_seen_at, times, resolved_at}; empty too when there is no alert p_before.
-- Example: select list_alerts(p_open_only => true);
create or replace function public.list_alerts(
    p_open_only boolean default false,
    p_before uuid default null,
    p_limit integer default 50
)
returns json
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
    perform reconciliation.require_between('p_limit', p_limit, 1, 1000);
    return (
        select coalesce(
            json_agg(reconciliation.alert_json(page) order by page.opened_at desc, page.alert_id desc), '[]')
        from (
            select a.*
            from public.reconciliation_alerts a
            where (not p_open_only or a.resolved_at is null)
                and (p_before is null or (a.opened_at, a.alert_id) < (
                    select b.opened_at, b.alert_id from public.reconciliation_alerts b where b.alert_id = p_before))
            order by a.opened_at desc, a.alert_id desc
            limit p_limit
        ) page
    );
end;
$$;

revoke execute on function public.list_alerts(boolean, uuid, integer) from public, anon, authenticated;
grant execute on function public.list_alerts(boolean, uuid, integer) to service_role;


-- The outbox ------------------------------------------------------------------------------------------------------

-- lease_alert_deliveries: messages that are due, for the caller alone until the lease is over. Of one alert and channel
-- the earlier message goes first. Given up are messages whose senders were lost p_attempts_max times, and those
-- that nobody who has their channel came for in three days.
--   p_channels      only to these: those that the caller can send through
--   p_token         the caller's own: the same call again, as after a lost answer, returns the same messages
--   p_lease_s       above 0, at most 3,600; longer than sending takes
--   p_limit         messages at most, 1 to 100
--   p_attempts_max  1 to 100; an attempt counts from its lease on
-- Returns an array of {delivery_id, channel, attempt, message: {event, kind, severity, summary, remedy, facts, run_id,
-- since, at}}. Raises BR001.
-- Example: select lease_alert_deliveries(array['slack-5e6f7a8b'], gen_random_uuid(), 60, 10, 5);
create or replace function public.lease_alert_deliveries(
    p_channels text[],
    p_token uuid,
    p_lease_s double precision,
    p_limit integer,
    p_attempts_max integer
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_now timestamptz := clock_timestamp();
begin
    perform reconciliation.require_value('p_channels', p_channels);
    perform reconciliation.require_value('p_token', p_token);
    perform reconciliation.require_between('p_limit', p_limit, 1, 100);
    perform reconciliation.require_between('p_attempts_max', p_attempts_max, 1, 100);
    if p_lease_s is null or not (0 < p_lease_s and p_lease_s <= 3600) then
        raise exception 'p_lease_s is not above 0 and at most 3600'
            using errcode = 'BR001', hint = 'Pass seconds.';
    end if;

    update public.reconciliation_alert_deliveries d
    set state = 'gave_up', leased_until = null,
        error = coalesce(d.error, case
            when d.attempts >= p_attempts_max then 'its senders were lost'
            else 'nobody who has this channel has come for it' end)
    where d.delivery_id in (
        select o.delivery_id
        from public.reconciliation_alert_deliveries o
        where o.state = 'pending' and (o.leased_until is null or o.leased_until <= v_now)
            and (o.attempts >= p_attempts_max
                or (o.created_at <= v_now - interval '3 days' and o.next_at <= v_now and o.channel <> all (p_channels)))
        for update skip locked
    );

    if not exists (
        select from public.reconciliation_alert_deliveries d
        where d.state = 'pending' and d.token = p_token and d.leased_until > v_now
    ) then
        update public.reconciliation_alert_deliveries d
        set token = p_token, leased_until = v_now + make_interval(secs => p_lease_s), attempts = d.attempts + 1
        where d.delivery_id in (
            select o.delivery_id
            from public.reconciliation_alert_deliveries o
            where o.state = 'pending' and o.channel = any (p_channels) and o.next_at <= v_now
                and (o.leased_until is null or o.leased_until <= v_now)
                and not exists (
                    select from public.reconciliation_alert_deliveries e
                    where e.alert_id = o.alert_id and e.channel = o.channel and e.delivery_id < o.delivery_id
                        and e.state = 'pending')
            order by o.delivery_id
            limit p_limit
            for update skip locked
        );
    end if;

    return (
        select coalesce(json_agg(json_build_object(
            'delivery_id', d.delivery_id, 'channel', d.channel, 'attempt', d.attempts, 'message', d.message
        ) order by d.delivery_id), '[]')
        from public.reconciliation_alert_deliveries d
        where d.state = 'pending' and d.token = p_token and d.leased_until > v_now
    );
end;
$$;

revoke execute on function public.lease_alert_deliveries(text[], uuid, double precision, integer, integer)
    from public, anon, authenticated;
grant execute on function public.lease_alert_deliveries(text[], uuid, double precision, integer, integer)
    to service_role;


-- finish_alert_delivery: says what became of a message that was leased. It may be repeated.
--   p_token    the one that it was leased with
--   p_error    why it could not be sent, cut to 1,000 characters; null: it was sent
--   p_retry_s  with an error: seconds until it may be tried again, 0 to 604,800; null: it is given up
-- Returns {"stored": bool}; false, and nothing changed, when somebody else has leased it meanwhile, or there is none.
-- Raises BR001.
-- Example: select finish_alert_delivery(17, 'a9f2b1de-7c1c-4a4e-8a0b-2f1c6a3c9d10', 'no answer', 60);
create or replace function public.finish_alert_delivery(
    p_delivery_id bigint,
    p_token uuid,
    p_error text default null,
    p_retry_s double precision default null
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_state text;
begin
    if p_retry_s is not null and (p_error is null or not (0 <= p_retry_s and p_retry_s <= 604800)) then
        raise exception 'p_retry_s comes without an error, or is not between 0 and 604800'
            using errcode = 'BR001', hint = 'Pass seconds with an error.';
    end if;

    select d.state into v_state
    from public.reconciliation_alert_deliveries d
    where d.delivery_id = p_delivery_id and d.token = p_token
    for update;
    if not found then
        return json_build_object('stored', false);
    end if;

    if v_state = 'pending' then
        update public.reconciliation_alert_deliveries d
        set state = case
                when p_error is null then 'sent'
                when p_retry_s is null then 'gave_up'
                else 'pending' end,
            sent_at = case when p_error is null then v_now end,
            next_at = case when p_retry_s is null then d.next_at else v_now + make_interval(secs => p_retry_s) end,
            leased_until = null,
            error = left(p_error, 1000)
        where d.delivery_id = p_delivery_id;
    end if;
    return json_build_object('stored', true);
end;
$$;

revoke execute on function public.finish_alert_delivery(bigint, uuid, text, double precision)
    from public, anon, authenticated;
grant execute on function public.finish_alert_delivery(bigint, uuid, text, double precision) to service_role;


-- list_alert_deliveries: messages and whether they went out, the newest first.
--   p_undelivered  only those that wait to be sent, and those given up whose alert was made in the last seven days
--   p_before       only those before this one; null starts with the newest
--   p_limit        messages at most, 1 to 1,000, else BR001
-- Returns an array of {delivery_id, alert_id, kind, event, channel, state, attempts, created_at, next_at, sent_at,
-- error}; state is pending, sent or gave_up.
-- Example: select list_alert_deliveries(p_undelivered => true);
create or replace function public.list_alert_deliveries(
    p_undelivered boolean default false,
    p_before bigint default null,
    p_limit integer default 50
)
returns json
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
    perform reconciliation.require_between('p_limit', p_limit, 1, 1000);
    return (
        select coalesce(json_agg(json_build_object(
            'delivery_id', page.delivery_id, 'alert_id', page.alert_id, 'kind', page.kind, 'event', page.event,
            'channel', page.channel, 'state', page.state, 'attempts', page.attempts, 'created_at', page.created_at,
            'next_at', page.next_at, 'sent_at', page.sent_at, 'error', page.error
        ) order by page.delivery_id desc), '[]')
        from (
            select d.*, a.kind
            from public.reconciliation_alert_deliveries d
            join public.reconciliation_alerts a on a.alert_id = d.alert_id
            where (p_before is null or d.delivery_id < p_before)
                and (not p_undelivered or d.state = 'pending'
                    or (d.state = 'gave_up' and d.created_at > clock_timestamp() - interval '7 days'))
            order by d.delivery_id desc
            limit p_limit
        ) page
    );
end;
$$;

revoke execute on function public.list_alert_deliveries(boolean, bigint, integer) from public, anon, authenticated;
grant execute on function public.list_alert_deliveries(boolean, bigint, integer) to service_role;


-- Announcing runs -------------------------------------------------------------------------------------------------

-- list_unannounced_runs: runs that may write, have ended, and were not announced; who ended first is first.
--   p_limit  runs at most, 1 to 100, else BR001
-- Returns an array of {"run", "drift": {"users", "surplus", "deficit", "largest"}}: how many users were corrected or
-- differ still, the sums of their positive and negative discrepancies (FLOW, contract minus ledger, as decimal text),
-- and up to three of them with the greatest, as {user_address, discrepancy}.
-- Example: select list_unannounced_runs(10);
create or replace function public.list_unannounced_runs(p_limit integer default 10)
returns json
language plpgsql
stable
security definer
set search_path = ''
set statement_timeout = '60s'
as $$
begin
    perform reconciliation.require_between('p_limit', p_limit, 1, 100);
    return (
        select coalesce(json_agg(json_build_object(
            'run', reconciliation.run_json(page.run_id), 'drift', reconciliation.drift_json(page.run_id)
        ) order by page.finished_at, page.run_id), '[]')
        from (
            select r.run_id, r.finished_at
            from public.reconciliation_runs r
            where r.announced_at is null and not r.dry_run and r.finished_at is not null
            order by r.finished_at, r.run_id
            limit p_limit
        ) page
    );
end;
$$;

revoke execute on function public.list_unannounced_runs(integer) from public, anon, authenticated;
grant execute on function public.list_unannounced_runs(integer) to service_role;

-- What a run's users were off by: those who were corrected, and those who differ still.
create or replace function reconciliation.drift_json(p_run_id uuid)
returns json
language sql
stable
set search_path = ''
as $$
    with drifted as materialized (
        select r.user_address, r.contract_balance - r.ledger_balance as discrepancy
        from public.reconciliation_results r
        where r.run_id = p_run_id and r.outcome in ('corrected', 'would_correct', 'changed_meanwhile')
            and r.contract_balance <> r.ledger_balance
    )
    select json_build_object(
        'users', count(*),
        'surplus', round(coalesce(sum(s.discrepancy) filter (where s.discrepancy > 0), 0), 8)::text,
        'deficit', round(coalesce(sum(s.discrepancy) filter (where s.discrepancy < 0), 0), 8)::text,
        'largest', (
            select coalesce(json_agg(json_build_object(
                'user_address', l.user_address, 'discrepancy', round(l.discrepancy, 8)::text)), '[]')
            from (
                select d.user_address, d.discrepancy
                from drifted d
                order by abs(d.discrepancy) desc, d.user_address
                limit 3
            ) l
        )
    )
    from drifted s;
$$;


-- The elements of announce_reconciliation_run's p_observations; alert null: the condition is over.
create or replace function reconciliation.observations(p_observations json)
returns table (kind text, alert json)
language sql
immutable
set search_path = ''
as $$
    select o.value ->> 'kind', case when json_typeof(o.value -> 'alert') <> 'null' then o.value -> 'alert' end
    from json_array_elements(p_observations) as o (value)
    order by 1;
$$;


-- announce_reconciliation_run: observes what a run that has ended says of several conditions, and marks it as
-- announced: one transaction, so that a run is announced once, whoever ended it and however many notice.
--   p_observations  an array of {"kind", "alert"}, each as observe_alert takes them, a kind once
--   p_channels      as observe_alert takes them
-- Returns {"announced": false when it was before, and nothing is changed, "deliveries": messages added}. Refuses with
-- run_not_found, or with run_not_applicable when it has not ended or was a dry run. Raises BR001.
-- Example: select announce_reconciliation_run('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11',
--     '[{"kind": "run_discrepancies", "alert": null}]', array['slack-5e6f7a8b']);
create or replace function public.announce_reconciliation_run(
    p_run_id uuid,
    p_observations json,
    p_channels text[] default '{}'
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_run public.reconciliation_runs;
    v_kind text;
    v_alert json;
    v_deliveries integer := 0;
begin
    if p_observations is null or json_typeof(p_observations) <> 'array' then
        raise exception 'p_observations is no array'
            using errcode = 'BR001', hint = 'Give an array of {"kind", "alert"}; an empty one is fine.';
    end if;
    perform reconciliation.require_alert(o.kind, o.alert, p_channels)
    from reconciliation.observations(p_observations) o;

    select r.* into v_run from public.reconciliation_runs r where r.run_id = p_run_id for update;
    if not found then
        return reconciliation.run_refused('run_not_found');
    end if;
    if v_run.dry_run or v_run.finished_at is null then
        return reconciliation.run_refused('run_not_applicable', p_run_id);
    end if;
    if v_run.announced_at is not null then
        return json_build_object('announced', false, 'deliveries', 0);
    end if;

    for v_kind, v_alert in select o.kind, o.alert from reconciliation.observations(p_observations) o loop
        v_deliveries := v_deliveries
            + (reconciliation.observe_alert(v_kind, v_alert, p_run_id, p_channels) ->> 'deliveries')::integer;
    end loop;
    update public.reconciliation_runs r set announced_at = clock_timestamp() where r.run_id = p_run_id;
    return json_build_object('announced', true, 'deliveries', v_deliveries);
end;
$$;

revoke execute on function public.announce_reconciliation_run(uuid, json, text[]) from public, anon, authenticated;
grant execute on function public.announce_reconciliation_run(uuid, json, text[]) to service_role;


-- The watchdog ----------------------------------------------------------------------------------------------------

-- tick_watchdog: notes that the watchdog is at work, and says what it judges freshness by.
-- Returns {"first_tick_at", "tick_at": now, "covered_at": when the run that covering_reconciliation_run answers ended,
-- null if there is none}.
-- Example: select tick_watchdog();
create or replace function public.tick_watchdog()
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_watchdog public.reconciliation_watchdog;
begin
    insert into public.reconciliation_watchdog (first_tick_at, last_tick_at)
    values (clock_timestamp(), clock_timestamp())
    on conflict (only_row) do update set last_tick_at = clock_timestamp()
    returning * into v_watchdog;

    return json_build_object(
        'first_tick_at', v_watchdog.first_tick_at,
        'tick_at', v_watchdog.last_tick_at,
        'covered_at', (
            select r.finished_at
            from public.reconciliation_runs r
            where r.state = 'finished' and not r.dry_run and r.covered_height is not null
            order by r.covered_height desc, r.started_at desc
            limit 1
        )
    );
end;
$$;

revoke execute on function public.tick_watchdog() from public, anon, authenticated;
grant execute on function public.tick_watchdog() to service_role;
