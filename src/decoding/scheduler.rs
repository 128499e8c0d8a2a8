//! The stream: keeps the decoder full, sentences of one kind of weights together, and gives
//! results back in the order of the input with bounded memory.
//!
//! Sentences join as soon as others end, so no sentence waits for the longest of its batch, and
//! the first results appear while input is still arriving. At most `window` sentences lie between
//! the oldest unfinished one and the newest one read.

use std::collections::VecDeque;
use std::sync::Arc;

use super::session::{Outcome, Session, Target};
use crate::error::Result;
use crate::model::inference::DirectionWeights;

/// How much is decoded at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Sentences in decoding.
    pub sentences: usize,
    /// Their tokens: sources and longest possible targets. One sentence is always taken.
    pub tokens: usize,
    /// Sentences read but not yet given back.
    pub window: usize,
}

/// What is to be done for one item of the stream.
pub enum Task {
    /// Nothing: the item keeps its place in the order.
    Pass,
    Decode {
        weights: Arc<DirectionWeights>,
        /// `[mark, pieces..., eos]`.
        src: Vec<u32>,
        target: Target,
    },
}

/// The next item of a stream.
pub enum Feed<T> {
    Item(T, Task),
    /// None at the moment; more may come.
    Pending,
    End,
}

/// Where items come from and results go.
pub trait Stream {
    type Tag;
    /// The next item. With `wait` it blocks until there is one or the end; without, it returns
    /// [`Feed::Pending`] instead of blocking.
    fn next(&mut self, wait: bool) -> Result<Feed<Self::Tag>>;
    /// Results in the order of the items; none for [`Task::Pass`].
    fn emit(&mut self, tag: Self::Tag, outcome: Option<Outcome>) -> Result<()>;
    /// Called before waiting for input: what was emitted should be shown now.
    fn idle(&mut self) -> Result<()>;
}

/// An item between reading and giving back.
enum Place<T> {
    Waiting(T, Arc<DirectionWeights>, Vec<u32>, Target),
    Decoding,
    Ready(T, Option<Outcome>),
}

/// Runs a stream to its end.
pub fn run<S: Stream>(
    session: &mut Session<'_, (u64, S::Tag)>,
    limits: BatchLimits,
    stream: &mut S,
) -> Result<()> {
    let capacity = limits.sentences.max(1);
    let window = limits.window.max(capacity);
    // Encoding a few sentences costs as much as reading the encoder's weights once.
    let refill = (capacity / 4).max(1);
    let mut places: VecDeque<Place<S::Tag>> = VecDeque::new();
    let mut first: u64 = 0;
    let mut waiting = 0usize;
    let mut ended = false;
    let mut current: Option<Arc<DirectionWeights>> = None;

    loop {
        // What is read between two steps is bounded too: the first results come soon.
        let enough = (waiting + capacity).min(window);
        while !ended && places.len() < window && waiting < enough {
            let idle = session.num_active() == 0 && waiting == 0;
            if idle {
                give_back(&mut places, &mut first, stream)?;
                stream.idle()?;
            }
            match stream.next(idle)? {
                Feed::Item(tag, Task::Pass) => places.push_back(Place::Ready(tag, None)),
                Feed::Item(tag, Task::Decode { weights, src, target }) => {
                    places.push_back(Place::Waiting(tag, weights, src, target));
                    waiting += 1;
                }
                Feed::Pending => break,
                Feed::End => ended = true,
            }
        }
        give_back(&mut places, &mut first, stream)?;
        if session.num_active() == 0 {
            // The oldest sentence decides whose turn it is.
            current = places.iter().find_map(|p| match p {
                Place::Waiting(_, weights, ..) => Some(Arc::clone(weights)),
                _ => None,
            });
        }
        let Some(weights) = current.clone() else {
            if ended && places.is_empty() {
                return Ok(());
            }
            continue;
        };
        let free = capacity.saturating_sub(session.num_active());
        if waiting > 0 && (session.num_active() == 0 || free >= refill.min(waiting)) {
            let chosen = choose(&mut places, first, &weights, free, limits.tokens, session);
            waiting -= chosen.len();
            if !chosen.is_empty() {
                session.admit(&weights, chosen);
            }
        }
        for ((number, tag), outcome) in session.step(&weights)? {
            places[(number - first) as usize] = Place::Ready(tag, Some(outcome));
        }
    }
}

/// Takes waiting sentences of the given weights, oldest first, as far as the limits allow.
#[allow(clippy::type_complexity)]
fn choose<T>(
    places: &mut VecDeque<Place<T>>,
    first: u64,
    weights: &Arc<DirectionWeights>,
    free: usize,
    max_tokens: usize,
    session: &Session<'_, (u64, T)>,
) -> Vec<((u64, T), Vec<u32>, Target)> {
    let mut tokens = session.num_tokens();
    let mut chosen = Vec::new();
    for (i, place) in places.iter_mut().enumerate() {
        if chosen.len() >= free {
            break;
        }
        match place {
            Place::Waiting(_, w, src, target) if Arc::ptr_eq(w, weights) => {
                tokens += session.cost(src, target);
                if tokens > max_tokens && (session.num_active() > 0 || !chosen.is_empty()) {
                    break;
                }
            }
            _ => continue,
        }
        if let Place::Waiting(tag, _, src, target) = std::mem::replace(place, Place::Decoding) {
            chosen.push(((first + i as u64, tag), src, target));
        }
    }
    chosen
}

/// Gives back the finished head of the queue.
fn give_back<S: Stream>(
    places: &mut VecDeque<Place<S::Tag>>,
    first: &mut u64,
    stream: &mut S,
) -> Result<()> {
    while matches!(places.front(), Some(Place::Ready(..))) {
        if let Some(Place::Ready(tag, outcome)) = places.pop_front() {
            *first += 1;
            stream.emit(tag, outcome)?;
        }
    }
    Ok(())
}
