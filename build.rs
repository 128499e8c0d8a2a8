//! Facts about this build for `--version --verbose`: commit, target, versions of the parts that
//! decide numbers. Works without git and outside a checkout; what is not known is `unknown`.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    emit("ISOGLOSS_BUILD_COMMIT", commit(&root));
    emit("ISOGLOSS_BUILD_TARGET", std::env::var("TARGET").ok());
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    if root.join("Cargo.lock").exists() {
        println!("cargo:rerun-if-changed=Cargo.lock");
    }
    emit("ISOGLOSS_BUILD_CANDLE", locked_version(&lock, "candle-core"));
    emit("ISOGLOSS_BUILD_SACREBLEU", locked_version(&lock, "sacrebleu-rs"));
    if std::env::var_os("CARGO_FEATURE_CUDA").is_some() {
        compile_kernels(&root.join("src/kernels/cuda"));
    }
}

/// The GPU's kernels as PTX, which the driver compiles for the GPU it finds: it runs on the compute
/// capability it was made for and newer ones.
fn compile_kernels(folder: &Path) {
    println!("cargo:rerun-if-changed={}", folder.display());
    for name in ["NVCC", "CUDA_COMPUTE_CAP"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let nvcc = std::env::var_os("NVCC").unwrap_or_else(|| "nvcc".into());
    let capability = std::env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| "80".into());
    // `8.6`, `sm_86` and `86` are the same.
    let capability: String = capability.chars().filter(char::is_ascii_digit).collect();
    let target = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let done = Command::new(&nvcc)
        .arg("--ptx")
        .arg(format!("-arch=compute_{capability}"))
        .args(["-O3", "-o"])
        .arg(target.join("kernels.ptx"))
        .arg(folder.join("kernels.cu"))
        .status();
    match done {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("nvcc: {status}"),
        Err(e) => panic!("no {}: {e}; `make cuda` brings one", nvcc.to_string_lossy()),
    }
}

fn emit(name: &str, value: Option<String>) {
    println!("cargo:rustc-env={name}={}", value.as_deref().unwrap_or("unknown"));
}

/// The commit of this very directory: from git in a checkout, from cargo's note in a package.
/// A package unpacked below somebody else's repository must not report theirs.
fn commit(root: &Path) -> Option<String> {
    if !root.join(".git").exists() {
        let note = std::fs::read_to_string(root.join(".cargo_vcs_info.json")).ok()?;
        let rest = note.split_once("\"sha1\"")?.1.split_once('"')?.1;
        return Some(rest.split_once('"')?.0.chars().take(12).collect());
    }
    // The log of HEAD grows with every commit, checkout and reset.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(root, &["rev-parse", "--git-path", file]) {
            let path = root.join(path);
            if path.exists() {
                println!("cargo:rerun-if-changed={}", path.display());
            }
        }
    }
    git(root, &["rev-parse", "--short=12", "HEAD"])
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_string();
    (output.status.success() && !text.is_empty()).then_some(text)
}

fn locked_version(lock: &str, package: &str) -> Option<String> {
    let after = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?.1;
    Some(after.split_once('"')?.0.to_string())
}
