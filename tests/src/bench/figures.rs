//! The lines that are printed, and the bounds they are held to.

use std::time::Duration;

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// Those that the full form is held to: `docs/benchmarks.md` tells what each one means.
const BOUNDS: [(&str, Bound); 21] = [
    ("issue_1_wall_ratio_lego", Bound::AtMost(0.1)),
    ("issue_1_wall_ratio_uacme", Bound::AtMost(0.6)),
    ("issue_1_ca_requests", Bound::AtMost(9.0)),
    ("issue_1_slack_ms", Bound::AtMost(50.0)),
    ("issue_1_slack_min_ms", Bound::AtLeast(-10.0)),
    ("issue_both_wall_ratio_lego", Bound::AtMost(0.01)),
    ("issue_100_wall_ratio_lego8", Bound::AtMost(0.02)),
    ("issue_100_wall_ratio_uacme8", Bound::AtMost(0.05)),
    ("issue_100_cpu_ratio_lego8", Bound::AtMost(0.25)),
    ("issue_100_requests_per_certificate", Bound::AtMost(7.4)),
    ("issue_100_updates", Bound::AtMost(6.0)),
    ("issue_100_peak_mib", Bound::AtMost(32.0)),
    ("issue_100_failures", Bound::AtMost(0.0)),
    ("issue_1000_over_100_wall_ratio", Bound::AtMost(11.0)),
    ("issue_1000_peak_mib", Bound::AtMost(56.0)),
    ("issue_1000_failures", Bound::AtMost(0.0)),
    ("start_ms", Bound::AtMost(20.0)),
    ("route53_200_calls_add", Bound::AtMost(3.0)),
    ("route53_200_calls_remove", Bound::AtMost(3.0)),
    ("cloudflare_200_calls_add", Bound::AtMost(4.0)),
    ("cloudflare_200_calls_remove", Bound::AtMost(4.0)),
];

/// All figures so far. Each is printed as it comes.
#[derive(Debug, Default)]
pub(super) struct Figures(Vec<(String, f64)>);

impl Figures {
    /// Prints `name value unit`.
    #[expect(clippy::print_stdout, reason = "the figures are the program's output")]
    pub(super) fn put(&mut self, name: &str, value: f64, unit: &str) {
        println!("{name} {} {unit}", digits(value));
        self.0.push((name.to_owned(), value));
    }

    /// Median and minimum of `times`; returns the median.
    pub(super) fn times(&mut self, name: &str, times: &[Duration]) -> f64 {
        let values: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
        let middle = median(&values);
        self.put(&format!("{name}_median"), middle, "s");
        self.put(&format!("{name}_min"), values.iter().copied().fold(f64::INFINITY, f64::min), "s");
        middle
    }

    /// A line for each bound that does not hold. One whose figure was not measured is not
    /// asked.
    pub(super) fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        for (name, value) in &self.0 {
            let Some((_, bound)) = BOUNDS.iter().find(|(bounded, _)| bounded == name) else { continue };
            let (holds, sign, limit) = match *bound {
                Bound::AtMost(limit) => (*value <= limit, "≤", limit),
                Bound::AtLeast(limit) => (*value >= limit, "≥", limit),
            };
            if !holds {
                missed.push(format!("{name}: {} is not {sign} {limit}", digits(*value)));
            }
        }
        missed
    }
}

/// The value in the middle; of an even number, the mean of the two there.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.len() / 2;
    let lower = (sorted.len() - 1) / 2;
    f64::midpoint(sorted[lower], sorted[upper])
}

/// Three digits that count, without an exponent.
fn digits(value: f64) -> String {
    let size = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let decimals = (2.0 - size).clamp(0.0, 6.0);
    let text = format!("{value:.*}", decimals as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_shown_and_no_empty_ones() {
        for (value, text) in [
            (0.0, "0"),
            (0.012_345, "0.0123"),
            (7.33, "7.33"),
            (100.0, "100"),
            (-12.34, "-12.3"),
            (84_123.0, "84123"),
        ] {
            assert_eq!(digits(value), text);
        }
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert!((median(&[9.0, 1.0, 5.0]) - 5.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 9.0]) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_bound_is_missed_on_its_own_side_only() {
        let mut figures = Figures::default();
        figures.put("issue_1_ca_requests", 9.0, "requests");
        figures.put("issue_1_slack_min_ms", -9.0, "ms");
        figures.put("nobody_bounds_this", 1e9, "ms");
        assert!(figures.missed().is_empty());
        figures.put("issue_1_ca_requests", 10.0, "requests");
        figures.put("issue_1_slack_min_ms", -11.0, "ms");
        assert_eq!(
            figures.missed(),
            ["issue_1_ca_requests: 10 is not ≤ 9", "issue_1_slack_min_ms: -11 is not ≥ -10"]
        );
    }
}
