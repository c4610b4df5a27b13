-- Where somebody set out and came to rest is kept as long as their positions are, and is found by this.

CREATE INDEX location_event_motion ON tallyman.location_event (observed_at) WHERE (kind = 'motion');
