//! Processes with a GPU each that speak through NCCL, and keep what they sum on their GPUs.

use std::ffi::{c_char, c_void};
use std::time::{Duration, Instant};

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::CudaEvent;
use candle_core::cuda_backend::cudarc::nccl::{result, sys};
use candle_core::{DType, Device, Tensor};

use super::Ranks;
use super::meeting::{Lines, Meeting, TOKEN};
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::cuda::address_of;

/// How long an exchange may still end after a partner has: it may have been the last one.
const GRACE: Duration = Duration::from_secs(1);
/// Waiting takes a processor until then; after that it looks in now and then.
const EAGER: Duration = Duration::from_millis(2);
const NAP: Duration = Duration::from_micros(50);

/// The processes that met.
pub struct NcclRanks {
    comm: sys::ncclComm_t,
    device: CudaDevice,
    rank: usize,
    size: usize,
    /// NCCL does not see the end of a process of its own machine.
    lines: Lines,
    /// An exchange was given up.
    broken: bool,
}

fn failed(e: result::NcclError) -> Error {
    let failed = Error::environment("the GPUs that train together cannot speak to each other")
        .cause(format!("NCCL: {:?}", e.0));
    let failed = match e.0 {
        sys::ncclResult_t::ncclInvalidUsage => {
            failed.hint("each process needs a GPU of its own: `--device cuda` without a number")
        }
        _ => failed.hint("`libnccl.so.2` must be in `LD_LIBRARY_PATH`"),
    };
    failed.hint("`NCCL_DEBUG=INFO` makes NCCL say more; `--ranks 1` trains in this process alone")
}

fn asked(e: impl std::fmt::Display) -> Error {
    Error::environment("the GPU does not answer").cause(e.to_string())
}

impl NcclRanks {
    /// Joins the other processes, each of which calls this with a GPU of its own.
    ///
    /// # Errors
    /// Environment: they do not come, or NCCL does not start.
    pub fn new(device: &Device, meeting: &Meeting) -> Result<Self> {
        let Device::Cuda(device) = device else {
            return Err(Error::bug("NCCL without a GPU"));
        };
        let (rank, size) = (meeting.rank, meeting.size);
        let mut token = [0u8; TOKEN];
        if rank == 0 {
            let id = result::get_uniqueid().map_err(failed)?;
            token.iter_mut().zip(id.internal).for_each(|(t, c)| *t = c as u8);
        }
        let lines = meeting.share(&mut token)?;
        let id = sys::ncclUniqueId { internal: token.map(|b| b as c_char) };
        let mut comm = std::ptr::null_mut();
        let count = |n: usize| i32::try_from(n).map_err(|_| Error::bug("too many ranks"));
        // SAFETY: the call fills `comm`; the context of the device is that of this thread, which opened it.
        unsafe { result::comm_init_rank(&mut comm, count(size)?, id, count(rank)?) }
            .map_err(failed)?;
        let mut ranks = Self { comm, device: device.clone(), rank, size, lines, broken: false };
        // NCCL opens its ways at the first exchange of each kind, and waits there as long as it takes: now,
        // while signals still end this process. (Its calls must block: kernels and exchanges share the stream
        // of this thread.)
        ranks.gather(&[0])?;
        ranks.sum(&mut vec![0.0; size])?;
        Ok(ranks)
    }

    fn stream(&self) -> sys::cudaStream_t {
        self.device.cuda_stream().cu_stream().cast()
    }

    /// Waits for what was asked of the device so far, so that a partner that is gone is seen. `held` lives
    /// until then, or for ever where it is given up.
    fn wait(&mut self, held: Vec<Tensor>) -> Result<()> {
        let event: CudaEvent = self.device.cuda_stream().record_event(None).map_err(asked)?;
        let (started, mut cut) = (Instant::now(), None);
        loop {
            let mut state = sys::ncclResult_t::ncclSuccess;
            // SAFETY: the communicator is ours and has not been ended; the call fills `state`.
            unsafe { sys::ncclCommGetAsyncError(self.comm, &mut state) };
            let lost = !matches!(
                state,
                sys::ncclResult_t::ncclSuccess | sys::ncclResult_t::ncclInProgress
            );
            // What a partner that has gone leaves behind may look done.
            if !lost && event.try_is_complete().map_err(asked)? {
                return Ok(());
            }
            if cut.is_none() && self.lines.is_cut() {
                cut = Some(Instant::now());
            }
            if lost || cut.is_some_and(|at: Instant| at.elapsed() > GRACE) {
                self.broken = true;
                std::mem::forget(held);
                // SAFETY: as above; nothing uses the communicator after this.
                unsafe { sys::ncclCommAbort(self.comm) };
                let gone = Error::new(ErrorKind::Parted, "another process has ended")
                    .found(format!("this is rank {} of {}", self.rank, self.size));
                return Err(match lost {
                    true => gone.cause(format!("NCCL: {state:?}")),
                    false => gone,
                });
            }
            if started.elapsed() > EAGER {
                std::thread::sleep(NAP);
            } else {
                std::hint::spin_loop();
            }
        }
    }

