-- Roles of PostgreSQL for SyncKairos: run once, as a superuser, in the database of the service and
-- after `kairosctl migrate`:    psql -d synckairos -f roles.sql
--
-- The role that ran the migrations owns the tables. The programs log in as `synckairos_app`: they
-- read, add and update, but cannot change or drop a table, nor change or delete what the audit
-- trail says. Old partitions are dropped by the owner (`kairosctl cleanup`), so set
-- AUDIT_RETENTION_DAYS=0 for the programs. Give the role a password, or let it in by peer or ident:
--   ALTER ROLE synckairos_app PASSWORD '...';

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'synckairos_app') THEN
        CREATE ROLE synckairos_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
    END IF;
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO synckairos_app', current_database());
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO synckairos_app;
GRANT SELECT ON schema_migrations TO synckairos_app;
GRANT SELECT, INSERT ON sync_events TO synckairos_app;
GRANT SELECT, INSERT, UPDATE ON sync_sessions, sync_partitions, sync_seen TO synckairos_app;
-- A session that is created anew has other participants.
GRANT SELECT, INSERT, UPDATE, DELETE ON sync_participants TO synckairos_app;
GRANT EXECUTE ON FUNCTION sync_events_extend(integer) TO synckairos_app;
