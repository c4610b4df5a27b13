-- Who had an asset last is answered from its newest check-in, however much else happened to it.
CREATE INDEX event_checked_in ON event (subject, seq) WHERE kind = 'checked-in';
