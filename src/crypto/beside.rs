//! A digest beside other work: SHA-256 takes half as long as opening an age file, and need not wait for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::CryptoError;
use super::secret::{Digest, Hasher};

/// Pieces that may wait for the thread; whoever comes next waits to be let in.
const WAITING_MAX: usize = 64;

/// A thread that hashes for everybody. It ends when nobody can ask for anything any more.
#[derive(Clone)]
pub struct Digester(SyncSender<Job>);

struct Job {
    hasher: Hasher,
    bytes: Arc<Vec<u8>>,
    answer: SyncSender<Hasher>,
}

impl Digester {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`CryptoError::Io`] when the system gives none.
    pub fn start() -> Result<Self, CryptoError> {
        let (jobs, queue) = sync_channel::<Job>(WAITING_MAX);
        let work = move || {
            for Job { mut hasher, bytes, answer } in queue {
                hasher.update(&bytes);
                // Given up before the answer: whoever has it may write over the bytes.
                drop(bytes);
                // Nobody waits any more if a download was broken off.
                _ = answer.send(hasher);
            }
        };
        thread::Builder::new().name("digests".into()).spawn(work).map_err(CryptoError::io("starting a thread"))?;
        Ok(Self(jobs))
    }

    /// Begins a digest.
    pub fn begin(&self) -> Beside {
        let (answer, pending) = sync_channel(1);
        // There is room for one.
        _ = answer.send(Hasher::default());
        Beside { digester: self.clone(), pending }
    }
}

/// A digest that is computed by the thread while its owner does something else.
pub struct Beside {
    digester: Digester,
    pending: Receiver<Hasher>,
}

impl Beside {
    /// Adds bytes; waits until those before them are done, and not for these.
    ///
    /// # Errors
    /// [`CryptoError::Damaged`] if the thread has died.
    pub fn add(&mut self, bytes: Arc<Vec<u8>>) -> Result<(), CryptoError> {
        let (answer, pending) = sync_channel(1);
        let job = Job { hasher: self.settled()?, bytes, answer };
        self.pending = pending;
        self.digester.0.send(job).map_err(|_| dead())
    }

    /// The digest of everything added.
    ///
    /// # Errors
    /// [`CryptoError::Damaged`] if the thread has died.
    pub fn finish(self) -> Result<Digest, CryptoError> {
        self.settled().map(Hasher::finish)
    }

    /// Waits until everything added is hashed.
    fn settled(&self) -> Result<Hasher, CryptoError> {
        self.pending.recv().map_err(|_| dead())
    }
}

fn dead() -> CryptoError {
    CryptoError::Damaged("the thread of digests")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::sha256;

    #[test]
    fn digests_of_many_do_not_mix() {
        let digester = Digester::start().unwrap();
        assert_eq!(digester.begin().finish().unwrap(), sha256(&[]));
        let (mut one, mut other) = (digester.begin(), digester.begin());
        for byte in 0..100 {
            one.add(Arc::new(vec![byte])).unwrap();
            other.add(Arc::new(vec![byte; 3])).unwrap();
        }
        let bytes: Vec<u8> = (0..100).collect();
        assert_eq!(one.finish().unwrap(), sha256(&[&bytes]));
        assert_eq!(other.finish().unwrap(), sha256(&[&bytes.iter().flat_map(|byte| [*byte; 3]).collect::<Vec<_>>()]));
    }
}
