//! Processes that speak through MPI.
//!
//! Every exchange is begun and then asked after, so that the first process, when a partner has gone,
//! sees the signal by which the launcher ends the others, and comes back with its parameters as they
//! were. The others wait for the first one until the launcher ends them: it may be busy for long.

use std::mem::ManuallyDrop;
use std::os::raw::{c_int, c_void};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mpi::datatype::Equivalence;
use mpi::environment::Universe;
use mpi::ffi;
use mpi::raw::AsRaw;
use mpi::topology::{Communicator, SimpleCommunicator};

use super::Ranks;
use crate::error::{Error, ErrorKind, Result};
use crate::training::session::STOP_SIGNAL;

/// How long the first rank waits for an exchange after a signal to stop: launchers kill a second after
/// it.
const PATIENCE: Duration = Duration::from_millis(200);
/// Waiting takes a processor until then; after that it looks in now and then.
const EAGER: Duration = Duration::from_millis(2);
const NAP: Duration = Duration::from_micros(50);

/// A collective that is begun here and asked after: what is sent, how much, of what type; the same for
/// what is received; the processes; where its request goes.
type Collective = unsafe extern "C" fn(
    *const c_void,
    c_int,
    ffi::MPI_Datatype,
    *mut c_void,
    c_int,
    ffi::MPI_Datatype,
    ffi::MPI_Comm,
    *mut ffi::MPI_Request,
) -> c_int;

/// The processes of `MPI_COMM_WORLD`.
pub struct MpiRanks {
    /// Ended by [`Ranks::finish`] alone: that waits for all ranks. A process that ends without it is
    /// how the launcher learns that something went wrong here.
    universe: ManuallyDrop<Universe>,
    world: SimpleCommunicator,
    /// An exchange was given up; another process may be gone.
    broken: bool,
    /// What is sent and received. The library may write here until an exchange has ended, so that
    /// these outlive one that was given up.
    sent: ManuallyDrop<Vec<u32>>,
    received: ManuallyDrop<Vec<u32>>,
}

impl MpiRanks {
    /// Joins the other processes.
    ///
    /// # Errors
    /// Environment: MPI does not start.
    pub fn new() -> Result<Self> {
        // Threads compute, but this one alone speaks.
        let (universe, _) = mpi::initialize_with_threading(mpi::Threading::Funneled)
            .ok_or_else(|| Error::environment("MPI has been started already"))?;
        let world = universe.world();
        Ok(Self {
            universe: ManuallyDrop::new(universe),
            world,
            broken: false,
            sent: ManuallyDrop::default(),
            received: ManuallyDrop::default(),
        })
    }

    /// # Errors
    /// Bug: an exchange was given up, whose buffers are no longer ours.
    fn check(&self) -> Result<()> {
        if self.broken {
            Err(Error::bug("an exchange after one that was given up"))
        } else {
            Ok(())
        }
    }

    /// Waits for an exchange.
    fn wait(&mut self, request: ffi::MPI_Request) -> Result<()> {
        let patient = self.rank() > 0;
        self.wait_for(request, patient)
    }

