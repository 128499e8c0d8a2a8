//! isogloss builds multilingual machine translation out of language-specific parts.
//!
//! ```text
//! init -> train -> translate -> score
//! ```
//!
//! Data flows one way; a room imports only rooms below it:
//!
//! * [`cli`] what was typed; [`commands`] one file per subcommand
//! * [`training`], [`decoding`], [`profiling`], [`scoring`] the stages
//! * [`methods`] one published idea per file, providers of the seam
//! * [`model`] M2M-100 and the [seam](model)
//! * [`autograd`] the tape; [`kernels`] fused operations
//! * [`formats`], [`records`], [`text`] on-disk and on-line contracts
//! * [`report`] the only room that draws; [`io`] files and streams; [`random`] named streams;
//!   [`error`], [`exit`], [`version`]

pub mod autograd;
pub mod cli;
pub mod commands;
pub mod decoding;
pub mod error;
pub mod exit;
pub mod formats;
pub mod io;
pub mod kernels;
pub mod methods;
pub mod model;
pub mod profiling;
pub mod random;
pub mod records;
pub mod report;
pub mod scoring;
pub mod text;
pub mod training;
pub mod version;

pub use error::{Error, Result};
