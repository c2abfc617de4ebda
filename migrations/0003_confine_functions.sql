-- The program that writes the audit trail needs a partition for each month, but not the right to
-- make tables: the function that makes them runs as its owner. The one that drops old partitions
-- is for the owner alone (etc/postgresql/roles.sql says who is who).

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION sync_events_extend(integer) SECURITY DEFINER SET search_path = %I, pg_temp',
                   current_schema());
    EXECUTE format('ALTER FUNCTION sync_events_retain(integer) SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE EXECUTE ON FUNCTION sync_events_extend(integer), sync_events_retain(integer) FROM PUBLIC;
