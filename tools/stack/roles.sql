-- The roles and default privileges that a hosted Supabase database has, so that what the migrations grant and
-- revoke is tested against them. Run as the cluster's superuser (supabase_admin), in each database; may be repeated.

do $$
begin
    if to_regrole('postgres') is null then
        -- Hosted, `postgres` owns the schema public but is no superuser.
        create role postgres login createdb createrole bypassrls;
    end if;
    if to_regrole('anon') is null then
        create role anon nologin;
    end if;
    if to_regrole('authenticated') is null then
        create role authenticated nologin;
    end if;
    if to_regrole('service_role') is null then
        create role service_role nologin bypassrls;
    end if;
    if to_regrole('authenticator') is null then
        -- PostgREST logs in as this role and may do nothing until it takes one of the three others.
        create role authenticator login noinherit;
    end if;
end
$$;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres;

-- service_role has no limit of its own and so works under the authenticator's.
alter role authenticator set statement_timeout = '8s';
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';

alter schema public owner to postgres;
grant usage on schema public to anon, authenticated, service_role;

do $$
begin
    execute format('alter database %I owner to postgres', current_database());
end
$$;

alter default privileges for role postgres in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on functions to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on sequences to anon, authenticated, service_role;