    fn check(&self) -> Result<()> {
        match self.broken {
            true => Err(Error::bug("an exchange after one that was given up")),
            false => Ok(()),
        }
    }

    /// `n` values of every rank, one rank after another.
    fn all_gather(
        &self,
        from: &Tensor,
        to: &Tensor,
        n: usize,
        kind: sys::ncclDataType_t,
    ) -> Result<()> {
        let (from, to) = (address_of(from)? as *const c_void, address_of(to)? as *mut c_void);
        // SAFETY: `from` holds n values and `to` n for each rank; the caller keeps both until the device has
        // done this.
        unsafe { result::all_gather(from, to, n, kind, self.comm, self.stream()) }
            .map_err(failed)?;
        Ok(())
    }
}

impl Ranks for NcclRanks {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.size
    }

    fn gather(&mut self, mine: &[u64]) -> Result<Vec<u64>> {
        self.check()?;
        let device = Device::Cuda(self.device.clone());
        let bytes: Vec<u8> = mine.iter().flat_map(|w| w.to_le_bytes()).collect();
        let n = bytes.len();
        let from = Tensor::from_vec(bytes, n, &device)?;
        let to = Tensor::zeros(n * self.size, DType::U8, &device)?;
        self.all_gather(&from, &to, n, sys::ncclDataType_t::ncclUint8)?;
        self.wait(vec![from, to.clone()])?;
        let bytes = to.to_vec1::<u8>()?;
        let (words, _) = bytes.as_chunks::<8>();
        Ok(words.iter().map(|w| u64::from_le_bytes(*w)).collect())
    }

    fn sum(&mut self, values: &mut [f32]) -> Result<()> {
        let device = Device::Cuda(self.device.clone());
        let sum = self.sum_on_device(&Tensor::from_slice(values, values.len(), &device)?)?;
        let sum = sum.ok_or_else(|| Error::bug("GPUs that do not sum"))?;
        values.copy_from_slice(&sum.to_vec1::<f32>()?);
        Ok(())
    }

    fn sum_on_device(&mut self, values: &Tensor) -> Result<Option<Tensor>> {
        self.check()?;
        let n = values.elem_count();
        if n == 0 || !values.device().is_cuda() {
            return Ok((n == 0).then(|| values.clone()));
        }
        // Every rank sums its share, in the order of the ranks, and tells the others.
        let share = n.div_ceil(self.size);
        let sent = values.pad_with_zeros(0, 0, share * self.size - n)?.contiguous()?;
        let received = sent.zeros_like()?;
        let kind = sys::ncclDataType_t::ncclFloat32;
        let (from, to) = (address_of(&sent)?, address_of(&received)?);
        result::group_start().map_err(failed)?;
        for other in 0..self.size {
            let at = (other * share * size_of::<f32>()) as u64;
            let (from, to) = ((from + at) as *const c_void, (to + at) as *mut c_void);
            // SAFETY: both tensors hold a share for each rank and live until `wait` has seen the end.
            unsafe {
                result::send(from, share, kind, other as i32, self.comm, self.stream())
                    .map_err(failed)?;
                result::recv(to, share, kind, other as i32, self.comm, self.stream())
                    .map_err(failed)?;
            }
        }
        result::group_end().map_err(failed)?;
        let mut sum = received.narrow(0, 0, share)?;
        for other in 1..self.size {
            sum = (sum + received.narrow(0, other * share, share)?)?;
        }
        let all = sent.zeros_like()?;
        self.all_gather(&sum, &all, share, kind)?;
        self.wait(vec![sent, received, sum, all.clone()])?;
        Ok(Some(all.narrow(0, 0, n)?))
    }

    fn finish(mut self: Box<Self>) {
        // A last exchange is where all have come to.
        if !self.broken && self.gather(&[0]).is_ok() {
            // SAFETY: nothing uses the communicator after this.
            unsafe { result::comm_destroy(self.comm) }.ok();
        }
    }
}
