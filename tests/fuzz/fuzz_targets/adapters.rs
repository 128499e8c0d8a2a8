//! Law: an adapter set that opens gives the weights of every site it names, or an error.
#![no_main]

use isogloss::formats::adapters::AdapterDir;
use isogloss::formats::hypernet;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("temporary directory");
    // The first line is the description, the rest the weights.
    let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (description, weights) = bytes.split_at(end);
    for file in ["adapters.json", "hypernet.json", "adapter_config.json"] {
        std::fs::write(dir.path().join(file), description).expect("write");
    }
    for file in ["adapters.safetensors", "hypernet.safetensors", "adapter.safetensors"] {
        std::fs::write(dir.path().join(file), weights.get(1..).unwrap_or_default()).expect("write");
    }
    if let Ok(set) = AdapterDir::open_as_is(dir.path()) {
        for (name, sites) in set.shapes() {
            for site in sites.keys() {
                let _ = set.weights(name, *site);
            }
        }
    }
    if hypernet::read_config(dir.path()).is_ok() {
        let _ = isogloss::methods::hyper::HyperNetwork::read(dir.path());
    }
});