    fn wait_for(&mut self, mut request: ffi::MPI_Request, patient: bool) -> Result<()> {
        let (started, mut stopped) = (Instant::now(), None);
        loop {
            let mut done: c_int = 0;
            // SAFETY: `request` is that of an exchange of `self` that has not ended yet; it is
            // asked after by this thread alone.
            unsafe { ffi::MPI_Test(&mut request, &mut done, ffi::RSMPI_STATUS_IGNORE) };
            if done != 0 {
                return Ok(());
            }
            let signal = if patient { 0 } else { STOP_SIGNAL.load(Ordering::Relaxed) };
            if signal != 0 && stopped.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                self.broken = true;
                return Err(Error::new(
                    ErrorKind::Stopped(signal),
                    "stopped by signal: another process does not answer",
                )
                .found(format!("rank {} of {}", self.rank(), self.size()))
                .cause("it has ended, or is slow to end"));
            }
            if started.elapsed() > EAGER {
                std::thread::sleep(NAP);
            } else {
                std::hint::spin_loop();
            }
        }
    }

    /// Sends `n` words of `sent` by this collective to every rank, and receives as many from each.
    fn exchange(&mut self, collective: Collective, n: usize) -> Result<()> {
        let count = message_len(n)?;
        let size = self.size();
        self.received.resize(n * size, 0);
        let (sent, received) = (self.sent.as_ptr(), self.received.as_mut_ptr());
        let (kind, world) = (u32::equivalent_datatype(), self.world.as_raw());
        let mut request = std::mem::MaybeUninit::uninit();
        // SAFETY: `sent` holds what the collective reads, `n` words or `n` for each rank, and
        // `received` n for each rank; both stay in place until the exchange has ended, or for ever
        // when it does not. The call fills `request`.
        let request = unsafe {
            collective(
                sent.cast::<c_void>(),
                count,
                kind.as_raw(),
                received.cast::<c_void>(),
                count,
                kind.as_raw(),
                world,
                request.as_mut_ptr(),
            );
            request.assume_init()
        };
        self.wait(request)
    }

    /// Sends the `n` words of `sent` to every rank; `received` holds all of them.
    fn gather_words(&mut self, n: usize) -> Result<()> {
        self.exchange(ffi::MPI_Iallgather, n)
    }

    /// Sends the `r`-th `n` words of `sent` to rank `r`; `received` holds what each sent here.
    fn scatter_words(&mut self, n: usize) -> Result<()> {
        self.exchange(ffi::MPI_Ialltoall, n)
    }
}

fn message_len(n: usize) -> Result<c_int> {
    c_int::try_from(n).map_err(|_| Error::bug("a message of more than 2^31 words"))
}

impl Ranks for MpiRanks {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }
    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn gather(&mut self, mine: &[u64]) -> Result<Vec<u64>> {
        self.check()?;
        self.sent.clear();
        self.sent.extend(mine.iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]));
        self.gather_words(2 * mine.len())?;
        let (pairs, _) = self.received.as_chunks::<2>();
        Ok(pairs.iter().map(|[low, high]| u64::from(*low) | u64::from(*high) << 32).collect())
    }

    fn sum(&mut self, values: &mut [f32]) -> Result<()> {
        self.check()?;
        // Every rank sums its share, in the order of the ranks, and tells the others.
        let size = self.size();
        let share = values.len().div_ceil(size);
        self.sent.clear();
        self.sent.extend(values.iter().map(|v| v.to_bits()));
        self.sent.resize(share * size, 0);
        self.scatter_words(share)?;
        let (first, others) = self.received.split_at(share.min(self.received.len()));
        self.sent.clear();
        self.sent.extend_from_slice(first);
        for other in others.chunks_exact(share.max(1)) {
            for (sum, v) in self.sent.iter_mut().zip(other) {
                *sum = (f32::from_bits(*sum) + f32::from_bits(*v)).to_bits();
            }
        }
        self.gather_words(share)?;
        values.iter_mut().zip(&**self.received).for_each(|(v, bits)| *v = f32::from_bits(*bits));
        Ok(())
    }

    fn finish(mut self: Box<Self>) {
        if self.broken {
            return;
        }
        let mut request = std::mem::MaybeUninit::uninit();
        // SAFETY: the call fills `request`; no buffer takes part.
        let request = unsafe {
            ffi::MPI_Ibarrier(self.world.as_raw(), request.as_mut_ptr());
            request.assume_init()
        };
        // Asked after with naps: who waits here takes no processor from who still works.
        if self.wait_for(request, true).is_ok() {
            let Self { universe, .. } = *self;
            drop(ManuallyDrop::into_inner(universe));
        }
    }
}
