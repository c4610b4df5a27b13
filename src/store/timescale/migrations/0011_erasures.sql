-- What the tables say of a person is rewritten while they are erased: what was found of them before is kept here until
-- that is done, so that a restart in the middle, of the server or of a daemon, still knows whom to look for.

CREATE TABLE tallyman.erasure (
    label  text PRIMARY KEY,
    texts  text[] NOT NULL,
    badges text[] NOT NULL
);
COMMENT ON TABLE tallyman.erasure IS 'People who are being erased from these tables; a row goes, with the person''s own, when they are.';
COMMENT ON COLUMN tallyman.erasure.label IS 'What stands in their place.';
COMMENT ON COLUMN tallyman.erasure.texts IS 'Their number, their names, and whatever else they were called.';
COMMENT ON COLUMN tallyman.erasure.badges IS 'Codes of badges that were theirs alone.';
