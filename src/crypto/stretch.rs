//! Stretching: argon2id on threads of its own, one for each core but one, which give way to everything else.
//!
//! A derivation keeps a core busy for 0.1 s. When a whole practice signs in at eight o'clock, the derivations wait here
//! in a line, and whoever is signed in already reads on as if nothing were the matter. For that a low priority is not
//! enough: Linux lets what runs have its slice of some milliseconds before what wakes takes its place, and a page wakes
//! a thread several times. So one core stays free of derivations.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

use super::CryptoError;

/// Derivations that may wait for a free thread before further ones are refused: each keeps a thread for blocking work
/// waiting, of which the runtime has 512, and half of them must stay free for everybody else's requests.
const WAITING_MAX: usize = 256;
/// How much nicer than the rest of the program the threads are (`nice(2)`): where both want the core a page has nine
/// tenths of it, and a sign-in still comes to its end.
const NICENESS: i32 = 10;
/// A thread without work keeps its memory this long for the next derivation.
const REST: Duration = Duration::from_secs(10);

/// What argon2id makes of a password; verifier and key are derived from it.
pub(super) type Stretched = Zeroizing<[u8; 32]>;

/// The threads and the line before them. Dropped, it ends the threads.
pub(super) struct Stretcher {
    line: Arc<Line>,
    threads: Vec<JoinHandle<()>>,
}

impl Stretcher {
    /// Starts the threads.
    pub fn start() -> Result<Self, CryptoError> {
        let line = Arc::new(Line { rest: REST, ..Line::default() });
        let mut stretcher = Self { line, threads: Vec::new() };
        for number in 0..threads() {
            let line = Arc::clone(&stretcher.line);
            let thread = thread::Builder::new().name(format!("password-{number}")).spawn(move || work(&line));
            stretcher.threads.push(thread.map_err(CryptoError::io("starting a thread"))?);
        }
        Ok(stretcher)
    }

    /// Stretches a peppered password. Blocks for about 0.1 s, longer when others wait.
    ///
    /// # Errors
    /// [`CryptoError::Busy`] when too many are waiting; [`CryptoError::Damaged`] for an impossible cost.
    pub fn stretch(
        &self,
        peppered: Zeroizing<[u8; 32]>,
        salt: [u8; 16],
        cost: Params,
    ) -> Result<Stretched, CryptoError> {
        let reply = self.line.join(peppered, salt, cost)?;
        reply.recv().unwrap_or(Err(CryptoError::Damaged("a derivation")))
    }
}

impl Drop for Stretcher {
    fn drop(&mut self) {
        self.line.lock().is_closed = true;
        self.line.changed.notify_all();
        for thread in self.threads.drain(..) {
            // What could fail there has been answered there.
            _ = thread.join();
        }
    }
}

/// How many derivations run at once.
fn threads() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    cores.saturating_sub(1).max(1)
}

fn work(line: &Line) {
    if let Err(fault) = rustix::process::nice(NICENESS) {
        tracing::warn!(%fault, "sign-ins cannot be given a lower priority: many at once will slow everybody down");
    }
    let mut memory = Vec::new();
    while line.turn(&mut memory) {}
}

/// A derivation that waits.
struct Job {
    peppered: Zeroizing<[u8; 32]>,
    salt: [u8; 16],
    cost: Params,
    answer: SyncSender<Result<Stretched, CryptoError>>,
}

impl Job {
    fn run(&self, memory: &mut Vec<Block>) -> Result<Stretched, CryptoError> {
        memory.resize(self.cost.block_count(), Block::new());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.cost.clone());
        let mut stretched = Stretched::default();
        argon2
            .hash_password_into_with_memory(self.peppered.as_ref(), &self.salt, stretched.as_mut(), memory)
            .map_err(|_| CryptoError::Damaged("the cost of a password"))?;
        Ok(stretched)
    }
}

