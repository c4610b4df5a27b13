-- What names people by their badges is kept for a shorter time than the rest, and is found by this.

CREATE INDEX location_event_people ON tallyman.location_event (observed_at)
  WHERE (kind = 'proposal' OR subject LIKE 'person:%');
