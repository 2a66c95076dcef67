//! Measuring: medians of rounds, quantiles of latencies, many at once.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Seconds that something takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The middle one.
pub fn median(figures: &[f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The figure below which the share `at` of them lies.
pub fn quantile(figures: &[f64], at: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * at).round() as usize]
}

/// What came of rounds in which a limit and what is held against it were measured turn and turn about.
pub struct Paired {
    /// Median of the limit.
    pub limit: f64,
    /// Median of the other.
    pub measured: f64,
    /// Median of the ratio of each round: what disturbs both at once does not count.
    pub ratio: f64,
}

/// Measures two rates turn and turn about, after one round that does not count.
pub fn paired(rounds: usize, mut limit: impl FnMut() -> f64, mut measured: impl FnMut() -> f64) -> Paired {
    let (mut limits, mut figures, mut ratios) = (vec![], vec![], vec![]);
    for round in 0..=rounds {
        let (bound, figure) = (limit(), measured());
        if round > 0 {
            limits.push(bound);
            figures.push(figure);
            ratios.push(figure / bound);
        }
    }
    Paired { limit: median(&limits), measured: median(&figures), ratio: median(&ratios) }
}

/// What came of a time under load.
pub struct Load {
    /// Requests a second, of all together.
    pub rate: f64,
    /// Seconds of each request.
    pub latencies: Vec<f64>,
}

impl Load {
    /// How many requests.
    pub fn count(&self) -> f64 {
        self.latencies.len() as f64
    }

    /// Milliseconds below which the share `at` of all requests lies.
    pub fn millis(&self, at: f64) -> f64 {
        quantile(&self.latencies, at) * 1000.0
    }
}

/// Each worker repeats its work for as long as told, on a thread of its own, all beginning at once.
pub fn load<W: FnMut() + Send>(workers: Vec<W>, seconds: f64) -> Load {
    let barrier = Barrier::new(workers.len());
    let time = Duration::from_secs_f64(seconds);
    let latencies: Vec<f64> = thread::scope(|scope| {
        let threads = workers.into_iter().map(|mut work| {
            let barrier = &barrier;
            scope.spawn(move || {
                work();
                barrier.wait();
                let (start, mut latencies) = (Instant::now(), vec![]);
                while start.elapsed() < time {
                    latencies.push(self::seconds(&mut work));
                }
                latencies
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    Load { rate: latencies.len() as f64 / seconds, latencies }
}
