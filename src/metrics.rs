//! Counters of what happened, without content: numbers only, no label that could name a person.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Every counter of the program. One is made at start and shared.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Answers by the first digit of their status, 1 to 5.
    answers: [AtomicU64; 5],
    /// Messages sent.
    pub sends: Counter,
    /// Messages and drafts destroyed on their date.
    pub destroyed: Counter,
    /// Attachment bytes received, before sealing.
    pub upload_bytes: Counter,
    /// Sign-ins that succeeded.
    pub sign_ins: Counter,
    /// Sign-ins that were refused.
    pub sign_ins_refused: Counter,
    /// Requests turned away by a rate limit.
    pub limited: Counter,
    /// Faults of ours: each is also one line in the log.
    pub faults: Counter,
    /// Notices that wait to be handed to the outside, as the outbox loop last saw it.
    pub outbox_waiting: Gauge,
}

/// Only ever goes up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A level that rises and falls.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// The level is now this.
    pub fn set(&self, level: u64) {
        self.0.store(level, Relaxed);
    }
}

impl Metrics {
    /// Counts one answer with this HTTP status.
    pub fn answered(&self, status: u16) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.answers.get(class) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// The Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(1024);
        head(&mut text, "sealpost_answers_total", "counter", "HTTP answers by class of status.");
        for (class, counter) in (1..).zip(&self.answers) {
            let count = counter.load(Relaxed);
            _ = writeln!(text, "sealpost_answers_total{{class=\"{class}xx\"}} {count}");
        }
        let counters = [
            ("sealpost_sends_total", "Messages sent.", &self.sends),
            ("sealpost_destroyed_total", "Messages and drafts destroyed on their date.", &self.destroyed),
            ("sealpost_upload_bytes_total", "Attachment bytes received.", &self.upload_bytes),
            ("sealpost_sign_ins_total", "Sign-ins that succeeded.", &self.sign_ins),
            ("sealpost_sign_ins_refused_total", "Sign-ins that were refused.", &self.sign_ins_refused),
            ("sealpost_limited_total", "Requests turned away by a rate limit.", &self.limited),
            ("sealpost_faults_total", "Faults of the program, each logged.", &self.faults),
        ];
        for (name, help, counter) in counters {
            head(&mut text, name, "counter", help);
            _ = writeln!(text, "{name} {}", counter.get());
        }
        head(&mut text, "sealpost_outbox_waiting", "gauge", "Notices waiting for the outside.");
        _ = writeln!(text, "sealpost_outbox_waiting {}", self.outbox_waiting.0.load(Relaxed));
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_renders() {
        let metrics = Metrics::default();
        for status in [200, 204, 303, 404, 500, 0, 999] {
            metrics.answered(status);
        }
        metrics.sends.one();
        metrics.upload_bytes.add(10);
        metrics.outbox_waiting.set(3);
        let text = metrics.render();
        for line in [
            "sealpost_answers_total{class=\"2xx\"} 2",
            "sealpost_answers_total{class=\"5xx\"} 1",
            "sealpost_sends_total 1",
            "sealpost_upload_bytes_total 10",
            "sealpost_outbox_waiting 3",
            "# TYPE sealpost_outbox_waiting gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
