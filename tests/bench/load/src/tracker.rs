// SPDX-License-Identifier: Apache-2.0
//! Order, gaps and duplicates of a numbered stream that may arrive out of order.

use std::collections::{BTreeMap, HashSet};

/// What an arriving number turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The next expected number, or one beyond a gap.
    Ahead,
    /// A number that others overtook.
    Late,
    Duplicate,
}

/// One stream of sequence numbers.
pub struct Sequence {
    /// Numbers below were not expected: reading began in the middle.
    base: u64,
    next: u64,
    /// Gaps below `next`: first missing number to the first one after it.
    gaps: BTreeMap<u64, u64>,
    /// Numbers below `base` that came nevertheless.
    early: HashSet<u64>,
}

impl Sequence {
    /// Expects the stream to begin at `base`.
    pub fn new(base: u64) -> Self {
        Self { base, next: base, gaps: BTreeMap::new(), early: HashSet::new() }
    }

    pub fn arrive(&mut self, seq: u64) -> Arrival {
        if seq >= self.next {
            if seq > self.next {
                self.gaps.insert(self.next, seq);
            }
            self.next = seq + 1;
            return Arrival::Ahead;
        }
        if seq < self.base {
            return if self.early.insert(seq) { Arrival::Late } else { Arrival::Duplicate };
        }
        match self.gaps.range(..=seq).next_back() {
            Some((&from, &to)) if seq < to => {
                self.gaps.remove(&from);
                if from < seq {
                    self.gaps.insert(from, seq);
                }
                if seq + 1 < to {
                    self.gaps.insert(seq + 1, to);
                }
                Arrival::Late
            }
            _ => Arrival::Duplicate,
        }
    }

    /// How many numbers below the highest one did not come.
    pub fn missing(&self) -> u64 {
        self.gaps.iter().map(|(from, to)| to - from).sum()
    }

    /// Whether `seq` was expected (below `end`, the sender's count) and did not come.
    pub fn lacks(&self, seq: u64) -> bool {
        seq >= self.next || self.gaps.range(..=seq).next_back().is_some_and(|(_, &to)| seq < to)
    }

    /// How many of the numbers `base .. end` did not come.
    pub fn missing_until(&self, end: u64) -> u64 {
        self.missing() + end.saturating_sub(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrival::*, Sequence};

    #[test]
    fn gaps_close() {
        let mut s = Sequence::new(0);
        let arrivals: Vec<_> = [0, 1, 5, 3, 3, 2, 5, 4, 4].map(|n| s.arrive(n)).into();
        assert_eq!(
            arrivals,
            [Ahead, Ahead, Ahead, Late, Duplicate, Late, Duplicate, Late, Duplicate]
        );
        assert_eq!(s.missing(), 0);
        s.arrive(10);
        assert_eq!((s.missing(), s.missing_until(12)), (4, 5));
        assert!(s.lacks(9) && s.lacks(11) && !s.lacks(5) && !s.lacks(10));
    }

    #[test]
    fn joined_in_the_middle() {
        let mut s = Sequence::new(7);
        assert_eq!([7, 6, 6, 8].map(|n| s.arrive(n)), [Ahead, Late, Duplicate, Ahead]);
        assert_eq!(s.missing(), 0);
    }
}
