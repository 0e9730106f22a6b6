//! What to do with the next entry of the log that is heard.

use crate::mud::Position;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the next one.
    Take,
    /// Nothing: it is old.
    Ignore,
    /// Something is missing before it: ask for everything.
    CatchUp,
}

/// The step for an entry, when all up to a place is here as far as `complete` says. A new epoch is begun by another
/// writer, who may have had more or less of the one before than we do.
pub(super) fn step(complete: bool, last: Position, next: Position) -> Step {
    if next <= last {
        Step::Ignore
    } else if complete && next == last.next() {
        Step::Take
    } else {
        Step::CatchUp
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(epoch: u64, seq: u64) -> Position {
        Position { epoch, seq }
    }

    #[test]
    fn only_the_next_entry_of_a_complete_log_is_taken() {
        let cases = [
            (true, at(7, 4), Step::Take),
            (false, at(7, 4), Step::CatchUp),
            (true, at(7, 5), Step::CatchUp),
            (true, at(8, 1), Step::CatchUp),
            (true, at(7, 3), Step::Ignore),
            (false, at(7, 2), Step::Ignore),
            (true, at(6, 9), Step::Ignore),
        ];
        for (complete, next, expected) in cases {
            assert_eq!(step(complete, at(7, 3), next), expected, "{complete} {next:?}");
        }
    }

    /// A log that one process writes and another follows over a bus that loses messages.
    struct World {
        written: Vec<Position>,
        taken: Vec<Position>,
        complete: bool,
    }

    impl World {
        fn last(&self) -> Position {
            self.taken.last().copied().unwrap_or_default()
        }

        fn catch_up(&mut self) {
            let last = self.last();
            self.taken.extend(self.written.iter().filter(|position| **position > last));
            self.complete = true;
        }

        fn hear(&mut self, next: Position) {
            match step(self.complete, self.last(), next) {
                Step::Take => self.taken.push(next),
                Step::CatchUp => self.catch_up(),
                Step::Ignore => {}
            }
        }
    }

    proptest! {
        /// Whatever is lost, told twice or late, and whoever writes: what is taken is what was written, in order, and
        /// after one more entry that arrives nothing is missing.
        #[test]
        fn nothing_is_missed_for_long_and_nothing_taken_twice(
            fates in proptest::collection::vec((0u8..4, any::<bool>()), 1..80),
        ) {
            let mut world = World { written: Vec::new(), taken: Vec::new(), complete: false };
            let mut late = Vec::new();
            let mut next = at(1, 1);
            for (fate, another) in fates {
                if another && fate == 0 {
                    next = at(next.epoch + 1, 1);
                }
                world.written.push(next);
                match fate {
                    0 => {}
                    1 => late.push(next),
                    2 => { world.hear(next); world.hear(next); }
                    _ => {
                        world.hear(next);
                        for old in late.drain(..) { world.hear(old); }
                    }
                }
                next = next.next();
            }
            world.written.push(next);
            world.hear(next);
            prop_assert_eq!(world.taken, world.written);
        }
    }
}
