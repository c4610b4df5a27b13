-- What fixes tell of the vehicle itself. Columns of their own from here on; earlier rows have them in their body.

ALTER TABLE tallyman.fix ADD COLUMN odometer_m double precision, ADD COLUMN ignition boolean;
COMMENT ON COLUMN tallyman.fix.odometer_m IS 'What the odometer shows, metres. NULL: not told.';
COMMENT ON COLUMN tallyman.fix.ignition IS 'Whether the engine is on. NULL: not told.';
