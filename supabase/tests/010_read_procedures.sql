-- Reading the ledger: pages that lose and repeat nothing, exact text, and nothing that could write.
begin;
select plan(41);

select volatility_is('public', 'list_user_balances', 'stable', 'list_user_balances runs read-only in PostgREST');
select volatility_is('public', 'get_user_balances', 'stable', 'get_user_balances runs read-only in PostgREST');
select volatility_is('public', 'count_user_balances', 'stable', 'count_user_balances runs read-only in PostgREST');

set local role service_role;

select is(list_user_balances()::jsonb,
    '{"user_addresses": [], "balances": [], "reconciled_heights": [], "held": []}',
    'an empty ledger is four empty arrays');
select is(get_user_balances('{}')::jsonb,
    '{"user_addresses": [], "balances": [], "reconciled_heights": [], "held": []}', 'nobody asked for, nobody found');
select is(count_user_balances(), 0::bigint, 'an empty ledger counts 0');

insert into user_balances (user_address, balance, reconciled_height) values
    ('', 1, null),
    ('0xABCDEF0123456789', 184467440737.09551615, 7),
    ('0xabcdef0123456789', 0.00000001, null),
    ('ABC', -2.5, null),
    ('a''b"c\d', 3, null),
    ('ünï©ødé', 4, 9007199254740993),
    ('🦀', 5, null),
    ('%_', 6, null);

select is(list_user_balances() ->> 'user_addresses',
    (select json_agg(user_address order by user_address) from user_balances)::text,
    'all keys come in the table''s order');
select is(list_user_balances()::jsonb -> 'user_addresses' ->> 0, '', 'the empty key is the first');
select is(get_user_balances(array['0xABCDEF0123456789'])::jsonb,
    '{"user_addresses": ["0xABCDEF0123456789"], "balances": ["184467440737.09551615"], "reconciled_heights": [7],
      "held": []}',
    'the largest balance is exact text; the key is matched by its case');
select is(get_user_balances(array['0xabcdef0123456789'])::jsonb -> 'balances', '["0.00000001"]',
    'the smallest unit is exact');
select is(get_user_balances(array['ABC'])::jsonb -> 'balances', '["-2.50000000"]',
    'a balance below zero keeps its sign');
select is(get_user_balances(array['ünï©ødé'])::jsonb -> 'reconciled_heights', '[9007199254740993]',
    'a height is exact');
select is(get_user_balances(array['a''b"c\d', 'nobody', '🦀', '🦀', null])::jsonb,
    '{"user_addresses": ["a''b\"c\\d", "🦀"], "balances": ["3.00000000", "5.00000000"],
      "reconciled_heights": [null, null], "held": []}',
    'only rows that exist, each once');
select is(count_user_balances(), 8::bigint, 'every row counts');

-- Page by page, for every page size: the pages are the table, once.
create function pg_temp.page_through(p_limit integer) returns text[] language plpgsql as $$
declare
    v_after text;
    v_page text[];
    v_all text[] := '{}';
begin
    -- Bounded: pages that repeat a key would never end.
    for i in 1..20 loop
        v_page := array(select json_array_elements_text(list_user_balances(v_after, p_limit) -> 'user_addresses'));
        v_all := v_all || v_page;
        exit when cardinality(v_page) < p_limit;
        v_after := v_page[cardinality(v_page)];
    end loop;
    return v_all;
end;
$$;

select is(pg_temp.page_through(n), array(select user_address from user_balances order by user_address),
    format('pages of %s lose and repeat nothing', n))
from generate_series(1, 9) as n;

select is(list_user_balances('')::jsonb -> 'user_addresses' ->> 0,
    (select user_address from user_balances where user_address > '' order by user_address limit 1),
    'the page after the empty key leaves it out');
select is(json_array_length(list_user_balances((select max(user_address) from user_balances)) -> 'balances'), 0,
    'the page after the last key is empty');
select is(list_user_balances('0xABCDEF0123456788', 1)::jsonb -> 'user_addresses', '["0xABCDEF0123456789"]',
    'p_after need not exist');

-- A range: after < key <= through.
select is(list_user_balances('0xABCDEF0123456789', 50, 'ABC')::jsonb -> 'user_addresses',
    '["0xabcdef0123456789", "ABC"]',
    'a range ends with its last key');
select is(list_user_balances(null, 50, '0xABCDEF0123456789')::jsonb -> 'user_addresses',
    '["", "%_", "0xABCDEF0123456789"]',
    'a range may have no lower end');
select is(list_user_balances(null, 2, '0xABCDEF0123456789')::jsonb -> 'user_addresses', '["", "%_"]',
    'a range is paged');
select is(list_user_balances('%_', 2, '0x')::jsonb -> 'user_addresses', '[]', 'a range may be empty');
select is(list_user_balances('b', 50, 'a')::jsonb -> 'user_addresses', '[]',
    'a range that ends before it starts is empty');
select is(list_user_balances(null, 50, '')::jsonb -> 'user_addresses', '[""]', 'the empty key ends a range');
select is((select count(*) from pg_proc where proname = 'list_user_balances'), 1::bigint,
    'there is one list_user_balances, so that no call is ambiguous');

select throws_ok('select list_user_balances(null, 0)', 'BR001', 'p_limit is 0, not between 1 and 50000',
    'a limit of 0 is refused');
select throws_ok('select list_user_balances(null, 50001)', 'BR001', null, 'a limit over 50,000 is refused');
select throws_ok('select list_user_balances(null, null)', 'BR001', null, 'no limit is refused');
select throws_ok('select get_user_balances(null)', 'BR001', 'p_user_addresses is null', 'null addresses are refused');
select throws_ok($$select get_user_balances(array(select n::text from generate_series(1, 50001) n))$$, 'BR003', null,
    'over 50,000 addresses are refused');

-- Cost. Even a cached plan that does not know its parameters reads one range of the key's index.
reset role;
insert into user_balances (user_address) select '0x' || lpad(to_hex(n), 16, '0') from generate_series(1, 20000) n;
analyze user_balances;
set local plan_cache_mode = 'force_generic_plan';
create temp view scans as
    select seq_scan, idx_tup_fetch from pg_stat_xact_user_tables where relname = 'user_balances';
create temp table before as select * from scans;
create temp table page as select list_user_balances('0x0000000000002000', 100) as answer;
create temp table after as select * from scans;
select is((select json_array_length(answer -> 'balances') from page), 100, 'a page from the middle of the ledger');
select is((select after.seq_scan - before.seq_scan from before, after), 0::bigint, 'does not scan the table');
select cmp_ok((select after.idx_tup_fetch - before.idx_tup_fetch from before, after), '<=', 101::bigint,
    'and fetches no more rows than it answers');

select * from finish();
rollback;
