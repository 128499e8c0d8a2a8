//! How processes find each other before they have anything to speak through: the first one tells the others,
//! who call it at the address that the launcher names, a few bytes. The lines stay open: that one is cut is how
//! a process learns that a partner has ended.

use std::io::{ErrorKind as Io, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::training::session::STOP_SIGNAL;

/// Bytes that are told.
pub const TOKEN: usize = 128;
/// Bytes by which processes of one job know each other.
const NAME: usize = 32;

/// How long processes wait for each other: on a busy cluster the last one starts late.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a line is listened to.
const ANSWER: Duration = Duration::from_secs(5);
const NAP: Duration = Duration::from_millis(20);

/// Which of how many processes this one is, and where the first one is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    pub rank: usize,
    pub size: usize,
    /// `host:port`.
    pub address: String,
    /// What no other job has: several may meet on one machine.
    pub job: String,
}

/// The lines to the other processes: the first one has one to each, the others one to the first.
#[derive(Debug, Default)]
pub struct Lines(Vec<TcpStream>);

impl Lines {
    /// Whether a process at the other end has ended.
    pub fn is_cut(&self) -> bool {
        let cut = |line: &TcpStream| match line.peek(&mut [0]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(e) => e.kind() != Io::WouldBlock && e.kind() != Io::Interrupted,
        };
        self.0.iter().any(cut)
    }

    fn keep(&mut self, line: TcpStream) -> std::io::Result<()> {
        line.set_nonblocking(true)?;
        self.0.push(line);
        Ok(())
    }
}

fn nobody() -> std::io::Error {
    std::io::Error::from(Io::InvalidData)
}

impl Meeting {
    fn failed(&self, cause: impl std::fmt::Display) -> Error {
        Error::environment("the processes that train together do not find each other")
            .found(format!("rank {} of {}, at `{}`", self.rank, self.size, self.address))
            .cause(cause.to_string())
            .hint("`MASTER_ADDR` names the machine of rank 0, `MASTER_PORT` the port below the one it is called at")
    }

    /// Waits a moment, unless it has been long, or this process is to stop.
    fn wait(&self, started: Instant, cause: impl std::fmt::Display) -> Result<()> {
        let signal = STOP_SIGNAL.load(Ordering::Relaxed);
        if signal != 0 {
            return Err(Error::new(ErrorKind::Stopped(signal), "stopped by signal"));
        }
        if started.elapsed() > PATIENCE {
            return Err(self.failed(cause));
        }
        std::thread::sleep(NAP);
        Ok(())
    }

    /// What processes of this job call each other.
    fn name(&self) -> [u8; NAME] {
        Sha256::digest(format!("isogloss {} {}", self.size, self.job)).into()
    }

    /// Gives every process the token of the first one.
    ///
    /// # Errors
    /// Environment: not all come; stopped: by a signal.
    pub fn share(&self, token: &mut [u8; TOKEN]) -> Result<Lines> {
        if self.rank == 0 { self.tell(token) } else { self.ask(token) }
    }