/// Derivations in the order in which they came.
#[derive(Default)]
struct Line {
    state: Mutex<State>,
    changed: Condvar,
    rest: Duration,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

impl Line {
    /// Joins the line; where the answer comes.
    fn join(
        &self,
        peppered: Zeroizing<[u8; 32]>,
        salt: [u8; 16],
        cost: Params,
    ) -> Result<Receiver<Result<Stretched, CryptoError>>, CryptoError> {
        let (answer, reply) = sync_channel(1);
        let mut state = self.lock();
        if state.jobs.len() >= WAITING_MAX {
            return Err(CryptoError::Busy);
        }
        state.jobs.push_back(Job { peppered, salt, cost, answer });
        drop(state);
        self.changed.notify_one();
        Ok(reply)
    }

    /// One turn of a thread: a derivation, or, when none came for a while, its memory goes back to the system. False
    /// when nobody can come any more.
    fn turn(&self, memory: &mut Vec<Block>) -> bool {
        let patience = if memory.is_empty() { Duration::MAX } else { self.rest };
        let is_idle = |state: &mut State| state.jobs.is_empty() && !state.is_closed;
        let waited = self.changed.wait_timeout_while(self.lock(), patience, is_idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (job, is_closed) = (state.jobs.pop_front(), state.is_closed);
        drop(state);
        match job {
            Some(job) => {
                // Unwind safe: what a panic leaves in the memory the next derivation writes over.
                let stretched = catch_unwind(AssertUnwindSafe(|| job.run(memory)));
                // Nobody waits any more if the caller's thread is gone.
                _ = job.answer.send(stretched.unwrap_or(Err(CryptoError::Damaged("a derivation"))));
                // The blocks hold what the password was stretched into. The next in line writes over all of it.
                if self.lock().jobs.is_empty() {
                    memory.iter_mut().for_each(Zeroize::zeroize);
                }
            }
            None if is_closed => return false,
            None => *memory = Vec::new(),
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost() -> Params {
        Params::new(256, 1, 1, Some(32)).unwrap()
    }

    #[test]
    fn many_at_once_are_all_answered_alike() {
        let stretcher = Stretcher::start().unwrap();
        let alone = stretcher.stretch([7; 32].into(), [1; 16], cost()).unwrap();
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| assert_eq!(stretcher.stretch([7; 32].into(), [1; 16], cost()).unwrap(), alone));
            }
        });
    }

    #[test]
    fn the_threads_give_way() {
        let stretcher = Stretcher::start().unwrap();
        stretcher.stretch([7; 32].into(), [1; 16], cost()).unwrap();
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let stats = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).ok());
        let ours = stats.filter(|stat| stat.contains("(password-"));
        // Behind the name, which stands in brackets: the niceness is field 19.
        let mut niceness =
            ours.map(|stat| stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().to_owned());
        let own = rustix::process::getpriority_process(None).unwrap();
        assert!(niceness.any(|nice| nice == (own + NICENESS).min(19).to_string()), "the one that has had work");
    }

    #[test]
    fn memory_is_wiped_after_a_derivation_and_given_back_after_a_rest() {
        let (line, mut memory) = (Line::default(), Vec::new());
        let reply = line.join([7; 32].into(), [1; 16], cost()).unwrap();
        assert!(line.turn(&mut memory));
        reply.recv().unwrap().unwrap();
        assert_eq!(memory.len(), cost().block_count());
        assert!(memory.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)), "wiped");
        assert!(line.turn(&mut memory), "nobody came");
        assert_eq!(memory.capacity(), 0);
    }

    #[test]
    fn a_line_has_an_end() {
        let line = Line::default();
        for _ in 0..WAITING_MAX {
            line.join([7; 32].into(), [1; 16], cost()).unwrap();
        }
        assert!(matches!(line.join([7; 32].into(), [1; 16], cost()), Err(CryptoError::Busy)));
    }
}
