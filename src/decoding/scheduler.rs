//! Decoding of a stream: keeps the threads busy, sentences of one kind of weights together, and
//! gives results back in the order of the input with bounded memory.
//!
//! Sentences join as soon as others end, so no sentence waits for the longest of its batch, and
//! the first results appear while input is still arriving. At most `window` sentences lie between
//! the oldest unfinished one and the newest one read.
//!
//! Where batches are large enough, several workers decode a batch each: threads that share a batch
//! wait for each other dozens of times in every step, workers meet at the queue only. A worker that
//! is alone, because little is waiting, has the threads of all.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::options::DecodingOptions;
use super::queue::{Chosen, Queue, Stream};
use super::session::{Outcome, Session};
use super::steps::Steps;
use crate::error::{Error, Result};
use crate::kernels::crew::Crew;
use crate::model::inference::{Decoder, DirectionWeights, InferenceModel};

/// How much is decoded at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Sentences in decoding.
    pub sentences: usize,
    /// Their tokens: sources and longest possible targets. Each worker takes one sentence at least.
    pub tokens: usize,
    /// Sentences read but not yet given back.
    pub window: usize,
}

/// Hypotheses that a worker needs to be worth having: weights are read for each batch anew, which has
/// to cost less than the arithmetic with them.
const ROWS_PER_WORKER: usize = 32;

/// How many workers share `threads`, as evenly as they go: each takes what it has time for.
fn num_workers(threads: usize, beam_size: usize, sentences: usize) -> usize {
    (sentences.saturating_mul(beam_size) / ROWS_PER_WORKER).clamp(1, threads.max(1))
}

/// Runs a stream to its end on the CPU. What comes out depends neither on threads nor on limits.
///
/// # Errors
/// Those of the stream; artifact: the model computes values that are not finite.
pub fn run<S>(
    model: &InferenceModel,
    threads: usize,
    options: &DecodingOptions,
    limits: BatchLimits,
    stream: &mut S,
) -> Result<()>
where
    S: Stream<Weights = DirectionWeights> + Send,
    S::Tag: Send,
{
    let beam_size = options.beam_size.max(1);
    let workers = num_workers(threads, beam_size, limits.sentences.max(1));
    let crews = Crew::side_by_side(threads, workers).into_iter();
    let decoders = crews.map(|crew| Decoder::with_crew(model, crew, beam_size));
    run_with(decoders.collect(), options, limits, stream)
}

/// The same with a decoder for each worker. What comes out depends on as little as their steps do.
///
/// # Errors
/// Those of the stream and of the decoders.
pub fn run_with<S, D>(
    decoders: Vec<D>,
    options: &DecodingOptions,
    limits: BatchLimits,
    stream: &mut S,
) -> Result<()>
where
    S: Stream + Send,
    S::Tag: Send,
    D: Steps<Weights = S::Weights> + Send,
    D::Weights: Send + Sync,
{
    let sentences = limits.sentences.max(1);
    let workers = decoders.len().max(1);
    let shared = Shared {
        workers,
        capacity: sentences.div_ceil(workers),
        max_tokens: limits.tokens / workers,
        least: ROWS_PER_WORKER.div_ceil(options.beam_size.max(1)),
        state: Mutex::new(State {
            queue: Queue::new(stream, limits.window.max(sentences)),
            busy: 0,
            end: None,
        }),
        changed: Condvar::new(),
    };
    let work = |decoder: D| shared.work(Session::new(decoder, options.clone()));
    let mut decoders = decoders.into_iter();
    let own = decoders.next();
    std::thread::scope(|scope| {
        for (i, decoder) in decoders.enumerate() {
            let thread = std::thread::Builder::new().name(format!("worker-{}", i + 1));
            // Where the system gives no thread, the others do its work.
            let _ = thread.spawn_scoped(scope, move || work(decoder));
        }
        own.into_iter().for_each(work);
    });
    let state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    state.end.unwrap_or_else(|| Err(Error::bug("decoding ended before its input")))
}

/// What the workers share.
struct Shared<'s, S: Stream> {
    workers: usize,
    /// Sentences of a worker, and their tokens.
    capacity: usize,
    max_tokens: usize,
    /// Sentences a worker begins with while others are busy.
    least: usize,
    state: Mutex<State<'s, S>>,
    /// There may be work for a worker that rests.
    changed: Condvar,
}

