//! Where gradients are collected: buffers of parameters that live across steps, and slots of
//! operations that live for one backward pass.

use candle_core::{DType, Device, Tensor};

use super::composed;
use super::tape::{BackwardFn, Parameter, Source, Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::elementwise::add_in_place;
use crate::kernels::storage::{change, uninit, values};

/// One buffer for each trainable parameter, in slot order.
pub struct Gradients {
    buffers: Vec<Tensor>,
    written: Vec<bool>,
}

impl Gradients {
    /// Buffers for the trainable ones among `parameters`; their slots must be `0..n`.
    pub fn new<'a>(parameters: impl IntoIterator<Item = &'a Parameter>) -> Result<Self> {
        let mut trainable: Vec<&Parameter> =
            parameters.into_iter().filter(|p| p.is_trainable()).collect();
        trainable.sort_by_key(|p| p.slot);
        let mut buffers = Vec::with_capacity(trainable.len());
        for (i, p) in trainable.iter().enumerate() {
            if p.slot != Some(i) {
                return Err(Error::bug(format!("gradient slot of `{}` is not {i}", p.name)));
            }
            buffers.push(Tensor::zeros(p.tensor.shape(), DType::F32, p.tensor.device())?);
        }
        Ok(Self { written: vec![false; buffers.len()], buffers })
    }
    /// Forgets all gradients; buffers stay.
    pub fn clear(&mut self) {
        self.written.fill(false);
    }
    pub fn len(&self) -> usize {
        self.buffers.len()
    }
    pub fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }
    /// Adds the gradients of another batch of the same parameters, each sum of its own: what one
    /// has alone is taken as it is.
    pub fn add(&mut self, other: &Self) -> Result<()> {
        for slot in (0..other.len()).filter(|s| other.written[*s]) {
            // The other one's storage stays its own.
            self.add_tensor(slot, other.buffers[slot].copy()?)?;
        }
        Ok(())
    }
    /// The gradient of a slot, if one has arrived since the last clear.
    pub fn get(&self, slot: usize) -> Option<&Tensor> {
        self.written[slot].then(|| &self.buffers[slot])
    }
    /// What holds the gradient of a slot, written or not.
    pub fn buffer(&self, slot: usize) -> &Tensor {
        &self.buffers[slot]
    }
    /// Gives a slot another gradient of its shape, on its device.
    pub fn replace(&mut self, slot: usize, gradient: Tensor) {
        self.buffers[slot] = gradient;
        self.written[slot] = true;
    }
    /// Adds a gradient of the slot's shape, where it lies.
    fn add_tensor(&mut self, slot: usize, gradient: Tensor) -> Result<()> {
        if gradient.device().is_cpu() {
            let new = values(&gradient)?;
            return self.write(slot, |v, accumulate| {
                if accumulate { add_in_place(v, &new) } else { v.copy_from_slice(&new) }
            });
        }
        self.buffers[slot] = match self.written[slot] {
            true => composed::sum(&self.buffers[slot], &gradient)?,
            false => gradient,
        };
        self.written[slot] = true;
        Ok(())
    }
    /// Lets `f` write a slot's values (second argument false) or add to them (true).
    pub fn write(&mut self, slot: usize, f: impl FnOnce(&mut [f32], bool)) -> Result<()> {
        let accumulate = self.written[slot];
        change(&self.buffers[slot], |v| f(v, accumulate))?;
        self.written[slot] = true;
        Ok(())
    }
}

/// A gradient that arrives at an operation.
pub struct Incoming {
    tensor: Tensor,
    /// Nobody else holds its storage.
    owned: bool,
}

impl Incoming {
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }
    /// A tensor that may be changed in place.
    pub fn into_owned(self) -> Result<Tensor> {
        if self.owned { Ok(self.tensor) } else { Ok(self.tensor.copy()?) }
    }
    pub fn into_shared(self) -> Tensor {
        self.tensor
    }
}

/// The state of one backward pass.
pub struct Backward<'a> {
    slots: Vec<Option<Incoming>>,
    parameters: &'a mut Gradients,
}

impl<'a> Backward<'a> {
    pub(super) fn new(num_nodes: usize, parameters: &'a mut Gradients) -> Self {
        Self { slots: (0..num_nodes).map(|_| None).collect(), parameters }
    }

