-- Badges are few among the tags, and are asked for by themselves: raw reads of them are kept for a shorter time.

CREATE INDEX tag_of_person ON tallyman.tag (epc) WHERE person IS NOT NULL;
