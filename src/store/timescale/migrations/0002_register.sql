-- The register as plain tables. Who owns it says `register_owner`: where the journal does, these tables
-- mirror it and cannot be written; where the database does, people and jobs write them with plain SQL, and
-- every daemon that follows takes the changes up within seconds.
--
-- No foreign keys: a job may write in any order. What a row refers to is checked by the daemon, and a
-- row that does not fit stands in `register_problem` until it does.

CREATE TABLE tallyman.site (
    name          text PRIMARY KEY CHECK (name <> ''),
    timezone      text NOT NULL CHECK (timezone <> ''),
    working_hours text CHECK (working_hours <> ''),
    holidays      date[] NOT NULL DEFAULT '{}',
    declared_by   text
);
COMMENT ON TABLE tallyman.site IS 'A place with one clock on the wall and one working calendar.';
COMMENT ON COLUMN tallyman.site.name IS 'Key.';
COMMENT ON COLUMN tallyman.site.timezone IS 'IANA name, for instance Europe/Berlin.';
COMMENT ON COLUMN tallyman.site.working_hours IS 'For instance "mon-fri 07:00-17:00, sat 08:00-12:00". Null: every day is a working day that ends at midnight.';
COMMENT ON COLUMN tallyman.site.holidays IS 'Days on which nobody works.';
COMMENT ON COLUMN tallyman.site.declared_by IS 'The node whose configuration file declares it; such a row is changed there. Null: this row is yours.';

CREATE TABLE tallyman.zone (
    name        text PRIMARY KEY CHECK (name <> ''),
    site        text NOT NULL,
    coverage    text NOT NULL DEFAULT 'none' CHECK (coverage IN ('continuous', 'portal-only', 'none')),
    declared_by text
);
COMMENT ON TABLE tallyman.zone IS 'Where assets stay.';
COMMENT ON COLUMN tallyman.zone.name IS 'Key.';
COMMENT ON COLUMN tallyman.zone.site IS 'site.name';
COMMENT ON COLUMN tallyman.zone.coverage IS 'How well it is listened to: continuous, portal-only or none. Ghost clocks run only in continuous ones.';
COMMENT ON COLUMN tallyman.zone.declared_by IS 'The node whose configuration file declares it; such a row is changed there. Null: this row is yours.';

