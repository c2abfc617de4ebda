-- What is known of the partitions of Redis, for the day on which it comes back with less than it
-- had: up to which change of each life the records are here, and when it was seen last.

CREATE TABLE sync_partitions (
    partition smallint NOT NULL CHECK (partition BETWEEN 0 AND 63),
    life      bigint NOT NULL,
    changes   bigint NOT NULL,             -- all up to this one are recorded
    PRIMARY KEY (partition, life)
) WITH (fillfactor = 50);

CREATE TABLE sync_seen (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seen_at  timestamptz NOT NULL          -- by the clock of Redis
) WITH (fillfactor = 50);