    /// Runs nodes from the last to the first, whose number is given; each is dropped, with what
    /// it keeps, when it has run.
    pub(super) fn run(&mut self, first: usize, mut nodes: Vec<BackwardFn>) -> Result<()> {
        while let Some(node) = nodes.pop() {
            if let Some(incoming) = self.slots[first + nodes.len()].take() {
                node(incoming, self)?;
            }
        }
        Ok(())
    }

    /// Records a segment again and runs it. All nodes from `at` on have run, so its nodes take
    /// their numbers.
    pub(super) fn run_again(
        &mut self,
        at: usize,
        tape: Tape,
        incoming: Incoming,
        segment: impl FnOnce(&Tape) -> Result<Value>,
    ) -> Result<()> {
        let source = segment(&tape)?.source();
        let nodes = tape.into_nodes();
        self.slots.truncate(at);
        self.slots.resize_with(at + nodes.len(), || None);
        self.add_incoming(source, incoming)?;
        self.run(at, nodes)
    }

    /// Adds a gradient whose storage others may hold.
    pub fn add(&mut self, to: Source, gradient: Tensor) -> Result<()> {
        self.add_incoming(to, Incoming { tensor: gradient, owned: false })
    }
    /// Adds a gradient that nobody else holds.
    pub fn add_owned(&mut self, to: Source, gradient: Tensor) -> Result<()> {
        self.add_incoming(to, Incoming { tensor: gradient, owned: true })
    }

    pub(super) fn add_incoming(&mut self, to: Source, gradient: Incoming) -> Result<()> {
        match to {
            Source::Constant => Ok(()),
            Source::Node(i) => {
                self.slots[i] = Some(match self.slots[i].take() {
                    None => gradient,
                    Some(old) if !old.tensor.device().is_cpu() => {
                        let tensor = composed::sum(&old.tensor, &gradient.tensor)?;
                        Incoming { tensor, owned: true }
                    }
                    Some(old) => {
                        // Whichever may be changed takes the sum.
                        let (into, other) =
                            if old.owned { (old, gradient) } else { (gradient, old) };
                        let sum = into.into_owned()?;
                        let other = values(&other.tensor)?;
                        change(&sum, |v| add_in_place(v, &other))?;
                        Incoming { tensor: sum, owned: true }
                    }
                });
                Ok(())
            }
            // On a device the first one becomes the buffer, which others may be added to where it lies.
            Source::Parameter(slot) if !gradient.tensor.device().is_cpu() => {
                self.parameters.add_tensor(slot, gradient.into_owned()?)
            }
            Source::Parameter(slot) => self.parameters.add_tensor(slot, gradient.tensor),
        }
    }

    /// Lets `f` add to a gradient of this shape on a device, where it lies; a new one is zero before.
    #[cfg(feature = "cuda")]
    pub fn add_where_it_lies(
        &mut self,
        to: Source,
        dims: &[usize],
        device: &Device,
        f: impl FnOnce(&Tensor) -> Result<()>,
    ) -> Result<()> {
        let zeros = || Tensor::zeros(dims, DType::F32, device);
        match to {
            Source::Constant => Ok(()),
            Source::Parameter(slot) => {
                let own = &mut self.parameters;
                if !own.written[slot] {
                    own.buffers[slot] = zeros()?;
                    own.written[slot] = true;
                }
                f(&own.buffers[slot])
            }
            Source::Node(i) => {
                let tensor = match self.slots[i].take() {
                    None => zeros()?,
                    Some(old) => old.into_owned()?,
                };
                f(&tensor)?;
                self.slots[i] = Some(Incoming { tensor, owned: true });
                Ok(())
            }
        }
    }

    /// Lets `f` write a gradient of this shape (second argument false) or add to what is
    /// there (true).
    pub fn write(
        &mut self,
        to: Source,
        dims: &[usize],
        f: impl FnOnce(&mut [f32], bool),
    ) -> Result<()> {
        match to {
            Source::Constant => Ok(()),
            Source::Parameter(slot) => self.parameters.write(slot, f),
            Source::Node(i) => {
                match self.slots[i].take() {
                    None => {
                        let mut v = uninit(dims.iter().product());
                        f(&mut v, false);
                        let tensor = Tensor::from_vec(v, dims, &Device::Cpu)?;
                        self.slots[i] = Some(Incoming { tensor, owned: true });
                    }
                    Some(old) => {
                        let sum = old.into_owned()?;
                        change(&sum, |v| f(v, true))?;
                        self.slots[i] = Some(Incoming { tensor: sum, owned: true });
                    }
                }
                Ok(())
            }
        }
    }
}