CREATE TABLE tallyman.asset_class (
    name                       text PRIMARY KEY CHECK (name <> ''),
    criticality                text NOT NULL DEFAULT 'normal' CHECK (criticality IN ('low', 'normal', 'high')),
    ghost_after                interval CHECK (ghost_after > interval '0'),
    ghost_after_in_maintenance interval CHECK (ghost_after_in_maintenance > interval '0'),
    overdue_grace              interval CHECK (overdue_grace >= interval '0'),
    tracker_silent_after       interval CHECK (tracker_silent_after > interval '0'),
    low_battery_percent        double precision CHECK (low_battery_percent BETWEEN 0 AND 100),
    idle_after                 interval CHECK (idle_after > interval '0'),
    utilisation                text NOT NULL DEFAULT 'movement' CHECK (utilisation IN ('movement', 'custody', 'sensor')),
    utilisation_point          text,
    inspect_every              interval CHECK (inspect_every > interval '0'),
    inspect_on_return          boolean NOT NULL DEFAULT false,
    returns                    text NOT NULL DEFAULT 'sensed' CHECK (returns IN ('sensed', 'by-hand')),
    handover                   text NOT NULL DEFAULT 'propose' CHECK (handover IN ('propose', 'accept')),
    needs_checkout             boolean NOT NULL DEFAULT false,
    allowed_zones              text[] NOT NULL DEFAULT '{}',
    needs                      text[] NOT NULL DEFAULT '{}',
    audit_every                interval CHECK (audit_every > interval '0'),
    declared_by                text,
    CHECK ((utilisation = 'sensor') = (utilisation_point IS NOT NULL))
);
COMMENT ON TABLE tallyman.asset_class IS 'A kind of asset; it carries the rules. An interval''s month counts as 30 days.';
COMMENT ON COLUMN tallyman.asset_class.name IS 'Key.';
COMMENT ON COLUMN tallyman.asset_class.criticality IS 'low, normal or high: how severe its alerts are.';
COMMENT ON COLUMN tallyman.asset_class.ghost_after IS 'Working coverage without a sighting after which an asset in a continuous zone is a ghost. Null: never.';
COMMENT ON COLUMN tallyman.asset_class.ghost_after_in_maintenance IS 'The same while it is in maintenance. Null: as ever.';
COMMENT ON COLUMN tallyman.asset_class.overdue_grace IS 'Added to due back before a checkout is overdue.';
COMMENT ON COLUMN tallyman.asset_class.tracker_silent_after IS 'A tracker without a message for this long, while its broker worked, is silent.';
COMMENT ON COLUMN tallyman.asset_class.low_battery_percent IS 'Below this its tracker''s battery is low, and it is not ready.';
COMMENT ON COLUMN tallyman.asset_class.idle_after IS 'Unused for this long, it is idle.';
COMMENT ON COLUMN tallyman.asset_class.utilisation IS 'What says that it is in use: movement, custody, or a sensor.';
COMMENT ON COLUMN tallyman.asset_class.utilisation_point IS 'With utilisation sensor: the point that is not zero while it is in use.';
COMMENT ON COLUMN tallyman.asset_class.inspect_every IS 'It must be inspected this often to be ready.';
COMMENT ON COLUMN tallyman.asset_class.inspect_on_return IS 'It must be inspected after each return to be ready.';
COMMENT ON COLUMN tallyman.asset_class.returns IS 'What ends a checkout: being sensed at home (sensed), or only somebody who says so (by-hand).';
COMMENT ON COLUMN tallyman.asset_class.handover IS 'A hand-over that was sensed is proposed to somebody (propose) or taken for true (accept).';
COMMENT ON COLUMN tallyman.asset_class.needs_checkout IS 'It may not leave through a portal without being checked out.';
COMMENT ON COLUMN tallyman.asset_class.allowed_zones IS 'zone.name each: where it may be while it is not checked out. Empty: anywhere.';
COMMENT ON COLUMN tallyman.asset_class.needs IS 'asset_class.name each: its kit is complete with one part of each.';
COMMENT ON COLUMN tallyman.asset_class.audit_every IS 'It is to be counted this often.';
COMMENT ON COLUMN tallyman.asset_class.declared_by IS 'The node whose configuration file declares it; such a row is changed there. Null: this row is yours.';

CREATE TABLE tallyman.person (
    id   text PRIMARY KEY CHECK (id <> ''),
    name text,
    team text,
    site text
);
COMMENT ON TABLE tallyman.person IS 'Somebody who takes things and brings them back.';
COMMENT ON COLUMN tallyman.person.id IS 'Key: what a checkout''s holder says.';
COMMENT ON COLUMN tallyman.person.name IS 'As people say it.';
COMMENT ON COLUMN tallyman.person.team IS 'As people say it.';
COMMENT ON COLUMN tallyman.person.site IS 'site.name';

CREATE TABLE tallyman.asset (
    id             text PRIMARY KEY CHECK (id <> ''),
    class          text NOT NULL,
    name           text,
    home_zone      text,
    lifecycle      text NOT NULL DEFAULT 'in-service' CHECK (lifecycle IN
                     ('ordered', 'in-service', 'in-maintenance', 'quarantined', 'retired', 'disposed')),
    part_of        text CHECK (part_of <> id),
    number         text,
    owner          text,
    cost_centre    text,
    acquired_on    date,
    warranty_until date,
    retired_on     date CHECK (retired_on >= acquired_on),
    attributes     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object')
);
COMMENT ON TABLE tallyman.asset IS 'One thing of the company''s.';
COMMENT ON COLUMN tallyman.asset.id IS 'Key: what people and events call it.';
COMMENT ON COLUMN tallyman.asset.class IS 'asset_class.name';
COMMENT ON COLUMN tallyman.asset.name IS 'As people say it.';
COMMENT ON COLUMN tallyman.asset.home_zone IS 'zone.name: where it belongs.';
COMMENT ON COLUMN tallyman.asset.lifecycle IS 'ordered, in-service, in-maintenance, quarantined, retired or disposed.';
COMMENT ON COLUMN tallyman.asset.part_of IS 'asset.id of the kit that it belongs to.';
COMMENT ON COLUMN tallyman.asset.number IS 'GIAI or GRAI as a URI, or the company''s own inventory number.';
COMMENT ON COLUMN tallyman.asset.owner IS 'Whose it is.';
COMMENT ON COLUMN tallyman.asset.cost_centre IS 'Who pays for it.';
COMMENT ON COLUMN tallyman.asset.acquired_on IS 'When it became the company''s.';
COMMENT ON COLUMN tallyman.asset.warranty_until IS 'The last day of its warranty.';
COMMENT ON COLUMN tallyman.asset.retired_on IS 'When it went out of use for good.';
COMMENT ON COLUMN tallyman.asset.attributes IS 'Whatever else: a JSON object whose values are kept as texts.';
CREATE INDEX asset_of_class ON tallyman.asset (class);
CREATE INDEX asset_of_home_zone ON tallyman.asset (home_zone);

