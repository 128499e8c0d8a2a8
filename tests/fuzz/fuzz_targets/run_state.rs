//! Law: a run state that reads writes the same again.
#![no_main]

use isogloss::training::RunState;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = serde_json::from_slice::<RunState>(bytes) {
        let text = serde_json::to_vec(&state).expect("encode");
        let again: RunState = serde_json::from_slice(&text).expect("decode");
        assert_eq!(state.step, again.step);
    }
});
