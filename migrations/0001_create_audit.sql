-- The audit trail of sync sessions, and a summary of each session and participant beside it.
-- Only the audit drain writes here. A record is never changed; a summary follows the newest
-- (epoch, version) that was recorded. Times are milliseconds where a name ends in _ms.

CREATE TYPE sync_mode AS ENUM ('per_participant', 'per_cycle', 'per_group', 'global', 'count_up');
CREATE TYPE sync_status AS ENUM ('pending', 'running', 'paused', 'expired', 'completed', 'cancelled');

CREATE TABLE sync_sessions (
    session_id         uuid PRIMARY KEY,
    sync_mode          sync_mode NOT NULL,
    time_per_cycle_ms  bigint,
    increment_ms       bigint DEFAULT 0,
    max_time_ms        bigint,
    created_at         timestamptz NOT NULL DEFAULT now(),
    started_at         timestamptz,
    completed_at       timestamptz,
    final_status       sync_status,          -- once it has ended
    total_cycles       bigint DEFAULT 0,
    total_participants integer DEFAULT 0,
    metadata           jsonb DEFAULT '{}',
    last_updated_at    timestamptz DEFAULT now(),
    epoch              text COLLATE "C" NOT NULL,
    version            bigint NOT NULL,
    status             sync_status NOT NULL,
    actor              text,                 -- who changed it last; null: nobody said who he is
    owner              text,                 -- who created it
    deleted_at         timestamptz,
    CONSTRAINT sync_sessions_version_from_1 CHECK (version >= 1),
    CONSTRAINT sync_sessions_final_is_final
        CHECK (final_status IS NULL OR final_status IN ('expired', 'completed', 'cancelled')),
    CONSTRAINT sync_sessions_counts CHECK (total_cycles >= 0 AND total_participants >= 0)
) WITH (fillfactor = 80);
CREATE INDEX idx_sync_sessions_created ON sync_sessions (created_at DESC);
CREATE INDEX idx_sync_sessions_status ON sync_sessions (final_status) WHERE final_status IS NOT NULL;
CREATE INDEX idx_sync_sessions_mode ON sync_sessions (sync_mode);
CREATE INDEX idx_sync_sessions_live ON sync_sessions (session_id)
    WHERE final_status IS NULL AND deleted_at IS NULL;

-- No foreign key to sync_sessions: of a session whose first records were lost with its Redis, the
-- others are still true.
CREATE TABLE sync_events (
    id                uuid NOT NULL DEFAULT gen_random_uuid(),
    session_id        uuid NOT NULL,
    event_type        varchar(50) NOT NULL,
    participant_id    uuid,
    group_id          uuid,
    time_remaining_ms bigint,
    time_elapsed_ms   bigint,
    cycle_number      bigint,
    timestamp         timestamptz NOT NULL DEFAULT now(), -- when the change took effect
    state_snapshot    jsonb,                 -- as clients see it; at creation, changes of status and now and then
    metadata          jsonb DEFAULT '{}',
    epoch             text COLLATE "C" NOT NULL,
    version           bigint NOT NULL,
    actor             text,
    reason            text,
    committed_at      timestamptz NOT NULL,
    delta             text NOT NULL,         -- the stored fields that changed, one a line
    snapshot          text,                  -- all of them, where there is a state_snapshot
    PRIMARY KEY (session_id, epoch, version, timestamp),
    CONSTRAINT sync_events_version_from_1 CHECK (version >= 1),
    CONSTRAINT sync_events_type CHECK (event_type IN (
        'session_created', 'session_started', 'cycle_switched', 'session_paused', 'session_resumed',
        'participant_expired', 'participant_added', 'participant_adjusted', 'participant_removed',
        'session_completed', 'session_cancelled', 'session_expired', 'session_deleted'))
) PARTITION BY RANGE (timestamp);
CREATE TABLE sync_events_default PARTITION OF sync_events DEFAULT;
CREATE INDEX idx_sync_events_session ON sync_events (session_id, timestamp DESC);
CREATE INDEX idx_sync_events_type ON sync_events (event_type);
CREATE INDEX idx_sync_events_timestamp ON sync_events (timestamp DESC);
CREATE INDEX idx_sync_events_participant ON sync_events (participant_id) WHERE participant_id IS NOT NULL;

CREATE TABLE sync_participants (
    id                   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    session_id           uuid NOT NULL REFERENCES sync_sessions ON DELETE CASCADE,
    participant_id       uuid NOT NULL,
    total_time_ms        bigint NOT NULL,    -- the bank as created, moved by adjustments
    group_id             uuid,
    total_cycles         bigint DEFAULT 0,
    total_time_active_ms bigint DEFAULT 0,
    added_at             timestamptz NOT NULL DEFAULT now(),
    first_active_at      timestamptz,
    last_active_at       timestamptz,
    metadata             jsonb DEFAULT '{}',
    epoch                text COLLATE "C" NOT NULL,
    version              bigint NOT NULL,
    place                integer NOT NULL,   -- in the list of the session, from 0
    CONSTRAINT unique_session_participant UNIQUE (session_id, participant_id),
    CONSTRAINT sync_participants_counts
        CHECK (total_cycles >= 0 AND total_time_active_ms >= 0 AND place >= 0)
) WITH (fillfactor = 80);
CREATE INDEX idx_sync_participants_session ON sync_participants (session_id);
CREATE INDEX idx_sync_participants_group ON sync_participants (group_id) WHERE group_id IS NOT NULL;

-- Make the partitions of this month (UTC) and of the `ahead` months after it. What the default
-- partition has caught of such a month moves into it.
CREATE FUNCTION sync_events_extend(ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    first_day date;
    part text;
    made integer := 0;
    span text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('sync_events_extend'));
    FOR i IN 0..ahead LOOP
        first_day := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i))::date;
        part := 'sync_events_' || to_char(first_day, 'YYYY_MM');
        CONTINUE WHEN to_regclass(part) IS NOT NULL;
        span := format('timestamp >= %L AND timestamp < %L', first_day || ' 00:00+00',
                       (first_day + interval '1 month')::date || ' 00:00+00');
        EXECUTE format('CREATE TABLE %I (LIKE sync_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
        EXECUTE format('WITH moved AS (DELETE FROM sync_events_default WHERE %s RETURNING *) '
                       'INSERT INTO %I SELECT * FROM moved', span, part);
        EXECUTE format('ALTER TABLE sync_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part,
                       first_day || ' 00:00+00', (first_day + interval '1 month')::date || ' 00:00+00');
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Drop what was recorded more than `days` ago: whole partitions, single records of the default
-- one, and the summaries of sessions that have ended before.
CREATE FUNCTION sync_events_retain(days integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    oldest timestamptz := now() - make_interval(days => days);
    part record;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('sync_events_extend'));
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'sync_events'::regclass AND c.relname ~ '^sync_events_\d{4}_\d\d$'
    LOOP
        IF (to_date(right(part.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' <= oldest THEN
            EXECUTE format('DROP TABLE %I', part.relname);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    DELETE FROM sync_events_default WHERE timestamp < oldest;
    DELETE FROM sync_sessions
        WHERE last_updated_at < oldest AND (final_status IS NOT NULL OR deleted_at IS NOT NULL);
    RETURN dropped;
END $$;

SELECT sync_events_extend(3);
