//! The sentences between reading and giving back, in the order of the input.

use std::collections::VecDeque;
use std::sync::Arc;

use super::session::{Outcome, Session, Target};
use super::steps::Steps;
use crate::error::Result;

/// What is to be done for one item of the stream.
pub enum Task<W> {
    /// Nothing: the item keeps its place in the order.
    Pass,
    Decode {
        weights: Arc<W>,
        /// `[mark, pieces..., eos]`.
        src: Vec<u32>,
        target: Target,
    },
}

/// The next item of a stream.
pub enum Feed<T, W> {
    Item(T, Task<W>),
    /// None at the moment; more may come.
    Pending,
    End,
}

/// Where items come from and results go.
pub trait Stream {
    type Tag;
    /// What sentences are decoded with.
    type Weights;
    /// The next item. With `wait` it blocks until there is one or the end; without, it returns
    /// [`Feed::Pending`] instead of blocking.
    fn next(&mut self, wait: bool) -> Result<Feed<Self::Tag, Self::Weights>>;
    /// Results in the order of the items; none for [`Task::Pass`].
    fn emit(&mut self, tag: Self::Tag, outcome: Option<Outcome>) -> Result<()>;
    /// Called before waiting for input: what was emitted should be shown now.
    fn idle(&mut self) -> Result<()>;
}

/// An item between reading and giving back.
enum Place<T, W> {
    Waiting(T, Arc<W>, Vec<u32>, Target),
    Decoding,
    Ready(T, Option<Outcome>),
}

/// A sentence that is to be decoded, by its place in the input.
pub(super) type Chosen<T> = ((u64, T), Vec<u32>, Target);

/// What was read of a stream and not yet given back.
pub(super) struct Queue<'s, S: Stream> {
    stream: &'s mut S,
    places: VecDeque<Place<S::Tag, S::Weights>>,
    /// The number of the oldest place.
    first: u64,
    waiting: usize,
    ended: bool,
    /// Most places.
    window: usize,
}

impl<'s, S: Stream> Queue<'s, S> {
    pub fn new(stream: &'s mut S, window: usize) -> Self {
        Self { stream, places: VecDeque::new(), first: 0, waiting: 0, ended: false, window }
    }

    /// Sentences nobody decodes yet.
    pub fn num_waiting(&self) -> usize {
        self.waiting
    }
    /// Everything was read and given back.
    pub fn is_over(&self) -> bool {
        self.ended && self.places.is_empty()
    }

    /// Reads at most `count` sentences, then gives back what is ready. With `idle`, when nothing else
    /// can be done, it waits for the first.
    pub fn read(&mut self, count: usize, idle: bool) -> Result<()> {
        // What is read between two steps is bounded too: the first results come soon.
        let enough = self.waiting.saturating_add(count).min(self.window);
        while !self.ended && self.places.len() < self.window && self.waiting < enough {
            let wait = idle && self.waiting == 0;
            if wait {
                self.give_back()?;
                self.stream.idle()?;
            }
            match self.stream.next(wait)? {
                Feed::Item(tag, Task::Pass) => self.places.push_back(Place::Ready(tag, None)),
                Feed::Item(tag, Task::Decode { weights, src, target }) => {
                    self.places.push_back(Place::Waiting(tag, weights, src, target));
                    self.waiting += 1;
                }
                Feed::Pending => break,
                Feed::End => self.ended = true,
            }
        }
        self.give_back()
    }

    /// What the oldest waiting sentence is to be decoded with.
    pub fn next_weights(&self) -> Option<Arc<S::Weights>> {
        self.places.iter().find_map(|p| match p {
            Place::Waiting(_, weights, ..) => Some(Arc::clone(weights)),
            _ => None,
        })
    }

    /// Takes waiting sentences of the given weights, oldest first: at most `count`, and no more tokens
    /// than the session may hold.
    pub fn choose<D: Steps<Weights = S::Weights>>(
        &mut self,
        weights: &Arc<S::Weights>,
        count: usize,
        max_tokens: usize,
        session: &Session<D, (u64, S::Tag)>,
    ) -> Vec<Chosen<S::Tag>> {
        let mut tokens = session.num_tokens();
        let mut chosen = Vec::new();
        for (place, number) in self.places.iter_mut().zip(self.first..) {
            if chosen.len() >= count {
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
                chosen.push(((number, tag), src, target));
            }
        }
        self.waiting -= chosen.len();
        chosen
    }

    /// The sentence `number` has been decoded.
    pub fn put(&mut self, number: u64, tag: S::Tag, outcome: Outcome) {
        self.places[(number - self.first) as usize] = Place::Ready(tag, Some(outcome));
    }

    /// Gives back the finished head.
    fn give_back(&mut self) -> Result<()> {
        while matches!(self.places.front(), Some(Place::Ready(..))) {
            if let Some(Place::Ready(tag, outcome)) = self.places.pop_front() {
                self.first += 1;
                self.stream.emit(tag, outcome)?;
            }
        }
        Ok(())
    }
}
