-- Holds: who is held is compared and never corrected, until a release; the history stays.
begin;
select plan(44);

insert into user_balances (user_address, balance) values
    ('0x0000000000000001', 10), ('0x0000000000000002', 20), ('0x0000000000000003', 30), ('odd key', 40);

set local role service_role;

-- Hold and release.
create temp table held as select hold_user('0x0000000000000001', 'alice', 'ticket 1')::jsonb as answer;
select is((select answer ->> 'outcome' from held), 'held', 'a user is held');
select is((select answer -> 'hold' from held) - 'held_at', '{
    "user_address": "0x0000000000000001", "held_by": "alice", "reason": "ticket 1", "audit_id": null,
    "released_at": null, "released_by": null, "release_reason": null}', 'with who and why');
select is(hold_user('0x0000000000000001', 'bob', 'ticket 2')::jsonb,
    (select jsonb_set(answer, '{outcome}', '"already_held"') from held), 'again: the first hold stands');
select is(hold_user('odd key', 'alice', 'x') ->> 'outcome', 'held', 'any key of the ledger can be held');
select is(hold_user('0x00000000000000aa', 'alice', 'x')::jsonb, '{"outcome": "user_not_found", "hold": null}',
    'nobody can be held who is not in the ledger');
select is(hold_user(null, 'alice', 'x') ->> 'outcome', 'user_not_found', 'nor nobody');
select throws_ok(format('select hold_user(''0x0000000000000002'', %L, %L)', c.admin, c.reason), 'BR001', null, c.about)
from (values (null, 'x', 'no admin'), (' ', 'x', 'a blank admin'), (repeat('a', 201), 'x', 'a long admin'),
    ('alice', null, 'no reason'), ('alice', ' ', 'a blank reason'), ('alice', repeat('a', 501), 'a long reason')
) as c (admin, reason, about);
select is(hold_user('0x0000000000000002', repeat('ä', 200), repeat('ö', 500)) ->> 'outcome', 'held',
    'characters count, not bytes');
select is(release_user('0x0000000000000002', 'carol', 'looked at it')::jsonb -> 'hold' ->> 'released_by', 'carol',
    'a release says by whom');
select is(release_user('0x0000000000000002', 'carol', 'looked at it')::jsonb -> 'hold' ->> 'release_reason',
    'looked at it', 'again: not held, and the last hold is told');
select is(release_user('0x0000000000000002', 'carol') ->> 'outcome', 'not_held', 'as such');
select is(release_user('0x0000000000000003', 'carol')::jsonb, '{"outcome": "not_held", "hold": null}',
    'who was never held is not held');
select is(release_user('nobody', 'carol')::jsonb, '{"outcome": "not_held", "hold": null}', 'nor is a stranger');
select throws_ok('select release_user(''0x0000000000000001'', null)', 'BR001', null, 'a release has an admin');
select throws_ok('select release_user(''0x0000000000000001'', ''a'', '' '')', 'BR001', null,
    'a reason that is given is none of blanks');
select is(hold_user('0x0000000000000002', 'dave', 'again') ->> 'outcome', 'held', 'who was released can be held again');
select throws_ok($$insert into public.reconciliation_holds (user_address, held_at, held_by, reason)
    values ('0x0000000000000003', now(), 'a', 'b')$$, '42501', null, 'a hold is placed by procedure only');

-- Lists.
select is((select jsonb_agg(h ->> 'user_address') from jsonb_array_elements(list_holds()::jsonb) h),
    '["0x0000000000000001", "0x0000000000000002", "odd key"]', 'active holds by key');
select is((select jsonb_agg(h ->> 'user_address') from jsonb_array_elements(list_holds('0x0000000000000001', 1)::jsonb) h),
    '["0x0000000000000002"]', 'page by page');
select is(list_holds('odd key')::jsonb, '[]', 'to the end');
select throws_ok('select list_holds(p_limit => 0)', 'BR001', null, 'a page has a limit');
select throws_ok('select list_holds(p_limit => 10001)', 'BR001', null, 'a page has an upper limit');
select is((select jsonb_agg(h ->> 'held_by' order by n)
        from jsonb_array_elements(list_user_holds('0x0000000000000002')::jsonb) with ordinality as h (h, n)),
    jsonb_build_array('dave', repeat('ä', 200)), 'a user''s holds, the newest first');
select is(list_user_holds('nobody')::jsonb, '[]', 'nobody''s holds');
select volatility_is('public', f.name, 'stable', f.name || ' runs read-only in PostgREST')
from (values ('list_holds'), ('list_user_holds')) as f (name);

-- Reading the ledger says who is held.
select is(list_user_balances()::jsonb -> 'held', '["0x0000000000000001", "0x0000000000000002", "odd key"]',
    'of a page');
select is(list_user_balances(null, 1)::jsonb -> 'held', '["0x0000000000000001"]', 'and of that page only');
select is(get_user_balances(array['odd key', '0x0000000000000003', 'nobody'])::jsonb -> 'held', '["odd key"]',
    'of those asked for');

-- Correcting leaves who is held alone.
select is(reconcile_user_balance('0x0000000000000001', 11)::jsonb ->> 'code', 'user_held', 'one user is refused');
select is(reconcile_user_balance('0x0000000000000001', 10)::jsonb ->> 'success', 'true',
    'where both agree there is nothing to refuse');
select is(reconcile_user_balances(
        array['0x0000000000000001', '0x0000000000000002', '0x0000000000000003', 'odd key'], array[11, 20, 31, 41],
        array[10, 20, 30, 39], 5)::jsonb - 'audit_ids', '{
    "outcomes": ["held", "in_sync", "corrected", "held"], "codes": ["user_held", null, null, "user_held"],
    "old_balances": [null, "20.00000000", "30.00000000", null],
    "new_balances": [null, "20.00000000", "31.00000000", null]}', 'of many, those that differ and are held');
select is((select array_agg(balance order by user_address) from user_balances), array[10.0, 20, 31, 40],
    'their balances stay');
select is(apply_balance_event('0x0000000000000001', 1, 6, 'e') ->> 'new_balance', '11.00000000',
    'the app''s events go on');

-- A held user without a row is not created.
reset role;
delete from user_balances where user_address = '0x0000000000000001';
set local role service_role;
select is(reconcile_user_balance('0x0000000000000001', 11) ->> 'code', 'user_held', 'a hold outlives its row');
select is(reconcile_user_balances(array['0x0000000000000001'], array[11], array[null]::numeric[], 7)::jsonb -> 'outcomes',
    '["held"]', 'for many too');
select is((select count(*) from user_balances), 3::bigint, 'and no row is made');
select is(release_user('0x0000000000000001', 'alice') ->> 'outcome', 'released', 'it can be released all the same');
select is(reconcile_user_balances(array['0x0000000000000001'], array[11], array[null]::numeric[], 7)::jsonb -> 'outcomes',
    '["corrected"]', 'and then is corrected');

select * from finish();
rollback;
