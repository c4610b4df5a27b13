-- Of a letter that is not kept whole: how long its payload was, and the SHA-256 of all of it. NULL: it is whole.
ALTER TABLE dead_letter ADD COLUMN full_bytes INTEGER;
ALTER TABLE dead_letter ADD COLUMN sha256 BLOB;
