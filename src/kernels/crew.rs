//! The threads of one of several decoders that work side by side.
//!
//! Decoders with a batch each need no barriers among them, as long as there is enough for all.
//! When only one has work, it may have everybody's processors: [`Crew::gather`].

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::team::Team;

/// A team of its own, and one of all threads that is shared with the crews beside it.
pub struct Crew {
    own: Team,
    all: Option<Arc<Mutex<Team>>>,
    gathered: bool,
}

impl Crew {
    /// All of `threads`, with nobody beside it.
    pub fn new(threads: usize) -> Self {
        Self { own: Team::new(threads), all: None, gathered: false }
    }

    /// `threads` shared out to `crews`, as evenly as they go.
    pub fn side_by_side(threads: usize, crews: usize) -> Vec<Self> {
        if crews <= 1 {
            return vec![Self::new(threads)];
        }
        let all = Arc::new(Mutex::new(Team::new(threads)));
        let own = |i: usize| (i + 1) * threads / crews - i * threads / crews;
        let crew =
            |i| Self { own: Team::new(own(i)), all: Some(Arc::clone(&all)), gathered: false };
        (0..crews).map(crew).collect()
    }

    /// Whether the others rest, so that their processors can be used too. When they do not, no harm is
    /// done but to the speed.
    pub fn gather(&mut self, others_rest: bool) {
        self.gathered = others_rest;
    }

    /// The threads for the next piece of work.
    pub fn team(&mut self) -> Gathered<'_> {
        let all = self.all.as_ref().filter(|_| self.gathered);
        match all.map(|all| all.try_lock()) {
            Some(Ok(team)) => Gathered::All(team),
            // A piece panicked, and the panic was passed on: the team itself is whole.
            Some(Err(TryLockError::Poisoned(e))) => Gathered::All(PoisonError::into_inner(e)),
            // Another crew has only just begun to rest.
            Some(Err(TryLockError::WouldBlock)) | None => Gathered::Own(&mut self.own),
        }
    }
}

/// A crew's own threads, or all.
pub enum Gathered<'a> {
    Own(&'a mut Team),
    All(MutexGuard<'a, Team>),
}

impl Deref for Gathered<'_> {
    type Target = Team;
    fn deref(&self) -> &Team {
        match self {
            Self::Own(team) => team,
            Self::All(team) => team,
        }
    }
}

impl DerefMut for Gathered<'_> {
    fn deref_mut(&mut self) -> &mut Team {
        match self {
            Self::Own(team) => team,
            Self::All(team) => team,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_shared_out_and_gathered() {
        let sizes = |threads, crews| -> Vec<usize> {
            let mut crews = Crew::side_by_side(threads, crews);
            crews.iter_mut().map(|c| c.team().threads()).collect()
        };
        assert_eq!(sizes(3, 1), [3]);
        assert_eq!(sizes(2, 2), [1, 1]);
        assert_eq!(sizes(5, 2), [2, 3]);

        let mut crews = Crew::side_by_side(3, 2);
        let (first, rest) = crews.split_at_mut(1);
        first[0].gather(true);
        rest[0].gather(true);
        let all = first[0].team();
        assert_eq!(all.threads(), 3);
        // Taken: nobody waits.
        assert_eq!(rest[0].team().threads(), 2);
        drop(all);
        assert_eq!(rest[0].team().threads(), 3);
        rest[0].gather(false);
        assert_eq!(rest[0].team().threads(), 2);
    }
}
