//! The tape, its values and its leaves.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::composed::Layouts;
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
    /// Brings it to a device. Clones made before stay where they were.
    pub fn move_to(&mut self, device: &Device) -> Result<()> {
        self.tensor = self.tensor.to_device(device)?;
        Ok(())
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

/// What is done with operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Recorded,
    /// Whether a result is tracked is told, but nothing is kept.
    Traced,
    Forgotten,
}

/// The operations of one forward pass, in order.
pub struct Tape {
    nodes: RefCell<Vec<BackwardFn>>,
    /// Number of the first node: operations that are recorded anew continue the numbers of those
    /// before them.
    first: usize,
    mode: Mode,
    /// Whether segments are computed again in the backward pass.
    checkpoints: bool,
    /// Whether operations are put together from those of the tensor library on the CPU too.
    composed: bool,
    /// Whether factors of composed products are rounded to bf16.
    in_bf16: bool,
    /// What composed attention was laid out like so far.
    layouts: Layouts,
}

impl Tape {
    fn with(mode: Mode) -> Self {
        let nodes = RefCell::new(Vec::new());
        let (checkpoints, composed, in_bf16) = (false, false, false);
        let layouts = Layouts::default();
        Self { nodes, first: 0, mode, checkpoints, composed, in_bf16, layouts }
    }
    /// The same without the kernels of the CPU: each operation as other devices have it.
    pub fn composed(self) -> Self {
        Self { composed: true, ..self }
    }
    /// The same with factors of products rounded to bf16 where no kernel of the CPU multiplies them:
    /// weights, sums and everything else stay in f32.
    pub fn in_bf16(self) -> Self {
        Self { in_bf16: true, ..self }
    }
    pub fn is_in_bf16(&self) -> bool {
        self.in_bf16
    }
    pub(super) fn layouts(&self) -> &Layouts {
        &self.layouts
    }
    /// Whether the kernels know where a value lies.
    pub fn has_kernels(&self, x: &Value) -> bool {
        self.has_kernels_on(x.tensor.device())
    }
    pub(super) fn has_kernels_on(&self, device: &Device) -> bool {
        !self.composed && device.is_cpu()
    }
    /// Records, for training.
    pub fn recording() -> Self {
        Self::with(Mode::Recorded)
    }
    /// The same with gradient checkpointing (Chen et al. 2016, "Training deep nets with sublinear
    /// memory cost"): of each segment only the input is kept, and the backward pass computes it
    /// again.
    pub fn checkpointing() -> Self {
        Self { checkpoints: true, ..Self::with(Mode::Recorded) }
    }
    /// Records nothing, for evaluation.
    pub fn disabled() -> Self {
        Self::with(Mode::Forgotten)
    }
    /// `other`, computing as this one does.
    fn like(&self, other: Self) -> Self {
        let layouts = self.layouts.clone();
        Self { composed: self.composed, in_bf16: self.in_bf16, layouts, ..other }
    }
    /// Records a segment again, behind the nodes that are still to be run.
    fn again(first: usize) -> Self {
        Self { first, ..Self::with(Mode::Recorded) }
    }
    pub(super) fn into_nodes(self) -> Vec<BackwardFn> {
        self.nodes.into_inner()
    }

    /// Whether a backward pass will follow.
    pub fn is_recording(&self) -> bool {
        self.mode != Mode::Forgotten
    }

    pub(super) fn records(&self, inputs: &[Source]) -> bool {
        self.mode == Mode::Recorded && inputs.iter().any(|s| *s != Source::Constant)
    }

    /// The result of an operation. `backward` is called only when an input is tracked, and keeps
    /// no more than it needs.
    pub(super) fn push(
        &self,
        tensor: Tensor,
        inputs: &[Source],
        backward: impl FnOnce() -> BackwardFn,
    ) -> Value {
        if self.mode == Mode::Forgotten || inputs.iter().all(|s| *s == Source::Constant) {
            return Value::constant(tensor);
        }
        if self.mode == Mode::Traced {
            return Value { tensor, source: Source::Node(usize::MAX) };
        }
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(backward());
        Value { tensor, source: Source::Node(self.first + nodes.len() - 1) }
    }

    /// A part of the forward pass that may be computed twice: `f` must give the same result each
    /// time, with what `state` decides (where random streams stand) as it is at the first. With
    /// checkpoints nothing of it is kept but what `f` holds; gradients are the same to the bit, as
    /// the same operations run in the same order.
    pub fn segment<S: Clone + 'static>(
        &self,
        state: &S,
        f: impl FnOnce(&Tape, &S) -> Result<Value> + Clone + 'static,
    ) -> Result<Value> {
        if !self.checkpoints || self.mode != Mode::Recorded {
            return f(self, state);
        }
        let before = state.clone();
        let traced = self.like(Self::with(Mode::Traced));
        let out = f.clone()(&traced, state)?;
        if !out.is_tracked() {
            return Ok(out);
        }
        let mut nodes = self.nodes.borrow_mut();
        let at = self.first + nodes.len();
        let again = self.like(Self::again(at));
        nodes.push(Box::new(move |incoming, back| {
            back.run_again(at, again, incoming, |tape| f(tape, &before))
        }));
        Ok(Value { tensor: out.tensor, source: Source::Node(at) })
    }

    /// How many operations are recorded; a segment with checkpoints is one.
    pub fn len(&self) -> usize {
        self.nodes.borrow().len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Runs backward from the given gradients of values; adds the gradients of parameters to
    /// `gradients`.
    pub fn backward(self, seeds: Vec<(Value, Tensor)>, gradients: &mut Gradients) -> Result<()> {
        let nodes = self.into_nodes();
        let mut state = Backward::new(nodes.len(), gradients);
        for (value, gradient) in seeds {
            state.add(value.source, gradient)?;
        }
        state.run(0, nodes)
    }
}
