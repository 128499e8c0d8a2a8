//! Who made this from what: the metadata of every file we write (style/cli.md, section 10).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Name and version, as in headers and records.
pub const TOOL: &str = concat!("isogloss ", env!("CARGO_PKG_VERSION"));

/// An input of an artifact. `name` is a file or directory name, never a machine path.
#[derive(Clone, Debug)]
pub struct Parent {
    pub role: String,
    pub name: String,
    pub sha256: String,
}

/// How an artifact was made; becomes one line of JSON with sorted keys.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    pub command: String,
    pub args: BTreeMap<String, Value>,
    pub seed: u64,
    pub parents: Vec<Parent>,
    pub signature: Option<String>,
}

impl Provenance {
    pub fn to_json(&self) -> String {
        let parents: Vec<BTreeMap<&str, &str>> = self
            .parents
            .iter()
            .map(|p| {
                BTreeMap::from([("role", &*p.role), ("name", &*p.name), ("sha256", &*p.sha256)])
            })
            .collect();
        let mut m: BTreeMap<&str, Value> = BTreeMap::new();
        m.insert("command", self.command.clone().into());
        m.insert("args", self.args.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
        m.insert("seed", self.seed.into());
        m.insert("parents", serde_json::json!(parents));
        if let Some(s) = &self.signature {
            m.insert("signature", s.clone().into());
        }
        serde_json::json!(m).to_string()
    }

    /// The safetensors metadata of a file of this `kind`.
    pub fn metadata(&self, kind: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("format".to_string(), "pt".to_string()),
            ("kind".to_string(), kind.to_string()),
            ("schema".to_string(), "1".to_string()),
            ("tool".to_string(), TOOL.to_string()),
            ("provenance".to_string(), self.to_json()),
        ])
    }
}

/// The last component of a path: what provenance may say of it.
pub fn display_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "-".into(), |n| n.to_string_lossy().into_owned())
}

/// The beginning of a fingerprint, enough to tell two apart.
pub fn short(sha256: &str) -> String {
    sha256.chars().take(12).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// SHA-256 of a file's bytes, in hexadecimal.
pub fn file_sha256(path: &Path) -> Result<String> {
    use std::io::Read;
    let mut file = std::fs::File::open(path).map_err(|e| Error::io("read", path, e))?;
    let mut hasher = Sha256::new();
    let mut buf = vec![0u8; 1 << 20];
    loop {
        let n = file.read(&mut buf).map_err(|e| Error::io("read", path, e))?;
        if n == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buf[..n]);
    }
}
