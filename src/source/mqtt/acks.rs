//! The order in which acknowledgements leave: the order in which messages came, on the connection
//! they came on (MQTT 3.1.1, section 4.6). Pure.
//!
//! Nothing here is found by packet id: a broker under backlog gives the same id out again while the
//! first message of that id is still under way.

use std::collections::VecDeque;

use crate::domain::frames::AckToken;

/// The messages of one connection that are not acknowledged yet, oldest first.
#[derive(Debug, Default)]
pub struct AckOrder {
    generation: u64,
    /// Ordinal of the oldest message in the window.
    oldest: u64,
    window: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    due: Due,
    committed: bool,
}

/// One acknowledgement that may leave now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    pub packet_id: u16,
    /// QoS 2: PUBREC instead of PUBACK.
    pub exactly_once: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Committed {
    Noted,
    /// Of an older connection, or acknowledged before: nothing may be sent for it.
    Stale,
}

impl AckOrder {
    /// A message came.
    pub fn received(&mut self, due: Due) -> AckToken {
        let ordinal = self.oldest + self.window.len() as u64;
        self.window.push_back(Waiting { due, committed: false });
        AckToken { generation: self.generation, ordinal, packet_id: due.packet_id, bytes: 0 }
    }

    /// The message behind this token is durable.
    pub fn committed(&mut self, token: AckToken) -> Committed {
        if token.generation != self.generation {
            return Committed::Stale;
        }
        let place = token.ordinal.checked_sub(self.oldest).and_then(|place| usize::try_from(place).ok());
        match place.and_then(|place| self.window.get_mut(place)) {
            Some(waiting) if !waiting.committed => {
                waiting.committed = true;
                Committed::Noted
            }
            Some(_) | None => Committed::Stale,
        }
    }

    /// The next acknowledgement in receive order, if its message is durable.
    pub fn next_due(&mut self) -> Option<Due> {
        let waiting = self.window.pop_front_if(|waiting| waiting.committed)?;
        self.oldest += 1;
        Some(waiting.due)
    }

    /// Messages that are not acknowledged yet.
    pub fn outstanding(&self) -> usize {
        self.window.len()
    }

    /// A new connection: the broker delivers again what was not acknowledged on the last one.
    pub fn reconnected(&mut self) {
        self.generation += 1;
        self.oldest = 0;
        self.window.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(packet_id: u16) -> Due {
        Due { packet_id, exactly_once: false }
    }

    fn due(order: &mut AckOrder) -> Vec<u16> {
        std::iter::from_fn(|| order.next_due()).map(|due| due.packet_id).collect()
    }

    #[test]
    fn an_ack_waits_for_those_received_before_it() {
        let mut order = AckOrder::default();
        let tokens: Vec<_> = [5, 6, 7].map(|id| order.received(message(id))).into();
        order.committed(tokens[2]);
        order.committed(tokens[1]);
        assert_eq!(due(&mut order), [] as [u16; 0]);
        order.committed(tokens[0]);
        assert_eq!(due(&mut order), [5, 6, 7]);
        assert_eq!(order.outstanding(), 0);
    }

    #[test]
    fn an_id_given_out_twice_is_two_messages() {
        let mut order = AckOrder::default();
        let (first, second) = (order.received(message(9)), order.received(message(9)));
        order.committed(second);
        assert_eq!(due(&mut order), [] as [u16; 0]);
        order.committed(first);
        assert_eq!(due(&mut order), [9, 9]);
    }

    #[test]
    fn tokens_of_an_older_connection_are_stale() {
        let mut order = AckOrder::default();
        let old = order.received(message(1));
        order.reconnected();
        let new = order.received(message(1));
        assert_eq!(order.committed(old), Committed::Stale);
        assert_eq!(due(&mut order), [] as [u16; 0]);
        assert_eq!(order.committed(new), Committed::Noted);
        assert_eq!(order.committed(new), Committed::Stale);
        assert_eq!(due(&mut order), [1]);
        assert_eq!(order.committed(new), Committed::Stale);
    }

    #[test]
    fn a_token_never_given_out_is_stale() {
        let mut order = AckOrder::default();
        let invented = AckToken { generation: 0, ordinal: 3, packet_id: 1, bytes: 0 };
        assert_eq!(order.committed(invented), Committed::Stale);
    }

    proptest! {
        /// Whatever the order of commits, what has left is a prefix of what came.
        #[test]
        fn acks_leave_as_a_prefix(ids in proptest::collection::vec(1u16..20, 1..60), commits in proptest::collection::vec(any::<proptest::sample::Index>(), 0..200)) {
            let mut order = AckOrder::default();
            let tokens: Vec<_> = ids.iter().map(|id| order.received(message(*id))).collect();
            let mut committed = vec![false; ids.len()];
            let mut left = Vec::new();
            for commit in commits {
                let place = commit.index(ids.len());
                let noted = order.committed(tokens[place]);
                prop_assert_eq!(noted == Committed::Noted, !committed[place]);
                committed[place] = true;
                left.extend(due(&mut order));
                let prefix = committed.iter().take_while(|done| **done).count();
                prop_assert_eq!(&left[..], &ids[..prefix]);
                prop_assert_eq!(order.outstanding(), ids.len() - prefix);
            }
        }
    }
}
