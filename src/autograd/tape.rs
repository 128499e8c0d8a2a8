//! The tape, its values and its leaves.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Tensor;

use super::gradients::{Backward, Gradients, Incoming};
use crate::error::Result;
use crate::kernels::storage::{change, values};

/// Where a value's gradient goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere.
    Constant,
    /// To the operation that made it.
    Node(usize),
    /// To the buffer of a trainable parameter.
    Parameter(usize),
}

/// A tensor that knows where its gradient goes.
#[derive(Clone, Debug)]
pub struct Value {
    tensor: Tensor,
    source: Source,
}

impl Value {
    pub fn constant(tensor: Tensor) -> Self {
        Self { tensor, source: Source::Constant }
    }
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }
    pub fn source(&self) -> Source {
        self.source
    }
    pub fn is_tracked(&self) -> bool {
        self.source != Source::Constant
    }
}

/// A named weight of the model. Clones share storage.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: Arc<str>,
    pub tensor: Tensor,
    /// Index of its gradient buffer; none when frozen.
    pub slot: Option<usize>,
}

impl Parameter {
    pub fn value(&self) -> Value {
        let source = self.slot.map_or(Source::Constant, Source::Parameter);
        Value { tensor: self.tensor.clone(), source }
    }
    pub fn is_trainable(&self) -> bool {
        self.slot.is_some()
    }
}

/// Gives parameters the values of others of the same names and shapes; returns how many had any.
pub fn copy_matching<'a>(
    to: impl Iterator<Item = &'a Parameter>,
    from: impl Iterator<Item = &'a Parameter>,
) -> Result<usize> {
    let from: BTreeMap<&str, &Parameter> = from.map(|p| (&*p.name, p)).collect();
    let mut taken = 0;
    for to in to {
        let found = from.get(&*to.name).filter(|p| p.tensor.dims() == to.tensor.dims());
        if let Some(from) = found {
            let v = values(&from.tensor)?;
            change(&to.tensor, |t| t.copy_from_slice(&v))?;
            taken += 1;
        }
    }
    Ok(taken)
}

pub(super) type BackwardFn = Box<dyn FnOnce(Incoming, &mut Backward<'_>) -> Result<()>>;

/// The operations of one forward pass, in order.
pub struct Tape {
    nodes: RefCell<Vec<BackwardFn>>,
    recording: bool,
}

impl Tape {
    /// Records, for training.
    pub fn recording() -> Self {
        Self { nodes: RefCell::new(Vec::new()), recording: true }
    }
    /// Records nothing, for evaluation.
    pub fn disabled() -> Self {
        Self { nodes: RefCell::new(Vec::new()), recording: false }
    }

    /// Whether a backward pass will follow.
    pub fn is_recording(&self) -> bool {
        self.recording
    }

    pub(super) fn records(&self, inputs: &[Source]) -> bool {
        self.recording && inputs.iter().any(|s| *s != Source::Constant)
    }

    /// The result of an operation. `backward` is called only when an input is tracked.
    pub(super) fn push(
        &self,
        tensor: Tensor,
        inputs: &[Source],
        backward: impl FnOnce() -> BackwardFn,
    ) -> Value {
        if !self.records(inputs) {
            return Value::constant(tensor);
        }
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(backward());
        Value { tensor, source: Source::Node(nodes.len() - 1) }
    }

    /// How many operations are recorded.
    pub fn len(&self) -> usize {
        self.nodes.borrow().len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Runs backward from the given gradients of values; adds the gradients of parameters to
    /// `gradients`.
    pub fn backward(self, seeds: Vec<(Value, Tensor)>, gradients: &mut Gradients) -> Result<()> {
        let mut nodes = self.nodes.into_inner();
        let mut state = Backward::new(nodes.len(), gradients);
        for (value, gradient) in seeds {
            state.add(value.source, gradient)?;
        }
        while let Some(node) = nodes.pop() {
            if let Some(incoming) = state.take(nodes.len()) {
                node(incoming, &mut state)?;
            }
        }
        Ok(())
    }
}
