//! How PEFT's configuration names modules.

use regex::Regex;

use crate::error::{Error, Result};

/// A list entry of `target_modules`: the module's path, or its end after a dot.
pub fn is_suffix(path: &str, name: &str) -> bool {
    path == name || path.strip_suffix(name).is_some_and(|head| head.ends_with('.'))
}

/// A string of `target_modules`: a regular expression for the whole path.
pub fn whole(key: &str, pattern: &str) -> Result<Regex> {
    compile(key, pattern, &format!("^(?:{pattern})$"))
}

/// A key of `rank_pattern` or `alpha_pattern`: a regular expression for the end of the path, with
/// anything up to a dot before it.
pub fn ending(key: &str, pattern: &str) -> Result<Regex> {
    compile(key, pattern, &format!(r"^(?:.*\.)?(?:{pattern})$"))
}

fn compile(key: &str, pattern: &str, full: &str) -> Result<Regex> {
    Regex::new(full).map_err(|e| {
        Error::artifact(format!("`{pattern}` is not a regular expression we can use"))
            .key(key)
            .cause(e.to_string().lines().last().unwrap_or_default().trim().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_peft() {
        let path = "model.encoder.layers.1.self_attn.q_proj";
        assert!(is_suffix(path, "q_proj") && is_suffix(path, "self_attn.q_proj"));
        assert!(is_suffix(path, path) && !is_suffix(path, "proj") && !is_suffix(path, "1"));
        assert!(whole("k", r".*encoder.*\.q_proj").unwrap().is_match(path));
        assert!(!whole("k", "q_proj").unwrap().is_match(path));
        assert!(ending("k", "q_proj").unwrap().is_match(path));
        assert!(ending("k", path).unwrap().is_match(path));
        assert!(ending("k", r"layers\.\d\.self_attn.q_proj").unwrap().is_match(path));
        assert!(!ending("k", "roj").unwrap().is_match(path));
        // A path written as a key hits that module only, unescaped dots and all.
        assert!(!ending("k", path).unwrap().is_match("model.encoder.layers.11.self_attn.q_proj"));
        assert!(whole("k", "(").is_err());
    }
}