CREATE TABLE tallyman.tag (
    epc        text NOT NULL CHECK (epc ~ '^([0-9a-f]{2}){1,62}$'),
    asset      text,
    person     text,
    valid_from timestamptz NOT NULL DEFAULT '-infinity',
    valid_to   timestamptz NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (epc, valid_from),
    CHECK (num_nonnulls(asset, person) = 1),
    CHECK (valid_to > valid_from)
);
COMMENT ON TABLE tallyman.tag IS 'An RFID tag on an asset, or as a person''s badge, from when to when. To move a tag, end its row (valid_to) and write another one.';
COMMENT ON COLUMN tallyman.tag.epc IS 'Key, with valid_from: the code in the tag, hex digits in lower case.';
COMMENT ON COLUMN tallyman.tag.asset IS 'asset.id; this or person.';
COMMENT ON COLUMN tallyman.tag.person IS 'person.id; this or asset.';
COMMENT ON COLUMN tallyman.tag.valid_from IS '-infinity: since ever.';
COMMENT ON COLUMN tallyman.tag.valid_to IS 'The first moment at which it no longer holds; infinity: it holds.';
CREATE INDEX tag_on_asset ON tallyman.tag (asset);

CREATE TABLE tallyman.tracker (
    device     text NOT NULL CHECK (device <> ''),
    asset      text NOT NULL,
    valid_from timestamptz NOT NULL DEFAULT '-infinity',
    valid_to   timestamptz NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (device, valid_from),
    CHECK (valid_to > valid_from)
);
COMMENT ON TABLE tallyman.tracker IS 'A GPS tracker on an asset, from when to when.';
COMMENT ON COLUMN tallyman.tracker.device IS 'Key, with valid_from: the device as its messages name it, for OwnTracks user/device.';
COMMENT ON COLUMN tallyman.tracker.asset IS 'asset.id';
COMMENT ON COLUMN tallyman.tracker.valid_from IS '-infinity: since ever.';
COMMENT ON COLUMN tallyman.tracker.valid_to IS 'The first moment at which it no longer holds; infinity: it holds.';
CREATE INDEX tracker_on_asset ON tallyman.tracker (asset);

CREATE TABLE tallyman.sensor (
    device     text NOT NULL CHECK (device <> ''),
    asset      text,
    zone       text,
    valid_from timestamptz NOT NULL DEFAULT '-infinity',
    valid_to   timestamptz NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (device, valid_from),
    CHECK (num_nonnulls(asset, zone) = 1),
    CHECK (valid_to > valid_from)
);
COMMENT ON TABLE tallyman.sensor IS 'A condition sensor on an asset or in a zone, from when to when.';
COMMENT ON COLUMN tallyman.sensor.device IS 'Key, with valid_from: the device as the configuration names it.';
COMMENT ON COLUMN tallyman.sensor.asset IS 'asset.id; this or zone.';
COMMENT ON COLUMN tallyman.sensor.zone IS 'zone.name; this or asset.';
COMMENT ON COLUMN tallyman.sensor.valid_from IS '-infinity: since ever.';
COMMENT ON COLUMN tallyman.sensor.valid_to IS 'The first moment at which it no longer holds; infinity: it holds.';

