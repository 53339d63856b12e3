//! Figures of many values, all in milliseconds.

/// Values in order.
pub(crate) struct Values(Vec<f64>);

impl FromIterator<f64> for Values {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }
}

impl Values {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest value that so many percent of all do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Option<f64> {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied()
    }

    pub(crate) fn median(&self) -> Option<f64> {
        self.percentile(50)
    }

    pub(crate) fn lowest(&self) -> Option<f64> {
        self.0.first().copied()
    }

    pub(crate) fn highest(&self) -> Option<f64> {
        self.0.last().copied()
    }

    /// How far each is from 0.
    fn sizes(&self) -> Self {
        self.0.iter().map(|value| value.abs()).collect()
    }
}

/// A value or the sign that there is none.
pub(crate) fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

/// The head over [`errors`].
pub(crate) fn head() {
    println!(
        "  {:<12}{:>6}{:>10} |{:>9}{:>9}{:>9}{:>10}",
        "ms", "lines", "truth", "median", "p99", "worst", "lowest"
    );
}

/// A row: values and what is true. The lowest error is the worst of those that fall short of the truth.
pub(crate) fn errors(label: &str, pairs: &[(f64, f64)]) {
    let errors: Values = pairs.iter().map(|(value, truth)| value - truth).collect();
    let truths: Values = pairs.iter().map(|(_, truth)| *truth).collect();
    let sizes = errors.sizes();
    println!(
        "  {label:<12}{:>6}{:>10} |{:>9}{:>9}{:>9}{:>10}",
        errors.count(),
        cell(truths.median()),
        cell(sizes.median()),
        cell(sizes.percentile(99)),
        cell(sizes.highest()),
        cell(errors.lowest().filter(|lowest| *lowest < 0.0)),
    );
}

/// A row of values that have no truth beside them.
pub(crate) fn figures(label: &str, values: &Values) {
    println!(
        "  {label:<18} median {}, p99 {}, worst {}",
        cell(values.median()),
        cell(values.percentile(99)),
        cell(values.highest())
    );
}
