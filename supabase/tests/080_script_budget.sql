-- The rate that all workers share.
begin;
select plan(9);

set local role service_role;

select is(reserve_script_slots('node', 0.1)::jsonb, '{"wait_s": 0}', 'the first slot is free');
select is(round((reserve_script_slots('node', 0.1) ->> 'wait_s')::numeric), 10::numeric,
    'the next one waits for it');
select is(round((reserve_script_slots('node', 0.1, 3) ->> 'wait_s')::numeric), 20::numeric,
    'slots may be taken together');
select is(round((reserve_script_slots('node', 0.1) ->> 'wait_s')::numeric), 50::numeric,
    'and are all taken');
select is(reserve_script_slots('other', 0.1)::jsonb, '{"wait_s": 0}', 'another budget is another''s');
select throws_ok('select reserve_script_slots(' || v.arguments || ')', 'BR001', null, v.arguments)
from (values ('null, 1'), (''' '', 1'), ('''node'', 0'), ('''node'', 1, 0')) as v (arguments);

select * from finish();
rollback;
