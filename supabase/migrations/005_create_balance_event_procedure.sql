-- The fenced way for an app to write: apply_balance_event adds what an on-chain event moved, unless a correction
-- has it already. Events may arrive late, out of order and twice.

-- balance_events: every event that was received, applied or not, so that it counts once.
do $$
begin
    perform reconciliation.check_column('balance_events', 'event_id', 'text', p_required => true);
    perform reconciliation.check_column('balance_events', 'user_address', 'text', p_required => true);
    perform reconciliation.check_column('balance_events', 'delta', 'amount', p_required => true);
    perform reconciliation.check_column('balance_events', 'block_height', 'bigint', p_required => true);
    perform reconciliation.check_column('balance_events', 'audit_id', 'text', p_required => true);
    perform reconciliation.check_column('balance_events', 'received_at', 'time', p_required => true);
    perform reconciliation.secure_existing_table('balance_events');
end;
$$;

create table if not exists public.balance_events (
    user_address text collate "C" not null,
    event_id text not null,                       -- the app's; one event may move the money of several users
    delta numeric(20, 8) not null,                -- FLOW, signed
    block_height bigint not null,
    audit_id text,                                -- the audit row of its application; null: it was fenced off
    received_at timestamptz not null default now(),
    primary key (user_address, event_id)
);

select reconciliation.revoke_new_table_grants('balance_events');
alter table public.balance_events enable row level security;
revoke all on table public.balance_events from public, anon, authenticated, service_role;
grant select on table public.balance_events to service_role;


-- The answer of apply_balance_event.
create or replace function reconciliation.event_answer(
    p_user_address text,
    p_reason text default null,
    p_code text default null,
    p_error text default null,
    p_old_balance numeric default null,
    p_new_balance numeric default null,
    p_audit_id text default null
)
returns json
language sql
stable
set search_path = ''
as $$
    select json_build_object(
        'applied', p_reason is null and p_code is null, 'reason', p_reason, 'code', p_code, 'error', p_error,
        'user_address', p_user_address, 'old_balance', reconciliation.amount_text(p_old_balance),
        'new_balance', reconciliation.amount_text(p_new_balance), 'audit_id', p_audit_id
    );
$$;