CREATE TABLE tallyman.maintenance (
    name      text PRIMARY KEY CHECK (name <> ''),
    of_kind   text NOT NULL CHECK (of_kind IN ('source', 'read-point', 'zone', 'site')),
    of_name   text NOT NULL,
    starts_at timestamptz NOT NULL CHECK (isfinite(starts_at)),
    ends_at   timestamptz NOT NULL CHECK (isfinite(ends_at)),
    reason    text,
    CHECK (ends_at > starts_at)
);
COMMENT ON TABLE tallyman.maintenance IS 'Planned work: while it lasts, what it concerns is not expected to hear, and nobody is told that it does not.';
COMMENT ON COLUMN tallyman.maintenance.name IS 'Key.';
COMMENT ON COLUMN tallyman.maintenance.of_kind IS 'What it concerns: source (a reader, a broker, a Modbus device), read-point, zone or site.';
COMMENT ON COLUMN tallyman.maintenance.of_name IS 'The name of that.';
COMMENT ON COLUMN tallyman.maintenance.starts_at IS 'From when.';
COMMENT ON COLUMN tallyman.maintenance.ends_at IS 'The first moment at which it is over.';
COMMENT ON COLUMN tallyman.maintenance.reason IS 'In words.';

-- ---- Who owns it, who follows it -------------------------------------------------------------------

