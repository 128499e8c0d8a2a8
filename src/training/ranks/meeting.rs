//! How processes find each other before they have anything to speak through: the first one tells the others,
//! who call it at the address that the launcher names, a few bytes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::training::session::STOP_SIGNAL;

/// Bytes that are told.
pub const TOKEN: usize = 128;

/// How long processes wait for each other: on a busy cluster the last one starts late.
const PATIENCE: Duration = Duration::from_secs(300);
const NAP: Duration = Duration::from_millis(20);

/// Which of how many processes this one is, and where the first one is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    pub rank: usize,
    pub size: usize,
    /// `host:port`.
    pub address: String,
}

impl Meeting {
    fn failed(&self, cause: impl std::fmt::Display) -> Error {
        Error::environment("the processes that train together do not find each other")
            .found(format!("rank {} of {}, at `{}`", self.rank, self.size, self.address))
            .cause(cause.to_string())
            .hint("`MASTER_ADDR` and `MASTER_PORT` name the machine of rank 0 and the port below the one it is called at")
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

    /// Gives every process the token of the first one.
    ///
    /// # Errors
    /// Environment: not all come; stopped: by a signal.
    pub fn share(&self, token: &mut [u8; TOKEN]) -> Result<()> {
        if self.rank == 0 { self.tell(token) } else { self.ask(token) }
    }

    fn tell(&self, token: &[u8; TOKEN]) -> Result<()> {
        let started = Instant::now();
        let port = self.address.rsplit(':').next().unwrap_or_default();
        let listener = loop {
            match TcpListener::bind(format!("0.0.0.0:{port}")) {
                Ok(l) => break l,
                // A run that has just ended may hold the port for some seconds.
                Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => self.wait(started, e)?,
                Err(e) => return Err(self.failed(e)),
            }
        };
        listener.set_nonblocking(true).map_err(|e| self.failed(e))?;
        let mut told = vec![false; self.size];
        while told.iter().skip(1).any(|t| !t) {
            match listener.accept() {
                Ok((stream, _)) => {
                    // Who calls and is no rank of ours is not answered.
                    if let Ok(rank) = self.answer(stream, token, &told) {
                        told[rank] = true;
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    let missing = told.iter().skip(1).filter(|t| !**t).count();
                    self.wait(started, format!("{missing} of them have not called"))?;
                }
                Err(e) => return Err(self.failed(e)),
            }
        }
        Ok(())
    }

    /// The rank that called.
    fn answer(&self, mut stream: TcpStream, token: &[u8], told: &[bool]) -> std::io::Result<usize> {
        let nobody = || std::io::Error::from(std::io::ErrorKind::InvalidData);
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut called = [0u8; 16];
        stream.read_exact(&mut called)?;
        let (words, _) = called.as_chunks::<8>();
        let [rank, size] = [words[0], words[1]].map(|w| u64::from_le_bytes(w) as usize);
        if size != self.size || rank == 0 || told.get(rank) != Some(&false) {
            return Err(nobody());
        }
        stream.write_all(token)?;
        Ok(rank)
    }

    fn ask(&self, token: &mut [u8; TOKEN]) -> Result<()> {
        let started = Instant::now();
        loop {
            let asked = TcpStream::connect(&self.address).and_then(|mut stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.write_all(&(self.rank as u64).to_le_bytes())?;
                stream.write_all(&(self.size as u64).to_le_bytes())?;
                stream.read_exact(token)
            });
            match asked {
                Ok(()) => return Ok(()),
                // The first one may not have come to it yet.
                Err(e) => self.wait(started, e)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_hears_what_the_first_says() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let meeting = |rank| Meeting { rank, size: 3, address: format!("127.0.0.1:{port}") };
        let join = |rank: usize| {
            let mut token = [rank as u8 * 7 + 1; TOKEN];
            meeting(rank).share(&mut token).unwrap();
            token
        };
        std::thread::scope(|s| {
            let others = [1, 2].map(|rank| s.spawn(move || join(rank)));
            // Somebody who is none of them, and one that was started with other numbers.
            s.spawn(move || {
                for words in [[9u64, 9], [1, 4]] {
                    let mut told = Vec::new();
                    for _ in 0..200 {
                        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
                            std::thread::sleep(Duration::from_millis(2));
                            continue;
                        };
                        words.iter().for_each(|w| stream.write_all(&w.to_le_bytes()).unwrap());
                        stream.read_to_end(&mut told).ok();
                        break;
                    }
                    assert!(told.is_empty());
                }
            });
            assert_eq!(join(0), [1; TOKEN]);
            for other in others {
                assert_eq!(other.join().unwrap(), [1; TOKEN]);
            }
        });
    }
}
