-- get_user_states: all that the ledger knows of a few users.
begin;
select plan(12);

insert into public.user_balances (user_address, balance, reconciled_height, reconciled_at, event_height, updated_at)
values
    ('0x0000000000000002', 2.5, 40, '2026-01-02 03:04:05+00', 41, '2026-01-02 03:04:06+00'),
    ('0x0000000000000001', 184467440737.09551615, null, null, null, '2026-01-01 00:00:00+00'),
    ('0x0000000000000003', 3, null, null, null, '2026-01-01 00:00:00+00');

create temporary table answer as
select public.get_user_states(array['0x0000000000000002', '0x00000000000000ff', '0x0000000000000001']) as j;

select is(j ->> 'user_addresses', '["0x0000000000000001", "0x0000000000000002"]',
    'the rows that exist, in key order') from answer;
select is(j ->> 'balances', '["184467440737.09551615", "2.50000000"]', 'balances are exact text') from answer;
select is(j ->> 'reconciled_heights', '[null, 40]', 'the height of the last reconciliation') from answer;
select is(j ->> 'event_heights', '[null, 41]', 'the height of the newest event') from answer;
select is((j -> 'reconciled_ats' ->> 1)::timestamptz, '2026-01-02 03:04:05+00'::timestamptz, 'when that was') from answer;
select is((j -> 'updated_ats' ->> 1)::timestamptz, '2026-01-02 03:04:06+00'::timestamptz,
    'when the row was written') from answer;
select is(public.get_user_states(array['0X0000000000000001']) ->> 'user_addresses', '[]',
    'keys are matched exactly as stored');
select is(public.get_user_states('{}') ->> 'balances', '[]', 'nobody asked for is nobody answered');

select throws_ok($$ select public.get_user_states(null) $$, 'BR001', null, 'null is refused');
select throws_ok($$ select public.get_user_states(array_fill('x'::text, array[50001])) $$, 'BR003', null,
    'more than 50,000 are refused');

select volatility_is('public', 'get_user_states', array['text[]'], 'stable', 'it cannot write');
select function_privs_are('public', 'get_user_states', array['text[]'], 'anon', array[]::text[],
    'anon may not call it');

select * from finish();
rollback;