CREATE TABLE tallyman.register_owner (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    owner text NOT NULL DEFAULT 'journal' CHECK (owner IN ('journal', 'database')),
    id    uuid NOT NULL DEFAULT gen_random_uuid(),
    node  text,
    epoch uuid,
    since timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tallyman.register_owner IS 'One row: to whom the register belongs.';
COMMENT ON COLUMN tallyman.register_owner.one IS 'There is one row.';
COMMENT ON COLUMN tallyman.register_owner.owner IS 'journal: the tables mirror the journal of the daemon. database: the tables are the register.';
COMMENT ON COLUMN tallyman.register_owner.id IS 'Names this register; a daemon follows only the one that it took up or was told to adopt.';
COMMENT ON COLUMN tallyman.register_owner.node IS 'The node that mirrors, or from whose journal the tables were first filled. Null: nobody yet.';
COMMENT ON COLUMN tallyman.register_owner.epoch IS 'Of that node''s journal.';
COMMENT ON COLUMN tallyman.register_owner.since IS 'Since when it is so.';
INSERT INTO tallyman.register_owner DEFAULT VALUES;

CREATE TABLE tallyman.register_change (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    table_name text NOT NULL,
    key        text NOT NULL,
    record     jsonb,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tallyman.register_change IS 'Every change of a register table that belongs to the database, written by triggers. Daemons follow it; kept for 90 days.';
COMMENT ON COLUMN tallyman.register_change.seq IS 'Of two changes of one row the later one has the greater number. Over several rows it says nothing of the order of commits.';
COMMENT ON COLUMN tallyman.register_change.xid IS 'The transaction. A follower remembers which transactions it has seen by snapshot, so one that commits late is not passed over.';
COMMENT ON COLUMN tallyman.register_change.table_name IS 'site, zone, class, person, asset, tag, tracker, sensor or maintenance.';
COMMENT ON COLUMN tallyman.register_change.key IS 'The row''s key; of an attachment with a beginning, key@beginning.';
COMMENT ON COLUMN tallyman.register_change.record IS 'The row afterwards, as the API writes a record. Null: it was deleted.';
COMMENT ON COLUMN tallyman.register_change.changed_by IS 'The database user, or who asked the API.';
COMMENT ON COLUMN tallyman.register_change.changed_at IS 'When the transaction began.';
CREATE INDEX register_change_xid ON tallyman.register_change (xid);
CREATE INDEX register_change_of ON tallyman.register_change (table_name, key, seq);

CREATE TABLE tallyman.register_problem (
    node       text NOT NULL,
    table_name text NOT NULL,
    key        text NOT NULL,
    reason     text NOT NULL,
    record     jsonb,
    changed_by text NOT NULL,
    since      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node, table_name, key)
);
COMMENT ON TABLE tallyman.register_problem IS 'Rows of the register that a node could not take up, and why. Tried again when something changes; gone when they fit.';
COMMENT ON COLUMN tallyman.register_problem.node IS 'The node.';
COMMENT ON COLUMN tallyman.register_problem.table_name IS 'site, zone, class, person, asset, tag, tracker, sensor or maintenance.';
COMMENT ON COLUMN tallyman.register_problem.key IS 'The row''s key.';
COMMENT ON COLUMN tallyman.register_problem.reason IS 'What is wrong, and what would be right.';
COMMENT ON COLUMN tallyman.register_problem.record IS 'The row that does not fit. Null: its deletion does not.';
COMMENT ON COLUMN tallyman.register_problem.changed_by IS 'Who wrote it.';
COMMENT ON COLUMN tallyman.register_problem.since IS 'When it was first tried.';

CREATE TABLE tallyman.register_follower (
    node       text PRIMARY KEY,
    register   uuid NOT NULL,
    seen       pg_snapshot NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tallyman.register_follower IS 'How far each node has followed the register; the nodes'' own journals decide.';
COMMENT ON COLUMN tallyman.register_follower.node IS 'The node.';
COMMENT ON COLUMN tallyman.register_follower.register IS 'register_owner.id that it follows.';
COMMENT ON COLUMN tallyman.register_follower.seen IS 'Every transaction visible in this snapshot has been taken up.';
COMMENT ON COLUMN tallyman.register_follower.seen_at IS 'When it last took something up.';

CREATE TABLE tallyman.register_adoption (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node     text NOT NULL,
    source   text NOT NULL CHECK (source IN ('db', 'journal')),
    asked_by text NOT NULL DEFAULT session_user,
    asked_at timestamptz NOT NULL DEFAULT now(),
    done_at  timestamptz
);
COMMENT ON TABLE tallyman.register_adoption IS 'What `tallyman register adopt` asked for: which of two registers that differ is to hold.';
COMMENT ON COLUMN tallyman.register_adoption.id IS 'Counts them.';
COMMENT ON COLUMN tallyman.register_adoption.node IS 'The node that is to do it.';
COMMENT ON COLUMN tallyman.register_adoption.source IS 'db: the node''s register becomes these tables. journal: these tables become the node''s register.';
COMMENT ON COLUMN tallyman.register_adoption.asked_by IS 'Who asked.';
COMMENT ON COLUMN tallyman.register_adoption.asked_at IS 'When.';
COMMENT ON COLUMN tallyman.register_adoption.done_at IS 'When the node had done it.';

-- ---- Rows as records, in the form in which the API and the journal write them ----------------------------

CREATE FUNCTION tallyman.rfc3339(t timestamptz) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN isfinite(t) THEN
    to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
      || rtrim(rtrim('.' || to_char(t AT TIME ZONE 'UTC', 'US'), '0'), '.') || 'Z' END $$;
COMMENT ON FUNCTION tallyman.rfc3339 IS 'A time as records write it; null for an infinite one.';

CREATE FUNCTION tallyman.as_record(r tallyman.site) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('table', 'site', 'name', r.name, 'timezone', r.timezone,
    'calendar', nullif(jsonb_strip_nulls(jsonb_build_object('working_hours', r.working_hours,
      'holidays', CASE WHEN cardinality(r.holidays) > 0 THEN to_jsonb(r.holidays) END)), '{}'))) $$;

CREATE FUNCTION tallyman.as_record(r tallyman.zone) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('table', 'zone', 'name', r.name, 'site', r.site, 'coverage', r.coverage) $$;

CREATE FUNCTION tallyman.as_record(r tallyman.asset_class) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('table', 'class', 'name', r.name, 'criticality', r.criticality,
    'ghost_after', extract(epoch FROM r.ghost_after),
    'ghost_after_in_maintenance', extract(epoch FROM r.ghost_after_in_maintenance),
    'overdue_grace', extract(epoch FROM r.overdue_grace),
    'tracker_silent_after', extract(epoch FROM r.tracker_silent_after),
    'low_battery_percent', r.low_battery_percent,
    'idle_after', extract(epoch FROM r.idle_after),
    'utilisation', CASE r.utilisation WHEN 'sensor' THEN jsonb_build_object('sensor', r.utilisation_point)
      ELSE to_jsonb(r.utilisation) END,
    'inspect_every', extract(epoch FROM r.inspect_every),
    'inspect_on_return', r.inspect_on_return, 'returns', r.returns, 'handover', r.handover,
    'needs_checkout', r.needs_checkout, 'allowed_zones', to_jsonb(r.allowed_zones),
    'needs', to_jsonb(r.needs), 'audit_every', extract(epoch FROM r.audit_every))) $$;

