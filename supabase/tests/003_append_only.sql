-- The audit log refuses change by its trigger too, when somebody has granted the rights back.
begin;
select plan(15);

insert into balance_audit_log (user_address, operation_type, amount, balance_before, balance_after)
values ('0x0000000000000001', 'deposit', 1, 0, 1);

grant all on balance_audit_log to anon, authenticated, service_role;
create policy open_to_all on balance_audit_log using (true) with check (true);

prepare edit as update public.balance_audit_log set amount = 2;
prepare edit_nothing as update public.balance_audit_log set amount = 2 where false;
prepare remove as delete from public.balance_audit_log;

set local role service_role;
select throws_ok('edit', 'BR004', 'balance_audit_log is append-only: UPDATE is refused', 'service_role: no update');
select throws_ok('edit_nothing', 'BR004', null, 'service_role: not even an update of no row');
select throws_ok('remove', 'BR004', 'balance_audit_log is append-only: DELETE is refused', 'service_role: no delete');
select throws_ok('truncate public.balance_audit_log', 'BR004', 'balance_audit_log is append-only: TRUNCATE is refused',
    'service_role: no truncate');
set local role authenticated;
select throws_ok('edit', 'BR004', null, 'authenticated: no update');
select throws_ok('remove', 'BR004', null, 'authenticated: no delete');
select throws_ok('truncate public.balance_audit_log', 'BR004', null, 'authenticated: no truncate');
set local role anon;
select throws_ok('edit', 'BR004', null, 'anon: no update');
select throws_ok('remove', 'BR004', null, 'anon: no delete');
select throws_ok('truncate public.balance_audit_log', 'BR004', null, 'anon: no truncate');
set local role postgres;
select throws_ok('edit', 'BR004', null, 'the owner: no update');
select throws_ok('remove', 'BR004', null, 'the owner: no delete');
select throws_ok('truncate public.balance_audit_log', 'BR004', null, 'the owner: no truncate');
select throws_ok(
    $$insert into public.balance_audit_log (id, user_address, operation_type, amount, balance_before, balance_after)
      overriding system value
      select id, user_address, operation_type, 9, 9, 9 from public.balance_audit_log
      on conflict (id) do update set amount = excluded.amount$$,
    'BR004', null, 'no upsert either');

reset role;
select results_eq('select amount from balance_audit_log', array[1::numeric(20, 8)], 'the row is as it was written');

select * from finish();
rollback;
