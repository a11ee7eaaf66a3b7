-- Which runs' reports are kept in a store outside of the database, and who is at it. service_role reads the table;
-- nothing but the procedures below writes it.

-- 1. A table of this name that is there already is checked before anything is touched.
do $$
begin
    perform reconciliation.check_column('reconciliation_stored_reports', 'run_id', 'uuid', p_required => true);
    perform reconciliation.check_column('reconciliation_stored_reports', 'token', 'uuid', p_required => true);
    perform reconciliation.check_column('reconciliation_stored_reports', 'state', 'text', p_required => true);
    perform reconciliation.secure_existing_table('reconciliation_stored_reports');
end;
$$;

-- 2. One row for every run whose report was begun.
create table if not exists public.reconciliation_stored_reports (
    run_id uuid primary key references public.reconciliation_runs on delete cascade,
    state text not null check (state in ('storing', 'stored', 'failed')),
    token uuid not null,                -- who stores it, or did
    next_at timestamptz,                -- storing, failed: when somebody else may try; otherwise null
    attempts integer not null default 1,
    stored_at timestamptz,
    path text,                          -- where it is in the store, without the ending .csv or .pdf
    sha256 text,                        -- of the CSV
    error_code text,                    -- of the last attempt that failed
    error text
);

-- 3. Who may touch it.
select reconciliation.revoke_new_table_grants('reconciliation_stored_reports');
alter table public.reconciliation_stored_reports enable row level security;
revoke all on table public.reconciliation_stored_reports from public, anon, authenticated, service_role;
grant select on table public.reconciliation_stored_reports to service_role;


-- lease_unstored_report: hands out a run whose report is to be stored: one that writes, has ended and was never begun,
-- the newest first; then one whose attempt failed or was abandoned and whose time has come.
--   p_token    the caller's own: it proves by it that it still has the lease
--   p_lease_s  for how long nobody else gets the run, 1 to 3,600
-- Returns the run, or null if there is none. Two callers never get the same. Raises BR001.
-- Example: select lease_unstored_report(gen_random_uuid(), 120);
create or replace function public.lease_unstored_report(p_token uuid, p_lease_s double precision default 120)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_run_id uuid;
begin
    perform reconciliation.require_value('p_token', p_token);
    if p_lease_s is null or not p_lease_s between 1 and 3600 then
        raise exception 'p_lease_s is not between 1 and 3600'
            using errcode = 'BR001', hint = 'Say for how many seconds nobody else may store the report.';
    end if;

    with due as (
        select r.run_id
        from public.reconciliation_runs r
        left join public.reconciliation_stored_reports s using (run_id)
        where not r.dry_run and r.state in ('finished', 'halted', 'failed', 'cancelled')
            and (s.run_id is null or s.next_at <= clock_timestamp())
        order by s.next_at nulls first, r.finished_at desc, r.run_id
        limit 1
        -- Locked, so that of two callers the second passes over what the first has.
        for no key update of r skip locked
    )
    insert into public.reconciliation_stored_reports as s (run_id, state, token, next_at)
    select d.run_id, 'storing', p_token, clock_timestamp() + make_interval(secs => p_lease_s)
    from due d
    on conflict (run_id) do update
    set state = 'storing', token = excluded.token, next_at = excluded.next_at, attempts = s.attempts + 1
    -- Whoever got it since this statement began has it.
    where s.next_at <= clock_timestamp()
    returning s.run_id into v_run_id;

    return reconciliation.run_json(v_run_id);
end;
$$;

revoke execute on function public.lease_unstored_report(uuid, double precision) from public, anon, authenticated;
grant execute on function public.lease_unstored_report(uuid, double precision) to service_role;


-- finish_stored_report: says where a run's report is. Whoever has lost the lease meanwhile changes nothing.
--   p_path    where it is in the store, without the ending, 1 to 1,000 characters
--   p_sha256  of the CSV, 64 hex digits
-- Returns {"accepted": boolean}: the same call again is accepted too. Raises BR001.
-- Example: select finish_stored_report('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', '…', 'runs/2026-11-23/5b0c7f0e…', '…');
create or replace function public.finish_stored_report(p_run_id uuid, p_token uuid, p_path text, p_sha256 text)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
begin
    perform reconciliation.require_value('p_token', p_token);
    if coalesce(p_path, '') = '' or length(p_path) > 1000 or p_sha256 is null or p_sha256 !~ '^[0-9a-f]{64}$' then
        raise exception 'p_path is blank or longer than 1000 characters, or p_sha256 is none'
            using errcode = 'BR001', hint = 'Say where the report is, and the SHA-256 of its CSV as 64 hex digits.';
    end if;

    update public.reconciliation_stored_reports s
    set state = 'stored', next_at = null, stored_at = coalesce(s.stored_at, clock_timestamp()), path = p_path,
        sha256 = p_sha256, error_code = null, error = null
    where s.run_id = p_run_id and s.token = p_token and s.state in ('storing', 'stored');
    return json_build_object('accepted', found);
end;
$$;

revoke execute on function public.finish_stored_report(uuid, uuid, text, text) from public, anon, authenticated;
grant execute on function public.finish_stored_report(uuid, uuid, text, text) to service_role;


-- fail_stored_report: keeps why a report could not be stored. It is tried again in a minute, then in twice the time
-- after each attempt, up to an hour.
-- Returns {"accepted": boolean}, as finish_stored_report. Raises BR001.
-- Example: select fail_stored_report('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11', '…', 'report_store_error', 'No bucket.');
create or replace function public.fail_stored_report(p_run_id uuid, p_token uuid, p_error_code text, p_error text)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
begin
    perform reconciliation.require_value('p_token', p_token);
    perform reconciliation.require_name('p_error_code', p_error_code);

    update public.reconciliation_stored_reports s
    set state = 'failed', error_code = p_error_code, error = left(p_error, 2000),
        next_at = clock_timestamp() + make_interval(mins => least(60, power(2, least(s.attempts - 1, 10)))::integer)
    where s.run_id = p_run_id and s.token = p_token and s.state in ('storing', 'failed');
    return json_build_object('accepted', found);
end;
$$;

revoke execute on function public.fail_stored_report(uuid, uuid, text, text) from public, anon, authenticated;
grant execute on function public.fail_stored_report(uuid, uuid, text, text) to service_role;


-- get_stored_report: how a run's report stands; null if it was never begun.
-- Returns {run_id, state, attempts, stored_at, path, sha256, error_code, error}.
-- Example: select get_stored_report('5b0c7f0e-3c0e-4f8e-9d43-0d8a8f8b6a11');
create or replace function public.get_stored_report(p_run_id uuid)
returns json
language sql
stable
security definer
set search_path = ''
as $$
    select json_build_object(
        'run_id', s.run_id, 'state', s.state, 'attempts', s.attempts, 'stored_at', s.stored_at, 'path', s.path,
        'sha256', s.sha256, 'error_code', s.error_code, 'error', s.error)
    from public.reconciliation_stored_reports s
    where s.run_id = p_run_id;
$$;

revoke execute on function public.get_stored_report(uuid) from public, anon, authenticated;
grant execute on function public.get_stored_report(uuid) to service_role;
