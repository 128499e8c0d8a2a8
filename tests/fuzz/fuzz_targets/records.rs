//! Law: records have rising line numbers until the first error.
#![no_main]

use isogloss::io::Input;
use isogloss::records::{ParallelReader, ReadOptions};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("input");
    std::fs::write(&path, bytes).expect("write");
    if let Ok(reader) = ParallelReader::open(&Input::Path(path), ReadOptions::default()) {
        let mut last = 0;
        for record in reader.map_while(Result::ok) {
            assert!(record.line > last);
            last = record.line;
        }
    }
});