CREATE FUNCTION tallyman.as_record(r tallyman.person) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('table', 'person', 'id', r.id, 'name', r.name,
    'team', r.team, 'site', r.site)) $$;

CREATE FUNCTION tallyman.as_record(r tallyman.asset) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('table', 'asset', 'id', r.id, 'class', r.class, 'name', r.name,
    'home_zone', r.home_zone, 'lifecycle', r.lifecycle, 'part_of', r.part_of, 'number', r.number,
    'owner', r.owner, 'cost_centre', r.cost_centre, 'acquired_on', r.acquired_on,
    'warranty_until', r.warranty_until, 'retired_on', r.retired_on,
    'attributes', (SELECT jsonb_object_agg(key, value #>> '{}') FROM jsonb_each(r.attributes)
      WHERE jsonb_typeof(value) <> 'null'))) $$;

CREATE FUNCTION tallyman.as_record(r tallyman.tag) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('table', 'tag', 'epc', r.epc, 'asset', r.asset,
    'person', r.person, 'from', tallyman.rfc3339(r.valid_from), 'to', tallyman.rfc3339(r.valid_to))) $$;

CREATE FUNCTION tallyman.as_record(r tallyman.tracker) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('table', 'tracker', 'device', r.device, 'asset', r.asset,
    'from', tallyman.rfc3339(r.valid_from), 'to', tallyman.rfc3339(r.valid_to))) $$;

CREATE FUNCTION tallyman.as_record(r tallyman.sensor) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('table', 'sensor', 'device', r.device, 'asset', r.asset,
    'zone', r.zone, 'from', tallyman.rfc3339(r.valid_from), 'to', tallyman.rfc3339(r.valid_to))) $$;

CREATE FUNCTION tallyman.as_record(r tallyman.maintenance) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('table', 'maintenance', 'name', r.name,
    'of', jsonb_build_object(r.of_kind, r.of_name), 'from', tallyman.rfc3339(r.starts_at),
    'to', tallyman.rfc3339(r.ends_at), 'reason', r.reason)) $$;

