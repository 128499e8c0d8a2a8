//! Law: a file opens and every tensor in it reads, or there is an error.
#![no_main]

use isogloss::formats::neuron_masks::NeuronMasks;
use isogloss::formats::neuron_stats::NeuronStats;
use isogloss::formats::safetensors::TensorFile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("x.safetensors");
    std::fs::write(&path, bytes).expect("write");
    if let Ok(file) = TensorFile::open(&path) {
        for name in file.names() {
            let _ = file.f32_values(&name, None);
        }
    }
    let _ = NeuronStats::read(&path);
    let _ = NeuronMasks::read(&path);
});
