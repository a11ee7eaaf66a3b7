-- The example ledger loads, may load again, and has drifted.
begin;
select plan(4);

set local role postgres;
select lives_ok('select tap.seed()', 'the seed loads');
select lives_ok('select tap.seed()', 'and loads again');
select cmp_ok((select count(*) from user_balances), '>=', 5::bigint, 'there are users');
select cmp_ok((select count(*) from balance_audit_log), '>=', 5::bigint, 'with a history');

select * from finish();
rollback;