-- What is wrong with the arguments of an event, or nulls.
create or replace function reconciliation.event_fault(
    p_delta numeric,
    p_block_height bigint,
    p_event_id text,
    p_operation_type text,
    p_transaction_hash text,
    out code text,
    out error text
)
language sql
immutable
as $$
    select fault.code, fault.error
    from (
        values
            (
                p_delta is null or abs(p_delta) > 184467440737.09551615 or scale(trim_scale(p_delta)) > 8,
                'invalid_delta',
                'p_delta is no signed UFix64: pass FLOW as decimal text with at most 8 places'
            ),
            (
                p_block_height is null or p_block_height < 0,
                'invalid_height',
                'p_block_height is null or negative: pass the height of the block that holds the event'
            ),
            (
                coalesce(btrim(p_event_id), '') = '' or length(p_event_id) > 200,
                'invalid_event_id',
                'p_event_id is blank or longer than 200 characters: pass what names the event, for example '
                || 'transaction id and event index'
            ),
            (
                coalesce(btrim(p_operation_type), '')
                        in ('', 'reconciliation', 'reconciliation_rollback', 'sync_check')
                    or length(p_operation_type) > 50,
                'invalid_operation_type',
                'p_operation_type is blank, longer than 50 characters, or ''reconciliation'', '
                || '''reconciliation_rollback'' or ''sync_check'', which are the reconciler''s own'
            ),
            (
                length(p_transaction_hash) > 200,
                'invalid_transaction_hash',
                'p_transaction_hash is longer than 200 characters: pass the transaction id'
            )
    ) as fault (is_wrong, code, error)
    where fault.is_wrong
    limit 1;
$$;


-- apply_balance_event: adds p_delta to a user's balance, once, unless the balance was reconciled at the event's block
-- or later. Creates a missing user.
--   p_user_address      the key exactly as stored; a new one has to be a Flow address
--   p_delta             FLOW, signed: -184467440737.09551615 to 184467440737.09551615, at most 8 places
--   p_block_height      height of the block that holds the event
--   p_event_id          what names the event, up to 200 characters; seen before for this user: nothing changes
--   p_operation_type    goes to the audit row; up to 50 characters, not 'reconciliation', 'reconciliation_rollback' or
--                       'sync_check', which are the reconciler's own
--   p_transaction_hash  goes to the audit row, up to 200 characters
-- Returns {applied, reason, code, error, user_address, old_balance, new_balance, audit_id}; amounts are decimal text
-- with 8 places. Not applied is no error when reason says why:
--   already_reconciled  the row was reconciled at this block or a later one, so its balance holds the event
--   duplicate           the event was received before (audit_id: its audit row, if it was applied then)
-- On an error the database is as it was, and code is invalid_address, invalid_delta, invalid_height,
-- invalid_event_id, invalid_operation_type, invalid_transaction_hash, invalid_ledger_balance,
--   event_conflict        the same id came before with another delta or height
--   balance_out_of_range  the sum would not fit a balance (10^12 FLOW)
-- The sum may be below zero: a withdrawal that arrives before its deposit is applied and the deposit mends it, so no
-- order loses an event. A CHECK of the app's own that forbids it raises 23514 and nothing is remembered: send the event
-- again after the one it overtook.
-- Example: select apply_balance_event('0x01cf0e2f2f715450', 5, 1043, '9f2c…:0', 'deposit', '9f2c…');
create or replace function public.apply_balance_event(
    p_user_address text,
    p_delta numeric,
    p_block_height bigint,
    p_event_id text,
    p_operation_type text default 'balance_event',
    p_transaction_hash text default null
)
returns json
language plpgsql
security definer
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    v_user public.user_balances;
    v_exists boolean;
    v_old_balance numeric;
    v_new_balance numeric;
    v_event public.balance_events;
    v_code text;
    v_error text;
    v_now timestamptz;
    v_audit public.balance_audit_log;
begin
    select f.code, f.error into v_code, v_error
    from reconciliation.event_fault(p_delta, p_block_height, p_event_id, p_operation_type, p_transaction_hash) f;
    if v_code is not null then
        return reconciliation.event_answer(p_user_address, p_code => v_code, p_error => v_error);
    end if;

    loop
        select b.* into v_user
        from public.user_balances b
        where b.user_address = p_user_address
        for update;
        v_exists := found;
        v_old_balance := coalesce(v_user.balance, 0);

        -- Looked up under the lock, so that the same event in another session is either seen or waits for us.
        select e.* into v_event
        from public.balance_events e
        where e.user_address = p_user_address and e.event_id = p_event_id;
        if found then
            if (v_event.delta, v_event.block_height) <> (p_delta, p_block_height) then
                return reconciliation.event_answer(p_user_address, p_code => 'event_conflict', p_error =>
                    'event ' || p_event_id || ' came before with delta ' || v_event.delta || ' at block '
                    || v_event.block_height || ': give each event an id of its own');
            end if;
            return reconciliation.event_answer(
                p_user_address, 'duplicate', p_old_balance => v_user.balance, p_new_balance => v_user.balance,
                p_audit_id => v_event.audit_id);
        end if;

        v_error := case when not v_exists then reconciliation.new_address_fault(p_user_address) end;
        if v_error is not null then
            return reconciliation.event_answer(p_user_address, p_code => 'invalid_address', p_error => v_error);
        end if;

        if not reconciliation.is_exact_amount(v_old_balance) then
            return reconciliation.event_answer(p_user_address, p_code => 'invalid_ledger_balance', p_error =>
                'the stored balance ' || v_old_balance || ' cannot be audited: set it right by hand first');
        end if;

        if p_block_height <= v_user.reconciled_height then
            insert into public.balance_events (user_address, event_id, delta, block_height)
            values (p_user_address, p_event_id, p_delta, p_block_height);
            return reconciliation.event_answer(
                p_user_address, 'already_reconciled', p_old_balance => v_old_balance, p_new_balance => v_old_balance);
        end if;

        v_new_balance := v_old_balance + p_delta;
        if not reconciliation.is_exact_amount(v_new_balance) then
            return reconciliation.event_answer(p_user_address, p_code => 'balance_out_of_range', p_error =>
                'the balance would be ' || v_new_balance || ', which does not fit: check p_delta');
        end if;

        exit when v_exists or reconciliation.create_user_balance(p_user_address);
    end loop;

    v_now := clock_timestamp();

    insert into public.balance_audit_log (
        user_address, operation_type, amount, balance_before, balance_after, transaction_hash, created_at,
        block_height, chain_no, previous_hash
    )
    select
        p_user_address, p_operation_type, p_delta, v_old_balance, v_new_balance, p_transaction_hash, v_now,
        p_block_height, l.chain_no, l.previous_hash
    from reconciliation.next_audit_link(p_user_address) l
    returning * into v_audit;

    update public.user_balances b
    set balance = v_new_balance,
        event_height = greatest(b.event_height, p_block_height),
        updated_at = v_now,
        audit_chain_no = v_audit.chain_no,
        audit_hash = v_audit.row_hash
    where b.user_address = p_user_address;

    insert into public.balance_events (user_address, event_id, delta, block_height, audit_id)
    values (p_user_address, p_event_id, p_delta, p_block_height, v_audit.id::text);

    return reconciliation.event_answer(
        p_user_address, p_old_balance => v_old_balance, p_new_balance => v_new_balance,
        p_audit_id => v_audit.id::text);
end;
$$;

revoke execute on function public.apply_balance_event(text, numeric, bigint, text, text, text)
    from public, anon, authenticated;
grant execute on function public.apply_balance_event(text, numeric, bigint, text, text, text) to service_role;
