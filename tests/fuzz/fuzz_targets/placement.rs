//! Law: a placement of LoRA that reads writes the same again.
#![no_main]

use isogloss::formats::placement::Placement;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("placement.json");
    std::fs::write(&path, bytes).expect("write");
    if let Ok(placement) = Placement::read(&path) {
        placement.write(dir.path()).expect("write again");
        assert_eq!(Placement::read(&path).expect("read again"), placement);
    }
});