CREATE FUNCTION tallyman.record_key(record jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN record ->> 'table' IN ('asset', 'person') THEN record ->> 'id'
    WHEN record ->> 'table' IN ('tag', 'tracker', 'sensor')
      THEN coalesce(record ->> 'epc', record ->> 'device') || coalesce('@' || (record ->> 'from'), '')
    ELSE record ->> 'name' END $$;
COMMENT ON FUNCTION tallyman.record_key IS 'The key of a record within its table.';

-- Every row, as a record, of every table.
CREATE VIEW tallyman.register_record AS
          SELECT 'site' AS table_name, name AS key, tallyman.as_record(r) AS record, declared_by FROM tallyman.site r
UNION ALL SELECT 'zone', name, tallyman.as_record(r), declared_by FROM tallyman.zone r
UNION ALL SELECT 'class', name, tallyman.as_record(r), declared_by FROM tallyman.asset_class r
UNION ALL SELECT 'person', id, tallyman.as_record(r), NULL FROM tallyman.person r
UNION ALL SELECT 'asset', id, tallyman.as_record(r), NULL FROM tallyman.asset r
UNION ALL SELECT 'tag', tallyman.record_key(tallyman.as_record(r)), tallyman.as_record(r), NULL FROM tallyman.tag r
UNION ALL SELECT 'tracker', tallyman.record_key(tallyman.as_record(r)), tallyman.as_record(r), NULL FROM tallyman.tracker r
UNION ALL SELECT 'sensor', tallyman.record_key(tallyman.as_record(r)), tallyman.as_record(r), NULL FROM tallyman.sensor r
UNION ALL SELECT 'maintenance', name, tallyman.as_record(r), NULL FROM tallyman.maintenance r;
COMMENT ON VIEW tallyman.register_record IS 'Every row of the register, as the API writes a record.';

-- ---- Changes -------------------------------------------------------------------------------------

-- `tallyman.writer` is set by a daemon for its own transactions: `mirror` for what needs no follower,
-- `edit` for what somebody asked of its API, with `tallyman.by` for who.
CREATE FUNCTION tallyman.register_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  writer text := coalesce(current_setting('tallyman.writer', true), '');
  holder tallyman.register_owner;
  declared text;
BEGIN
  IF writer = 'mirror' THEN
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
  END IF;
  SELECT * INTO holder FROM tallyman.register_owner;
  IF holder.owner = 'journal' AND holder.node IS NOT NULL THEN
    RAISE EXCEPTION 'the register belongs to the journal of node %, and this table only mirrors it', holder.node
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Change it with tallyman import or the API; or set register = "database" in [store.timescale].';
  END IF;
  IF TG_OP <> 'INSERT' THEN declared := to_jsonb(OLD) ->> 'declared_by'; END IF;
  IF TG_OP <> 'DELETE' THEN declared := coalesce(declared, to_jsonb(NEW) ->> 'declared_by'); END IF;
  IF declared IS NOT NULL THEN
    RAISE EXCEPTION 'the configuration file of node % declares this %', declared, TG_TABLE_NAME
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Change it there; leave declared_by null.';
  END IF;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION tallyman.register_log() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  who text := coalesce(nullif(current_setting('tallyman.by', true), ''), session_user);
  before jsonb;
  after jsonb;
BEGIN
  IF coalesce(current_setting('tallyman.writer', true), '') = 'mirror' THEN RETURN NULL; END IF;
  IF TG_OP <> 'INSERT' THEN before := tallyman.as_record(OLD); END IF;
  IF TG_OP <> 'DELETE' THEN after := tallyman.as_record(NEW); END IF;
  IF before IS NOT NULL AND (after IS NULL OR tallyman.record_key(before) <> tallyman.record_key(after)) THEN
    INSERT INTO tallyman.register_change (table_name, key, changed_by)
      VALUES (before ->> 'table', tallyman.record_key(before), who);
  END IF;
  IF after IS NOT NULL AND after IS DISTINCT FROM before THEN
    INSERT INTO tallyman.register_change (table_name, key, record, changed_by)
      VALUES (after ->> 'table', tallyman.record_key(after), after, who);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION tallyman.register_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    RAISE EXCEPTION 'TRUNCATE names no rows, so nobody could follow it' USING HINT = 'Say DELETE.';
  END IF;
  PERFORM pg_notify('tallyman_register', '');
  RETURN NULL;
END $$;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['site', 'zone', 'asset_class', 'person', 'asset', 'tag', 'tracker', 'sensor', 'maintenance'] LOOP
    EXECUTE format('CREATE TRIGGER register_guard BEFORE INSERT OR UPDATE OR DELETE ON tallyman.%I
      FOR EACH ROW EXECUTE FUNCTION tallyman.register_guard()', name);
    EXECUTE format('CREATE TRIGGER register_log AFTER INSERT OR UPDATE OR DELETE ON tallyman.%I
      FOR EACH ROW EXECUTE FUNCTION tallyman.register_log()', name);
    EXECUTE format('CREATE TRIGGER register_notify AFTER INSERT OR UPDATE OR DELETE ON tallyman.%I
      FOR EACH STATEMENT EXECUTE FUNCTION tallyman.register_notify()', name);
    EXECUTE format('CREATE TRIGGER register_truncate BEFORE TRUNCATE ON tallyman.%I
      FOR EACH STATEMENT EXECUTE FUNCTION tallyman.register_notify()', name);
  END LOOP;
END $$;
CREATE TRIGGER register_notify AFTER INSERT ON tallyman.register_adoption
  FOR EACH STATEMENT EXECUTE FUNCTION tallyman.register_notify();
