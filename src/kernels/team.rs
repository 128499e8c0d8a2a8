//! A team of threads that walks through the phases of one step together.
//!
//! A step of decoding is some tens of short phases (a product, an attention, a norm), each 5 to
//! 500 µs, a step of training some hundreds of longer ones. A work-stealing pool pays several
//! microseconds for each fork and join, and where waking a processor is slow (virtual machines)
//! many more; here all threads run the whole step and meet at a barrier (a few hundred
//! nanoseconds). Work inside a phase is claimed piece by piece from a counter, so a thread that
//! the system has put aside delays a phase by one piece only. Waiting threads spin briefly, then
//! sleep: giving way by yielding instead costs a whole time slice wherever another process wants
//! the processor.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Multiply-adds below which a closure is not shared: about 50 µs of one thread, as much as its
/// barriers would cost.
const SHARE_MIN: usize = 1 << 20;
/// Spins before a waiting thread sleeps, about 100 µs.
const SPINS: u32 = 2_000;

/// On its own cache line, so that counters do not disturb each other.
#[repr(align(128))]
#[derive(Default)]
struct Padded(AtomicUsize);

/// A number that only rises, and threads that wait for it to do so.
#[derive(Default)]
struct Gate {
    value: Padded,
    sleepers: Padded,
    lock: Mutex<()>,
    bell: Condvar,
}

impl Gate {
    fn get(&self) -> usize {
        self.value.0.load(Ordering::Acquire)
    }

    /// Raises the number. What was written before is seen by those that waited.
    fn open(&self) {
        // Either this sees the sleeper, or the sleeper, which counts itself before it looks
        // again, sees the new number.
        self.value.0.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.0.load(Ordering::SeqCst) > 0 {
            let _held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.bell.notify_all();
        }
    }

