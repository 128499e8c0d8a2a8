//! Activation counts -> neuron selection -> overlap.
