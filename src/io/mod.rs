//! Files and streams: `-`, lines with their numbers, atomic replacement, locks.
//! Nothing here knows about translation.

mod atomic;
mod lines;
mod lock;
mod memory;
mod stream;
mod text;

pub use atomic::{AtomicDir, AtomicFile, refuse_existing, refuse_stdout, write_bytes};
pub use lines::{Input, Line, LineReader, MAX_LINE_BYTES};
pub use lock::LockFile;
pub use memory::{available_bytes, resident_bytes};
pub use stream::{Output, stdout_error};
pub use text::read_text;
