-- Rolling back a run: page by page in key order, once, and only when it has ended.
begin;
select plan(26);

insert into user_balances (user_address, balance)
select '0x' || lpad(n::text, 16, '0'), n from generate_series(1, 6) as n;
insert into reconciliation_runs (run_id, kind, state, dry_run, needs_approval, admin_address, policy)
select ('00000000-0000-0000-0000-00000000000' || r.no)::uuid, 'full', r.state, r.no <> 1, false, 'ADMIN', '{}'
from (values (1, 'correcting'), (2, 'planning'), (3, 'scanning'), (4, 'awaiting_approval')) as r (no, state);

set local role service_role;

create function pg_temp.undo(p_after text default null, p_limit integer default 10, p_dry_run boolean default false)
returns jsonb language sql as $$
    select rollback_reconciliation_run(
        '00000000-0000-0000-0000-000000000001', p_after, p_limit, 'alice', 'wrong contract', p_dry_run)::jsonb
$$;

-- The run corrects the users 1 to 5, of whom 3 agrees; another run corrects user 6.
select reconcile_user_balances(
    array_agg('0x' || lpad(n::text, 16, '0') order by n),
    array_agg((case when n = 3 then 3 else 10 + n end)::numeric order by n),
    array_agg(n::numeric order by n), 100, 'ADMIN', '00000000-0000-0000-0000-000000000001')
from generate_series(1, 5) as n;
select reconcile_user_balances(array['0x0000000000000006'], array[16], array[6], 100, 'ADMIN',
    '00000000-0000-0000-0000-00000000000f');

-- Not while it goes on.
select is(pg_temp.undo() ->> 'refused', 'run_not_applicable', 'a run that corrects');
select is(pg_temp.undo() -> 'run' ->> 'state', 'correcting', 'is told with the refusal');
select is(rollback_reconciliation_run(('00000000-0000-0000-0000-00000000000' || n)::uuid, null, 1, 'a', 'b') ->> 'refused',
    'run_not_applicable', 'nor one that could correct yet')
from generate_series(2, 4) as n;
select is(rollback_reconciliation_run('00000000-0000-0000-0000-0000000000ff', null, 1, 'a', 'b')::jsonb,
    '{"refused": "run_not_found", "run": null}', 'nor one that there is not');
select is((select count(*) from reconciliation_holds), 0::bigint, 'nothing was done');

reset role;
update reconciliation_runs set state = 'cancelled';
set local role service_role;

-- Page by page.
select is(pg_temp.undo(p_dry_run => true) -> 'user_addresses', '["0x0000000000000001", "0x0000000000000002",
    "0x0000000000000004", "0x0000000000000005"]', 'a dry run names whom the run has corrected, by key');
select is(pg_temp.undo(p_dry_run => true) -> 'outcomes',
    '["would_roll_back", "would_roll_back", "would_roll_back", "would_roll_back"]', 'all would be rolled back');
select is((select count(*) from reconciliation_holds), 0::bigint, 'and none is');
select is(count_rolled_back('00000000-0000-0000-0000-000000000001'), 0::bigint, 'as the run''s count says');
select is(pg_temp.undo(p_limit => 3) - 'audit_ids' - 'rollback_audit_ids', '{
    "outcomes": ["rolled_back", "rolled_back", "rolled_back"], "codes": [null, null, null],
    "user_addresses": ["0x0000000000000001", "0x0000000000000002", "0x0000000000000004"],
    "old_balances": ["11.00000000", "12.00000000", "14.00000000"],
    "new_balances": ["1.00000000", "2.00000000", "4.00000000"], "through": "0x0000000000000004"}',
    'a page tells where the next one goes on');
select is(pg_temp.undo('0x0000000000000004', 3) -> 'user_addresses', '["0x0000000000000005"]', 'the next page');
select is(pg_temp.undo('0x0000000000000004', 3) ->> 'through', null, 'is the last');
select is(pg_temp.undo('0x0000000000000004', 1) ->> 'through', '0x0000000000000005', 'a full page may be the last');
select is(pg_temp.undo('0x0000000000000005') -> 'outcomes', '[]', 'then the next one is empty');
select is((select array_agg(balance order by user_address) from user_balances), array[1.0, 2, 3, 4, 5, 16],
    'the balances are what they were; the other run''s stand');
select is((select array_agg(user_address order by user_address) from reconciliation_holds where released_at is null),
    array['0x0000000000000001', '0x0000000000000002', '0x0000000000000004', '0x0000000000000005'],
    'whom the run had corrected is held');

-- Again.
select is(pg_temp.undo() -> 'outcomes', '["already_rolled_back", "already_rolled_back", "already_rolled_back",
    "already_rolled_back"]', 'the same again changes nothing');
select is((select count(*) from balance_audit_log where operation_type = 'reconciliation_rollback'), 4::bigint,
    'a rollback for each');
select is((select array_agg(run_id) from balance_audit_log where operation_type = 'reconciliation_rollback'),
    array[null, null, null, null]::uuid[], 'which are no part of the run');

select is(count_rolled_back('00000000-0000-0000-0000-000000000001'), 4::bigint, 'but are counted for it');
select is(count_rolled_back('00000000-0000-0000-0000-0000000000ff'), null, 'which no run is not');

-- The chains stay whole: each row follows the one before.
select is((select count(*) from balance_audit_log a
    left join balance_audit_log p on p.user_address = a.user_address and p.chain_no = a.chain_no - 1
    where a.chain_no is null or a.previous_hash is distinct from p.row_hash), 0::bigint, 'the chains are linked');
select is((select count(*) from user_balances b where b.audit_hash is distinct from (
        select a.row_hash from balance_audit_log a where a.user_address = b.user_address
        order by a.chain_no desc limit 1)), 0::bigint, 'and end where the ledger says');

select throws_ok('select rollback_reconciliation_run(gen_random_uuid(), null, 0, ''a'', ''b'')', 'BR001', null,
    'a page has a size');
select * from finish();
rollback;