    /// Returns the number once it is no longer `seen`.
    fn wait(&self, seen: usize) -> usize {
        for _ in 0..SPINS {
            let value = self.get();
            if value != seen {
                return value;
            }
            std::hint::spin_loop();
        }
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.0.fetch_add(1, Ordering::SeqCst);
        loop {
            let value = self.value.0.load(Ordering::SeqCst);
            if value != seen {
                self.sleepers.0.fetch_sub(1, Ordering::SeqCst);
                return value;
            }
            held = self.bell.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

type Job = *const (dyn Fn(&Worker<'_>) + Sync);

struct Shared {
    threads: usize,
    /// Opened for each job.
    start: Gate,
    /// Next piece of the running phase.
    next: Padded,
    arrived: Padded,
    /// Opened for each barrier.
    barrier: Gate,
    /// Opened by each worker that ends a job.
    done: Gate,
    stop: AtomicBool,
    /// A thread panicked: nobody may wait for it at a barrier.
    broken: AtomicBool,
    state: Mutex<State>,
}

struct State {
    job: Option<Job>,
    panic: Option<Box<dyn Any + Send>>,
}

// SAFETY: the job pointer is only followed between `run`'s start and its end, while the closure
// it points to is alive; the closure is `Sync`.
unsafe impl Send for Shared {}
// SAFETY: as above; all else is atomic or behind the mutex.
unsafe impl Sync for Shared {}

/// Threads that run one closure together. The calling thread is one of them.
pub struct Team {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

/// One thread's part in the running closure.
pub struct Worker<'a> {
    shared: &'a Shared,
    /// How many run the closure.
    threads: usize,
    /// 0 is the calling thread.
    pub id: usize,
}

impl Team {
    /// A team of `threads` (at least one). Fewer are used if the system gives no more.
    pub fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        let mut shared = Arc::new(Shared::new(threads));
        let mut handles = Vec::new();
        for id in 1..threads {
            let s = Arc::clone(&shared);
            let name = format!("team-{id}");
            match std::thread::Builder::new().name(name).spawn(move || s.work(id)) {
                Ok(h) => handles.push(h),
                Err(_) => break,
            }
        }
        if handles.len() + 1 != threads {
            // The barrier must count those that exist: end them and go on alone.
            shared.shut_down();
            handles.drain(..).for_each(|h| drop(h.join()));
            shared = Arc::new(Shared::new(1));
        }
        Self { shared, handles }
    }

    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Runs `f` once on every thread and returns when all have ended. A panic in one is
    /// passed on. `work` is the closure's number of multiply-adds, roughly: a little of it is
    /// done sooner by the calling thread alone.
    pub fn run(&mut self, work: usize, f: &(dyn Fn(&Worker<'_>) + Sync)) {
        let s = &*self.shared;
        if s.threads == 1 || work < SHARE_MIN {
            return f(&Worker { shared: s, threads: 1, id: 0 });
        }
        // SAFETY: only the lifetime is erased; no worker follows the pointer after `done` has
        // reached all of them, which this function waits for.
        let job: Job = unsafe {
            std::mem::transmute::<&(dyn Fn(&Worker<'_>) + Sync), Job>(
                f as &(dyn Fn(&Worker<'_>) + Sync),
            )
        };
        s.next.0.store(0, Ordering::Relaxed);
        let ended = s.done.get();
        s.lock().job = Some(job);
        s.start.open();
        s.perform(0, f);
        let mut done = s.done.get();
        while done != ended + s.threads - 1 {
            done = s.done.wait(done);
        }
        let mut state = s.lock();
        state.job = None;
        if s.broken.swap(false, Ordering::AcqRel) {
            s.arrived.0.store(0, Ordering::Release);
            let panic = state.panic.take();
            drop(state);
            resume_unwind(panic.unwrap_or_else(|| Box::new("a thread panicked")));
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.shut_down();
        self.handles.drain(..).for_each(|h| drop(h.join()));
    }
}

impl Shared {
    fn new(threads: usize) -> Self {
        Self {
            threads,
            start: Gate::default(),
            next: Padded::default(),
            arrived: Padded::default(),
            barrier: Gate::default(),
            done: Gate::default(),
            stop: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            state: Mutex::new(State { job: None, panic: None }),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shut_down(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.start.open();
    }

    /// The life of a worker thread.
    fn work(&self, id: usize) {
        let mut seen = 0;
        loop {
            seen = self.start.wait(seen);
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let job = self.lock().job;
            if let Some(job) = job {
                // SAFETY: `run` keeps the closure alive until `done` counts this thread.
                self.perform(id, unsafe { &*job });
            }
            self.done.open();
        }
    }

    fn check(&self) {
        assert!(!self.broken.load(Ordering::Acquire), "another thread panicked");
    }

    fn perform(&self, id: usize, f: &(dyn Fn(&Worker<'_>) + Sync)) {
        let worker = Worker { shared: self, threads: self.threads, id };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| f(&worker))) {
            let mut state = self.lock();
            // The first panic is the cause; those of threads that waited for it follow.
            if !self.broken.swap(true, Ordering::AcqRel) {
                state.panic = Some(panic);
            }
            drop(state);
            self.barrier.open();
        }
    }
}

impl Worker<'_> {
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Waits until every thread is here. What was written before is seen by all after.
    #[inline]
    pub fn sync(&self) {
        let s = self.shared;
        if self.threads == 1 {
            return;
        }
        let seen = s.barrier.get();
        // A thread that panics says so before it opens the barrier: either it is seen here, or
        // the wait below ends.
        s.check();
        if s.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == s.threads {
            s.arrived.0.store(0, Ordering::Relaxed);
            s.next.0.store(0, Ordering::Relaxed);
            s.barrier.open();
        } else {
            s.barrier.wait(seen);
        }
        s.check();
    }

    /// One phase: the pieces `0..count` are done once each, by whichever thread is free, and
    /// all threads leave together.
    #[inline]
    pub fn each(&self, count: usize, mut f: impl FnMut(usize)) {
        let s = self.shared;
        if self.threads == 1 {
            (0..count).for_each(f);
            return;
        }
        loop {
            let i = s.next.0.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                break;
            }
            f(i);
        }
        self.sync();
    }

    /// A phase too small to share: the first thread does it, the others wait.
    #[inline]
    pub fn alone(&self, f: impl FnOnce()) {
        if self.id == 0 {
            f();
        }
        self.sync();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn every_piece_is_done_once_in_every_phase() {
        for threads in [1, 2, 3, 5] {
            let mut team = Team::new(threads);
            for round in 0..50 {
                let counts: Vec<AtomicU64> = (0..97).map(|_| AtomicU64::new(0)).collect();
                let wrong = AtomicU64::new(0);
                team.run(usize::MAX, &|w| {
                    for phase in 0..20 {
                        w.each(97, |i| {
                            counts[i].fetch_add(1, Ordering::Relaxed);
                        });
                        // Between two barriers all threads see the phase whole.
                        let whole = counts.iter().all(|c| c.load(Ordering::Relaxed) == phase + 1);
                        wrong.fetch_add(u64::from(!whole), Ordering::Relaxed);
                        w.sync();
                    }
                });
                assert_eq!(wrong.load(Ordering::Relaxed), 0, "{threads} threads, round {round}");
                if round % 10 == 0 {
                    // Long enough for the workers to sleep.
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
        }
    }

    #[test]
    fn a_panic_is_passed_on_and_the_team_goes_on() {
        let mut team = Team::new(3);
        for victim in 0..3 {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                team.run(usize::MAX, &|w| {
                    assert!(w.id != victim, "boom");
                    w.sync();
                })
            }));
            let text = caught.unwrap_err();
            assert_eq!(text.downcast_ref::<&str>(), Some(&"boom"));
            let sum = AtomicU64::new(0);
            team.run(usize::MAX, &|w| {
                w.each(10, |i| {
                    sum.fetch_add(i as u64, Ordering::Relaxed);
                })
            });
            assert_eq!(sum.load(Ordering::Relaxed), 45);
        }
    }
}
