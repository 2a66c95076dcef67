//! The table at the end: what was measured, beside which limit, against which budget.

use std::fmt;

/// What is found of one budget.
struct Line {
    what: String,
    measured: String,
    limit: String,
    ratio: String,
    budget: String,
    verdict: &'static str,
}

/// All of them.
#[derive(Default)]
pub struct Table(Vec<Line>);

/// A budget that a figure is held against.
pub enum Budget {
    AtLeast(f64),
    AtMost(f64),
    /// Told for what it says of another line.
    None,
}

impl Budget {
    fn verdict(&self, figure: f64) -> &'static str {
        let met = match self {
            Self::AtLeast(least) => figure >= *least,
            Self::AtMost(most) => figure <= *most,
            Self::None => return "",
        };
        if met { "met" } else { "MISSED" }
    }

    fn words(&self, unit: &str) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least}{unit}"),
            Self::AtMost(most) => format!("≤ {most}{unit}"),
            Self::None => String::new(),
        }
    }
}

impl Table {
    /// A ratio to a limit of the same run.
    pub fn ratio(&mut self, what: &str, measured: String, limit: String, ratio: f64, budget: &Budget) {
        self.add(Line {
            what: what.to_owned(),
            measured,
            limit,
            ratio: format!("{ratio:.2}"),
            budget: budget.words(" ×"),
            verdict: budget.verdict(ratio),
        });
    }

    /// A figure that has a budget of its own.
    pub fn figure(&mut self, what: &str, figure: f64, unit: &str, budget: &Budget) {
        self.add(Line {
            what: what.to_owned(),
            measured: format!("{figure:.2}{unit}"),
            limit: String::new(),
            ratio: String::new(),
            budget: budget.words(unit),
            verdict: budget.verdict(figure),
        });
    }

    /// Told at once, too: a whole run takes minutes.
    fn add(&mut self, line: Line) {
        eprintln!("  {line}");
        self.0.push(line);
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, measured, limit, ratio, budget, verdict } = self;
        write!(f, "| {what:<46} | {measured:>22} | {limit:>26} | {ratio:>6} | {budget:>10} | {verdict:<6} |")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "measured", "limit in the same run", "ratio", "budget", ""].map(str::to_owned);
        let [what, measured, limit, ratio, budget, _] = head;
        writeln!(f, "{}", Line { what, measured, limit, ratio, budget, verdict: "" })?;
        writeln!(f, "|{:-<48}|{:->23}:|{:->27}:|{:->7}:|{:->11}:|{:-<8}|", "", "", "", "", "", "")?;
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