    /// Listens where the others call.
    fn listen(&self) -> std::io::Result<TcpListener> {
        let (host, port) = self.address.rsplit_once(':').ok_or_else(nobody)?;
        let loopback = host == "localhost" || host == "::1" || host.starts_with("127.");
        let listener = match loopback {
            true => TcpListener::bind(&self.address)?,
            // Of every kind of address, where the machine has both.
            false => match TcpListener::bind(format!("[::]:{port}")) {
                Err(e) if e.kind() != Io::AddrInUse => {
                    TcpListener::bind(format!("0.0.0.0:{port}"))?
                }
                listener => listener?,
            },
        };
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    fn tell(&self, token: &[u8; TOKEN]) -> Result<Lines> {
        let started = Instant::now();
        let listener = loop {
            match self.listen() {
                Ok(l) => break l,
                // Another job may be meeting there, or one that has just ended hold the port.
                Err(e) if e.kind() == Io::AddrInUse => self.wait(started, e)?,
                Err(e) => return Err(self.failed(e)),
            }
        };
        let (mut told, mut lines) = (vec![false; self.size], Lines::default());
        while told.iter().skip(1).any(|t| !t) {
            match listener.accept() {
                Ok((mut line, _)) => {
                    // Who calls and is no rank of ours is not answered.
                    if let Ok(rank) = self.answer(&mut line, token, &told)
                        && lines.keep(line).is_ok()
                    {
                        told[rank] = true;
                    }
                }
                Err(e) if e.kind() == Io::WouldBlock => {
                    let missing = told.iter().skip(1).filter(|t| !**t).count();
                    self.wait(started, format!("{missing} of them have not called"))?;
                }
                Err(e) => return Err(self.failed(e)),
            }
        }
        Ok(lines)
    }

    /// The rank that called.
    fn answer(&self, line: &mut TcpStream, token: &[u8], told: &[bool]) -> std::io::Result<usize> {
        line.set_nonblocking(false)?;
        line.set_read_timeout(Some(ANSWER))?;
        let (mut name, mut rank) = ([0u8; NAME], [0u8; 8]);
        line.read_exact(&mut name)?;
        line.read_exact(&mut rank)?;
        let rank = u64::from_le_bytes(rank) as usize;
        if name != self.name() || rank == 0 || told.get(rank) != Some(&false) {
            return Err(nobody());
        }
        line.write_all(&name)?;
        line.write_all(token)?;
        Ok(rank)
    }

    fn ask(&self, token: &mut [u8; TOKEN]) -> Result<Lines> {
        let started = Instant::now();
        loop {
            let mut call = || -> std::io::Result<Lines> {
                let mut line = TcpStream::connect(&self.address)?;
                line.set_read_timeout(Some(ANSWER))?;
                line.write_all(&self.name())?;
                line.write_all(&(self.rank as u64).to_le_bytes())?;
                let mut name = [0u8; NAME];
                line.read_exact(&mut name)?;
                if name != self.name() {
                    return Err(nobody());
                }
                line.read_exact(token)?;
                let mut lines = Lines::default();
                lines.keep(line)?;
                Ok(lines)
            };
            match call() {
                Ok(lines) => return Ok(lines),
                // The first one may not have come to it yet, or another job be meeting there.
                Err(e) => self.wait(started, e)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meeting(rank: usize, job: &str, port: u16) -> Meeting {
        Meeting { rank, size: 3, address: format!("127.0.0.1:{port}"), job: job.into() }
    }

    fn join(rank: usize, job: &str, port: u16) -> ([u8; TOKEN], Lines) {
        let mut token = [rank as u8 * 7 + job.len() as u8; TOKEN];
        let lines = meeting(rank, job, port).share(&mut token).unwrap();
        (token, lines)
    }

    /// Two jobs at one port, and a caller who is of neither.
    #[test]
    fn every_process_hears_what_the_first_of_its_job_says() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::thread::scope(|s| {
            s.spawn(move || {
                for _ in 0..200 {
                    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
                        stream.write_all(&[7; NAME + 8]).ok();
                        let mut told = Vec::new();
                        stream.read_to_end(&mut told).ok();
                        return assert!(told.is_empty());
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
            let all = [(1, "b"), (2, "ab"), (1, "ab"), (0, "ab"), (0, "b"), (2, "b")];
            let all = all.map(|(rank, job)| (job, s.spawn(move || join(rank, job, port))));
            for (job, joined) in all {
                assert_eq!(joined.join().unwrap().0, [job.len() as u8; TOKEN]);
            }
        });
    }

    #[test]
    fn a_partner_that_ends_cuts_its_line() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::thread::scope(|s| {
            let others = [1, 2].map(|rank| s.spawn(move || join(rank, "job", port).1));
            let first = join(0, "job", port).1;
            let [second, third] = others.map(|o| o.join().unwrap());
            assert!(![&first, &second, &third].iter().any(|l| l.is_cut()));
            drop(third);
            let until = Instant::now() + ANSWER;
            while !first.is_cut() && Instant::now() < until {
                std::thread::sleep(NAP);
            }
            assert!(first.is_cut() && !second.is_cut());
        });
    }
}
