-- Bulk runs: what was planned, which chunk of it is whose, and what became of everybody who was not in sync.
-- service_role reads these tables; nothing but the procedures of 007 to 011 writes them.
--
-- A run goes planning -> scanning -> (review) -> correcting -> finished. The review may end it as `halted`; a run that
-- somebody has to allow waits in `awaiting_approval`. `declined`, `cancelled` and `failed` are ends as well.
--
-- Lock order everywhere: the run's row, its chunks by number, its results. A procedure that may close the last chunk of
-- a phase locks the run's row first, so that of two last closers one sees the other. Leasing skips locked chunks and
-- does not lock the run.

-- 1. Tables of these names that are there already are checked before anything is touched.
do $$
begin
    perform reconciliation.check_column('reconciliation_runs', 'run_id', 'uuid', p_required => true);
    perform reconciliation.check_column('reconciliation_runs', 'state', 'text', p_required => true);
    perform reconciliation.check_column('reconciliation_runs', 'covered_height', 'bigint', p_required => true);
    perform reconciliation.check_column('reconciliation_chunks', 'run_id', 'uuid', p_required => true);
    perform reconciliation.check_column('reconciliation_chunks', 'phase', 'text', p_required => true);
    perform reconciliation.check_column('reconciliation_chunks', 'token', 'uuid', p_required => true);
    perform reconciliation.check_column('reconciliation_results', 'run_id', 'uuid', p_required => true);
    perform reconciliation.check_column('reconciliation_results', 'user_address', 'text', p_required => true);
    perform reconciliation.check_column('reconciliation_results', 'contract_balance', 'amount', p_required => true);
    perform reconciliation.check_column('reconciliation_script_budget', 'name', 'text', p_required => true);
    perform reconciliation.secure_existing_table('reconciliation_runs');
    perform reconciliation.secure_existing_table('reconciliation_chunks');
    perform reconciliation.secure_existing_table('reconciliation_results');
    perform reconciliation.secure_existing_table('reconciliation_script_budget');
end;
$$;

-- 2. One row a run.
create table if not exists public.reconciliation_runs (
    run_id uuid primary key,
    kind text not null check (kind in ('full', 'incremental', 'plan')),
    state text not null check (state in (
        'planning', 'scanning', 'awaiting_approval', 'halted', 'correcting', 'finished', 'declined', 'cancelled',
        'failed')),
    dry_run boolean not null,
    needs_approval boolean not null,
    admin_address text not null,
    policy jsonb not null,              -- tolerance (FLOW text), batch_size, settle_s, halt_share, halt_min_users, …
    started_at timestamptz not null default clock_timestamp(),
    scanned_at timestamptz,             -- when the scan was over and reviewed
    settle_until timestamptz,           -- corrections may not start before
    finished_at timestamptz,            -- when the run ended, in whichever state
    users_planned bigint not null default 0,
    planned_through text,               -- the last boundary of a plan that is being cut
    halt_reason text,
    halt_explanation text,
    halt_remedy text,
    accepted_halt text,                 -- why a halt does not stop this run
    plan_run_id uuid,                   -- kind plan: the run whose candidates it carries out
    covered_height bigint,              -- a finished run has looked at every change up to this block
    from_height bigint,                 -- the first block whose events an incremental run read
    rotate_after text,                  -- the key after which its rotating part starts …
    rotated_through text,               -- … and where that ended; null: at the end of the ledger
    fallback_reason text,               -- why a full run stands in for an incremental one
    error_code text,
    error text
);

-- One run that writes at a time.
create unique index if not exists reconciliation_runs_one_active_key
    on public.reconciliation_runs ((true)) where not dry_run and state in ('planning', 'scanning', 'correcting');
create index if not exists reconciliation_runs_newest_idx on public.reconciliation_runs (started_at, run_id);
create index if not exists reconciliation_runs_covering_idx
    on public.reconciliation_runs (covered_height, started_at) where state = 'finished' and not dry_run;

-- 3. One row a chunk and phase. What a chunk counted is kept here, and a run's counts are the sums.
create table if not exists public.reconciliation_chunks (
    run_id uuid not null references public.reconciliation_runs on delete cascade,
    phase text not null check (phase in ('scan', 'correct')),
    chunk_no integer not null check (chunk_no >= 0),
    after_address text collate "C",     -- whom the chunk is about: after < key <= through, null is an open end …
    through_address text collate "C",
    user_addresses text[],              -- … or exactly these
    users bigint not null,              -- as planned
    state text not null default 'pending' check (state in ('pending', 'leased', 'done', 'failed')),
    token uuid,                         -- who may close it; kept when done, so that a lost answer can be repeated
    lease_until timestamptz,
    attempts integer not null default 0,
    queued_at timestamptz,              -- when it was last handed out for a message
    closed_at timestamptz,
    error_code text,                    -- of the last attempt that failed
    error text,
    users_seen bigint not null default 0,
    in_sync bigint not null default 0,
    candidates bigint not null default 0,
    corrected bigint not null default 0,
    transient bigint not null default 0,
    changed_meanwhile bigint not null default 0,
    held bigint not null default 0,
    failed bigint not null default 0,
    funded bigint not null default 0,
    funded_reading_zero bigint not null default 0,
    surplus numeric not null default 0, -- FLOW; sums of a chunk's positive and negative discrepancies
    deficit numeric not null default 0,
    first_height bigint,
    last_height bigint,
    script_calls bigint not null default 0,
    primary key (run_id, phase, chunk_no)
);

-- What is not closed yet: whom to lease next, and whether anybody is left, however many are done.
create index if not exists reconciliation_chunks_open_idx
    on public.reconciliation_chunks (run_id, phase, chunk_no) where state in ('pending', 'leased');

-- 4. One row for everybody of a run who was not in sync. `would_correct` is a candidate that nothing is decided on.
-- No foreign key: its check would triple the price of storing a row, and the procedures hold the run's row locked.
create table if not exists public.reconciliation_results (
    run_id uuid not null,
    user_address text collate "C" not null,
    outcome text not null check (outcome in (
        'would_correct', 'corrected', 'transient', 'changed_meanwhile', 'held', 'failed')),
    row_exists boolean,                 -- false: the ledger had no row of this user when it was scanned
    ledger_balance numeric(38, 8),      -- FLOW; null: not read. Wider than ours: an existing table may hold more
    contract_balance numeric(20, 8),
    scan_height bigint,                 -- where the scan read the contract; null: it could not
    decided_height bigint,              -- where the outcome was decided
    audit_id text,
    error_code text,
    error text,
    decided_at timestamptz not null,
    primary key (run_id, user_address)
) with (fillfactor = 90);

-- 5. How fast the workers together may call the access node: one row a budget.
create table if not exists public.reconciliation_script_budget (
    name text primary key,
    next_at timestamptz not null        -- the first moment that nobody has reserved
);

-- 6. Who may touch them.
do $$
declare
    v_table text;
begin
    foreach v_table in array array[
        'reconciliation_runs', 'reconciliation_chunks', 'reconciliation_results', 'reconciliation_script_budget'
    ] loop
        perform reconciliation.revoke_new_table_grants(v_table);
        execute format('alter table public.%I enable row level security', v_table);
        execute format('revoke all on table public.%I from public, anon, authenticated, service_role', v_table);
        execute format('grant select on table public.%I to service_role', v_table);
    end loop;
end;
$$;
