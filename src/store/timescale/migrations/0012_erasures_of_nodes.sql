-- What is noted of somebody who is being erased goes also where the journal that asked for it does not know of it any
-- more (it was put back from a copy, or set aside): each node looks for its own.

ALTER TABLE tallyman.erasure ADD COLUMN node text;
COMMENT ON COLUMN tallyman.erasure.node IS 'Whose journal asked for it. Null: not known; it was noted by an earlier version.';

-- Raw reads are told apart by what tags are on, and nothing asks for badges alone any more.
DROP INDEX tallyman.tag_of_person;
