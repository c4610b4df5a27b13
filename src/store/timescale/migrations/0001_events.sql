-- Events, one table a class, as the journal's envelope has them plus the columns people query by.
-- No table has a unique key on the event: the watermark makes the forwarding exactly once, and a double,
-- if there ever were one, must be there to be seen.

CREATE TABLE tallyman.location_event (
    event_id      uuid NOT NULL,
    node          text NOT NULL,
    epoch         uuid NOT NULL,
    seq           bigint NOT NULL,
    version       smallint NOT NULL,
    kind          text NOT NULL,
    site          text,
    subject       text NOT NULL,
    source        text NOT NULL,
    observed_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL,
    late          boolean NOT NULL,
    confidence    real,
    asset         text,
    epc           text,
    change        text,
    direction     text,
    zone          text,
    from_zone     text,
    read_point    text,
    fence         text,
    lat           double precision,
    lon           double precision,
    holder        text,
    due_back      timestamptz,
    body          jsonb NOT NULL
);

CREATE TABLE tallyman.condition_event (
    event_id      uuid NOT NULL,
    node          text NOT NULL,
    epoch         uuid NOT NULL,
    seq           bigint NOT NULL,
    version       smallint NOT NULL,
    kind          text NOT NULL,
    site          text,
    subject       text NOT NULL,
    source        text NOT NULL,
    observed_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL,
    late          boolean NOT NULL,
    confidence    real,
    asset         text,
    device        text,
    point         text,
    limit_name    text,
    change        text,
    began_at      timestamptz,
    value         double precision,
    threshold     double precision,
    quality       text,
    zone          text,
    body          jsonb NOT NULL
);

CREATE TABLE tallyman.fix (
    event_id        uuid NOT NULL,
    node            text NOT NULL,
    epoch           uuid NOT NULL,
    seq             bigint NOT NULL,
    version         smallint NOT NULL,
    kind            text NOT NULL,
    site            text,
    subject         text NOT NULL,
    source          text NOT NULL,
    observed_at     timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    late            boolean NOT NULL,
    confidence      real,
    asset           text,
    device          text,
    lat             double precision,
    lon             double precision,
    accuracy_m      double precision,
    altitude_m      double precision,
    speed_mps       double precision,
    course_deg      double precision,
    battery_percent double precision,
    body            jsonb NOT NULL
);

CREATE TABLE tallyman.sample (
    event_id      uuid NOT NULL,
    node          text NOT NULL,
    epoch         uuid NOT NULL,
    seq           bigint NOT NULL,
    version       smallint NOT NULL,
    kind          text NOT NULL,
    site          text,
    subject       text NOT NULL,
    source        text NOT NULL,
    observed_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL,
    late          boolean NOT NULL,
    confidence    real,
    asset         text,
    device        text,
    point         text,
    value         double precision,
    quality       text,
    body          jsonb NOT NULL
);

CREATE TABLE tallyman.tag_read (
    event_id      uuid NOT NULL,
    node          text NOT NULL,
    epoch         uuid NOT NULL,
    seq           bigint NOT NULL,
    version       smallint NOT NULL,
    kind          text NOT NULL,
    site          text,
    subject       text NOT NULL,
    source        text NOT NULL,
    observed_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL,
    late          boolean NOT NULL,
    confidence    real,
    asset         text,
    epc           text,
    antenna       integer,
    seen_count    integer,
    peak_rssi_dbm real,
    body          jsonb NOT NULL
);

-- The interval of new chunks is set at every start, from the configuration.
SELECT create_hypertable('tallyman.location_event', by_range('observed_at', INTERVAL '7 days'));
SELECT create_hypertable('tallyman.condition_event', by_range('observed_at', INTERVAL '7 days'));
SELECT create_hypertable('tallyman.fix', by_range('observed_at', INTERVAL '7 days'));
SELECT create_hypertable('tallyman.sample', by_range('observed_at', INTERVAL '7 days'));
SELECT create_hypertable('tallyman.tag_read', by_range('observed_at', INTERVAL '7 days'));

CREATE INDEX location_event_subject ON tallyman.location_event (subject, observed_at DESC);
CREATE INDEX condition_event_subject ON tallyman.condition_event (subject, observed_at DESC);
CREATE INDEX fix_subject ON tallyman.fix (subject, observed_at DESC);
CREATE INDEX sample_subject ON tallyman.sample (subject, observed_at DESC);
CREATE INDEX tag_read_subject ON tallyman.tag_read (subject, observed_at DESC);

CREATE TABLE tallyman.alert_event (
    event_id      uuid NOT NULL,
    node          text NOT NULL,
    epoch         uuid NOT NULL,
    seq           bigint NOT NULL,
    version       smallint NOT NULL,
    kind          text NOT NULL,
    site          text,
    subject       text NOT NULL,
    source        text NOT NULL,
    observed_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL,
    late          boolean NOT NULL,
    confidence    real,
    rule          text,
    about         text,
    transition    text,
    state         text,
    severity      text,
    incident      uuid,
    summary       text,
    body          jsonb NOT NULL
);
CREATE INDEX alert_event_subject ON tallyman.alert_event (subject, observed_at DESC);
CREATE INDEX alert_event_observed_at ON tallyman.alert_event (observed_at DESC);

