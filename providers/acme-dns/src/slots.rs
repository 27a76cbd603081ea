//! The two values of an account, which roll: each write takes the place of the older one.
//!
//! So a write that is repeated because its answer was lost would push the other value out. What
//! this process has written is remembered, and the other value is then written again.

use dns01_provider::TxtValue;

/// What is known of the two values of one account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    /// The values that were added last, the last one at the end; at most two.
    added: Vec<TxtValue>,
    /// The one that was written last; `None` while a write may have happened unheard of.
    newest: Option<TxtValue>,
}

impl Slots {
    /// What to write, in this order, so that `value` and the other value added last stand there.
    pub(crate) fn writes(&self, value: &TxtValue) -> Vec<TxtValue> {
        let other = self.added.iter().rev().find(|added| *added != value);
        // The write takes the place of what is not the newest.
        let lost = other.filter(|other| self.newest.as_ref() != Some(other)).cloned();
        std::iter::once(value.clone()).chain(lost).collect()
    }

    /// A write is about to be sent.
    pub(crate) fn begin(&mut self) {
        self.newest = None;
    }

    /// All of [`Self::writes`] were confirmed.
    pub(crate) fn confirm(&mut self, value: &TxtValue, writes: &[TxtValue]) {
        self.newest = writes.last().cloned();
        self.added.retain(|added| added != value);
        self.added.push(value.clone());
        let surplus = self.added.len().saturating_sub(2);
        self.added.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a write meets.
    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Answered,
        LostAfterwards,
        LostBefore,
    }

    /// The server's two values, the older one first.
    struct Server([Option<TxtValue>; 2]);

    impl Server {
        /// True if the client hears of it.
        fn write(&mut self, value: &TxtValue, fate: Fate) -> bool {
            if !matches!(fate, Fate::LostBefore) {
                self.0.swap(0, 1);
                self.0[1] = Some(value.clone());
            }
            matches!(fate, Fate::Answered)
        }
    }

    fn add(slots: &mut Slots, server: &mut Server, value: &TxtValue, fates: &mut Vec<Fate>) -> bool {
        let writes = slots.writes(value);
        slots.begin();
        let all = writes.iter().all(|one| server.write(one, fates.pop().unwrap_or(Fate::Answered)));
        if all {
            slots.confirm(value, &writes);
        }
        all
    }

    proptest! {
        #[test]
        fn an_add_that_succeeds_leaves_its_value_and_the_last_other_one(
            steps in proptest::collection::vec((0_u8..4, 0_usize..4, prop_oneof![
                3 => Just(Fate::Answered), 1 => Just(Fate::LostAfterwards), 1 => Just(Fate::LostBefore)
            ]), 1..30)
        ) {
            let (mut slots, mut server) = (Slots::default(), Server([None, None]));
            let mut last: Vec<TxtValue> = Vec::new();
            for (number, losses, fate) in steps {
                let value = TxtValue::parse(&format!("v{number}")).unwrap();
                let mut fates = vec![fate; losses];
                // The caller gives up, or repeats until it succeeds.
                let done = (0..5).any(|_| add(&mut slots, &mut server, &value, &mut fates));
                if !done {
                    continue;
                }
                let other = last.iter().rev().find(|one| **one != value).cloned();
                for wanted in std::iter::once(&value).chain(&other) {
                    prop_assert!(server.0.iter().flatten().any(|one| one == wanted), "{wanted} is gone");
                }
                last.push(value);
            }
        }
    }
}