struct State<'s, S: Stream> {
    queue: Queue<'s, S>,
    /// Workers with sentences.
    busy: usize,
    /// How it ended.
    end: Option<Result<()>>,
}

/// The next step of a worker.
struct Step<T, W> {
    weights: Arc<W>,
    joining: Vec<Chosen<T>>,
    /// All others rest.
    is_alone: bool,
}

impl<'s, S: Stream> Shared<'s, S> {
    fn lock(&self) -> MutexGuard<'_, State<'s, S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a worker.
    fn work<D: Steps<Weights = S::Weights>>(&self, mut session: Session<D, (u64, S::Tag)>) {
        let _leaving = Leaving(self);
        let mut current = None;
        let mut done = Vec::new();
        loop {
            let step = match self.next_step(&session, &mut current, done) {
                Ok(Some(step)) => step,
                Ok(None) => return,
                Err(e) => return self.end(Err(e)),
            };
            session.gather(step.is_alone);
            let joined = match step.joining.is_empty() {
                true => Ok(()),
                false => session.admit(&step.weights, step.joining),
            };
            done = match joined.and_then(|()| session.step(&step.weights)) {
                Ok(done) => done,
                Err(e) => return self.end(Err(e)),
            };
        }
    }

    /// Hands in what is done and waits for what is to do; none at the end.
    fn next_step<D: Steps<Weights = S::Weights>>(
        &self,
        session: &Session<D, (u64, S::Tag)>,
        current: &mut Option<Arc<S::Weights>>,
        done: Vec<((u64, S::Tag), Outcome)>,
    ) -> Result<Option<Step<S::Tag, S::Weights>>> {
        let mut state = self.lock();
        for ((number, tag), outcome) in done {
            state.queue.put(number, tag, outcome);
        }
        if session.num_active() == 0 && current.take().is_some() {
            state.busy -= 1;
        }
        loop {
            if state.end.is_some() {
                return Ok(None);
            }
            let nobody_works = state.busy == 0;
            // The end is told before anybody else can look: a stream that failed is not asked again.
            let end = match state.queue.read(self.capacity, nobody_works) {
                Ok(()) if state.queue.is_over() => Ok(()),
                Ok(()) => {
                    let waiting = state.queue.num_waiting();
                    let first = nobody_works && waiting > 0;
                    if session.num_active() > 0 || first || waiting >= self.least {
                        break;
                    }
                    if !nobody_works {
                        state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    }
                    continue;
                }
                Err(e) => Err(e),
            };
            state.end.get_or_insert(end);
            self.changed.notify_all();
            return Ok(None);
        }

        let waiting = state.queue.num_waiting();
        let active = session.num_active();
        let mut free = self.capacity.saturating_sub(active);
        if active == 0 {
            // The oldest sentence decides whose turn it is; the workers that rest get their share.
            *current = state.queue.next_weights();
            let resting = self.workers - state.busy;
            free = free.min(waiting.div_ceil(resting).max(self.least));
            state.busy += 1;
        }
        let Some(weights) = current.clone() else {
            return Err(Error::bug("sentences in decoding have no weights"));
        };
        // Encoding a few sentences costs as much as reading the encoder's weights once.
        let refill = (self.capacity / 4).max(1).min(waiting);
        let joining = match waiting > 0 && (active == 0 || free >= refill) {
            true => state.queue.choose(&weights, free, self.max_tokens, session),
            false => Vec::new(),
        };
        if state.busy < self.workers && state.queue.num_waiting() >= self.least {
            self.changed.notify_one();
        }
        Ok(Some(Step { weights, joining, is_alone: state.busy == 1 }))
    }

    /// The first end counts.
    fn end(&self, how: Result<()>) {
        self.lock().end.get_or_insert(how);
        self.changed.notify_all();
    }
}

/// A worker that panics takes the others along.
struct Leaving<'a, 's, S: Stream>(&'a Shared<'s, S>);

impl<S: Stream> Drop for Leaving<'_, '_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end(Err(Error::bug("a thread of decoding panicked")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_have_threads_and_enough_rows() {
        assert_eq!(num_workers(2, 1, 16), 1);
        assert_eq!(num_workers(2, 1, 64), 2);
        assert_eq!(num_workers(2, 5, 16), 2);
        assert_eq!(num_workers(16, 5, 64), 10);
        assert_eq!(num_workers(3, 1, 64), 2);
        assert_eq!(num_workers(0, 5, 64), 1);
        assert_eq!(num_workers(4, 2, usize::MAX), 4);
    }
}