CREATE TABLE tallyman.command_log (
    event_id      uuid NOT NULL,
    node          text NOT NULL,
    epoch         uuid NOT NULL,
    seq           bigint NOT NULL,
    version       smallint NOT NULL,
    kind          text NOT NULL,
    site          text,
    subject       text NOT NULL,
    source        text NOT NULL,
    observed_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL,
    late          boolean NOT NULL,
    confidence    real,
    given_by      text,
    command       text,
    body          jsonb NOT NULL
);
CREATE INDEX command_log_subject ON tallyman.command_log (subject, observed_at DESC);
CREATE INDEX command_log_observed_at ON tallyman.command_log (observed_at DESC);

-- What was not seen, or is not here. Rows of kind `gap` and `link` are events of the node; those of kind
-- `pruned` and `epoch` were written by the forwarder itself and have no event behind them.
CREATE TABLE tallyman.gap (
    event_id      uuid,
    node          text NOT NULL,
    epoch         uuid NOT NULL,
    seq           bigint,
    version       smallint,
    kind          text NOT NULL,
    site          text,
    subject       text NOT NULL,
    source        text NOT NULL,
    observed_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL,
    late          boolean NOT NULL,
    confidence    real,
    gap_from      timestamptz,
    gap_to        timestamptz,
    up            boolean,
    reason        text,
    from_seq      bigint,
    to_seq        bigint,
    missing       bigint,
    body          jsonb
);
CREATE INDEX gap_subject ON tallyman.gap (subject, observed_at DESC);
CREATE INDEX gap_observed_at ON tallyman.gap (observed_at DESC);

-- Events that PostgreSQL refused, whole, with what it said.
CREATE TABLE tallyman.rejected_event (
    event_id       uuid NOT NULL,
    node           text NOT NULL,
    epoch          uuid NOT NULL,
    seq            bigint NOT NULL,
    kind           text NOT NULL,
    subject        text NOT NULL,
    observed_at_us bigint NOT NULL,
    error          text NOT NULL,
    body           text NOT NULL,
    rejected_at    timestamptz NOT NULL DEFAULT now()
);

-- How far each node's events have come. Moves in the transaction that holds them, by compare-and-set.
CREATE TABLE tallyman.forward_watermark (
    node               text PRIMARY KEY,
    epoch              uuid NOT NULL,
    last_seq           bigint NOT NULL,
    last_id            uuid,
    -- Newest recorded_at of the events of this node that are here.
    newest_recorded_at timestamptz,
    -- Events observed up to here may be here from an earlier epoch: each is looked for before it is inserted.
    overlap_until      timestamptz,
    updated_at         timestamptz NOT NULL DEFAULT now()
);

-- Current state, as the events say it; rewritten by newer events only.
CREATE TABLE tallyman.asset_current (
    asset          text PRIMARY KEY,
    site           text,
    zone           text,
    present        boolean,
    read_point     text,
    located_at     timestamptz,
    lat            double precision,
    lon            double precision,
    accuracy_m     double precision,
    positioned_at  timestamptz,
    holder         text,
    due_back       timestamptz,
    custody_at     timestamptz,
    sensed_at      timestamptz,
    sensed_by      text,
    last_kind      text NOT NULL,
    last_event_id  uuid NOT NULL,
    node           text NOT NULL,
    epoch          uuid NOT NULL,
    seq            bigint NOT NULL,
    recorded_at    timestamptz NOT NULL
);

CREATE TABLE tallyman.alert_current (
    node             text NOT NULL,
    rule             text NOT NULL,
    about            text NOT NULL,
    state            text NOT NULL,
    severity         text NOT NULL,
    site             text,
    summary          text NOT NULL,
    incident         uuid NOT NULL,
    last_transition  text NOT NULL,
    pending_since    timestamptz,
    fired_at         timestamptz,
    resolved_at      timestamptz,
    acknowledged_by  text,
    acknowledged_at  timestamptz,
    snoozed_until    timestamptz,
    inhibited_by     text,
    epoch            uuid NOT NULL,
    seq              bigint NOT NULL,
    recorded_at      timestamptz NOT NULL,
    PRIMARY KEY (node, rule, about)
);

CREATE TABLE tallyman.sensor_current (
    node         text NOT NULL,
    device       text NOT NULL,
    point        text NOT NULL,
    site         text,
    value        double precision,
    quality      text,
    observed_at  timestamptz,
    -- Limit → since when it is exceeded; null where it no longer is.
    limits       jsonb NOT NULL DEFAULT '{}',
    epoch        uuid NOT NULL,
    seq          bigint NOT NULL,
    recorded_at  timestamptz NOT NULL,
    PRIMARY KEY (node, device, point)
);
