//! Law: a configuration without a fault names a bounded number of parameters.
#![no_main]

use isogloss::model::ModelConfig;
use isogloss::model::checkpoint::parameter_shapes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = serde_json::from_slice::<ModelConfig>(bytes) {
        if config.fault().is_none() {
            assert!(parameter_shapes(&config).len() <= 43 * 1024);
        }
    }
});
