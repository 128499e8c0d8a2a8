//! The work of the training kernels, spread over the threads of the process.
//!
//! A training step is some hundred short phases with little between them. The threads of a
//! work-stealing pool go to sleep in each gap and are woken again, thousands of times a step,
//! which is slow where processors are virtual. A [`Team`] waits in a short spin instead. There is
//! one for the process; whoever finds it taken (a kernel called from inside another, tests side
//! by side) does the work alone. Results never depend on which of the two
//! happened: the pieces are the same.

use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};

use super::team::Team;

/// How many threads share the work, at most.
pub fn threads() -> usize {
    team().0
}

/// The team and its size.
fn team() -> &'static (usize, Mutex<Team>) {
    static TEAM: OnceLock<(usize, Mutex<Team>)> = OnceLock::new();
    TEAM.get_or_init(|| {
        let team = Team::new(rayon::current_num_threads());
        (team.threads(), Mutex::new(team))
    })
}

fn with_team(alone: impl FnOnce(), shared: impl FnOnce(&mut Team)) {
    match team().1.try_lock() {
        Ok(mut team) => shared(&mut team),
        // A piece panicked, and the panic was passed on: the team itself is whole.
        Err(TryLockError::Poisoned(e)) => shared(&mut e.into_inner()),
        Err(TryLockError::WouldBlock) => alone(),
    }
}

/// Calls `f` once for each of `0..count`, on all threads.
pub fn each(count: usize, f: impl Fn(usize) + Sync) {
    if count < 2 {
        return (0..count).for_each(f);
    }
    with_team(
        || (0..count).for_each(&f),
        |team| team.run(usize::MAX, &|worker| worker.each(count, &f)),
    );
}

/// Calls `f` once with each item, on all threads. Items are pieces of some thousand values: each
/// costs a lock.
pub fn for_each<T: Send>(items: impl Iterator<Item = T>, f: impl Fn(T) + Sync) {
    map(items, f);
}

/// As [`for_each`], for kernels that want a workspace: `make` is called once a thread.
pub fn for_each_with<T: Send, W>(
    items: impl Iterator<Item = T>,
    make: impl Fn() -> W + Sync,
    f: impl Fn(&mut W, T) + Sync,
) {
    let items: Vec<Mutex<Option<T>>> = items.map(|t| Mutex::new(Some(t))).collect();
    let one = |work: &mut W, i: usize| {
        let item = locked(&items[i]).take();
        if let Some(item) = item {
            f(work, item);
        }
    };
    with_team(
        || {
            let mut work = make();
            (0..items.len()).for_each(|i| one(&mut work, i));
        },
        |team| {
            team.run(usize::MAX, &|worker| {
                let mut work = make();
                worker.each(items.len(), |i| one(&mut work, i));
            });
        },
    );
}

/// Results of `f` for each item, in their order.
pub fn map<T: Send, R: Send>(items: impl Iterator<Item = T>, f: impl Fn(T) -> R + Sync) -> Vec<R> {
    let items: Vec<Mutex<(Option<T>, Option<R>)>> =
        items.map(|t| Mutex::new((Some(t), None))).collect();
    each(items.len(), |i| {
        let item = locked(&items[i]).0.take();
        let result = item.map(&f);
        locked(&items[i]).1 = result;
    });
    let results =
        items.into_iter().map(|m| m.into_inner().unwrap_or_else(PoisonError::into_inner).1);
    results.flatten().collect()
}

fn locked<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_once_and_in_order() {
        for n in [0, 1, 2, 1000] {
            let mut values = vec![0u32; n];
            for_each(values.iter_mut().enumerate(), |(i, v)| *v += i as u32 + 1);
            assert!(values.iter().enumerate().all(|(i, v)| *v == i as u32 + 1));
            let squares = map(0..n, |i| i * i);
            assert_eq!(squares, (0..n).map(|i| i * i).collect::<Vec<_>>());
            for_each_with(values.iter_mut(), || 1u32, |one, v| *v -= *one);
            assert!(values.iter().enumerate().all(|(i, v)| *v == i as u32));
        }
    }

    #[test]
    fn a_kernel_inside_another_does_its_work_alone() {
        let sums = map(0..8usize, |i| map(0..100usize, |j| i * j).iter().sum::<usize>());
        assert_eq!(sums, (0..8).map(|i| i * 4950).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_is_passed_on() {
        let caught = std::panic::catch_unwind(|| each(10, |i| assert_ne!(i, 7, "boom")));
        assert!(caught.is_err());
        assert_eq!(map(0..3, |i| i + 1), [1, 2, 3]);
    }
}
