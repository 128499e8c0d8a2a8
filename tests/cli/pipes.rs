//! Streams at their ends: readers that go away, full disks, terminals.

use std::io::Read;
use std::process::Stdio;

use crate::support::Sandbox;

/// A pipe whose reader is gone before the command starts, so that every write fails.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_that_goes_away_is_a_normal_end() {
    let t = Sandbox::new();
    let cases: [&[&str]; 6] = [
        &["--help"],
        &["help", "init"],
        &["--version"],
        &["--version", "--verbose"],
        &["init", "--dump-config"],
        &["generate", "completions", "zsh"],
    ];
    for args in cases {
        let output = t
            .isogloss(args)
            .into_command()
            .stdin(Stdio::null())
            .stdout(closed_pipe())
            .stderr(Stdio::piped())
            .output()
            .expect("runs");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(output.stderr.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// With nowhere to complain, the exit code still tells.
#[test]
fn standard_error_may_be_closed() {
    let t = Sandbox::new();
    for (args, code) in [(["init", "--sede"], 2), (["generate", "panic"], 101)] {
        if code == 101 && !cfg!(debug_assertions) {
            continue;
        }
        let status = t
            .isogloss(args)
            .into_command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(closed_pipe())
            .status()
            .expect("runs");
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let t = Sandbox::new();
    let cases: [&[&str]; 4] = [
        &["--help"],
        &["--version"],
        &["init", "--dump-config"],
        &["generate", "completions", "bash"],
    ];
    for args in cases {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let output = t
            .isogloss(args)
            .into_command()
            .stdin(Stdio::null())
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .expect("runs");
        assert_eq!(output.status.code(), Some(5), "{args:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("error: cannot write") && text.contains("free space"), "{text}");
    }
}

/// What a person at a terminal sees on standard error.
#[cfg(target_os = "linux")]
fn on_a_terminal(args: &[&str], variables: &[(&str, &str)]) -> String {
    use std::os::fd::{FromRawFd, OwnedFd};
    let (mut master, mut slave) = (0, 0);
    // SAFETY: both file descriptors are written by the call before they are read; the null
    // pointers ask for a terminal without a name and with default settings.
    let opened = unsafe {
        libc::openpty(
            &mut master,
            &mut slave,
            std::ptr::null_mut(),
            std::ptr::null(),
            std::ptr::null(),
        )
    };
    assert_eq!(opened, 0, "openpty");
    // SAFETY: both descriptors are open and owned by nobody else.
    let (master, slave) = unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
    let t = Sandbox::new();
    let mut command = t.isogloss(args).into_command();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(slave);
    for (name, value) in variables {
        command.env(name, value);
    }
    let mut child = command.spawn().expect("starts");
    drop(command); // its copy of the terminal's other end
    let mut text = Vec::new();
    // The read ends with an error, not with 0, when the last writer is gone.
    let _ = std::fs::File::from(master).read_to_end(&mut text);
    child.wait().expect("ends");
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn colour_on_a_terminal_and_how_to_refuse_it() {
    let wrong = ["init", "--sede"];
    let coloured = |variables: &[(&str, &str)]| on_a_terminal(&wrong, variables).contains('\u{1b}');
    assert!(coloured(&[]));
    assert!(coloured(&[("NO_COLOR", "")]), "empty is unset");
    assert!(!coloured(&[("NO_COLOR", "1")]));
    assert!(!coloured(&[("TERM", "dumb")]));
    assert!(!coloured(&[("ISOGLOSS_COLOR", "never")]));
    let asked = on_a_terminal(&["init", "--sede", "--color", "always"], &[("NO_COLOR", "1")]);
    assert!(asked.contains('\u{1b}'), "a flag wins over the environment");
}
