// SPDX-License-Identifier: Apache-2.0
//! Writes conformance vectors (corpus/vectors/README.md) to stdout and a summary of them to stderr.
//! scripts/make-vectors starts this program, and the usage of that script says more.

mod documents;
mod kinds;
mod random;
mod texts;

use kinds::KINDS;
use random::Random;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

fn numbers() -> Option<(u64, usize)> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seed, count] = arguments.as_slice() else { return None };
    Some((seed.parse().ok()?, count.parse().ok()?))
}

/// Returns the number of vectors of each kind. Shares decide; if rounding leaves vectors over, the
/// first kinds get one more each.
fn counts(count: usize) -> Vec<usize> {
    let shares: usize = KINDS.iter().map(|kind| kind.share).sum();
    let mut counts: Vec<usize> = KINDS.iter().map(|kind| count * kind.share / shares).collect();
    // Rounding leaves less than one vector for each kind.
    let left = count - counts.iter().sum::<usize>();
    for own in counts.iter_mut().take(left) {
        *own += 1;
    }
    counts
}

/// The number of vectors for each kind and outcome.
type Outcomes = BTreeMap<(usize, &'static str), usize>;

fn write(seed: u64, count: usize) -> io::Result<Outcomes> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut outcomes = BTreeMap::new();
    for (number, (kind, count)) in KINDS.iter().zip(counts(count)).enumerate() {
        // Each kind has its own generator, so more vectors of one kind do not change those of
        // others.
        let mut random =
            Random::new(seed ^ (number as u64 + 1).wrapping_mul(0xA076_1D64_78BD_642F));
        for _ in 0..count {
            let vector = (kind.make)(&mut random);
            serde_json::to_writer(&mut out, &vector.line)?;
            out.write_all(b"\n")?;
            *outcomes.entry((number, vector.outcome)).or_insert(0) += 1;
        }
    }
    out.flush()?;
    Ok(outcomes)
}

/// Returns whether every outcome makes up at least two of a hundred vectors of its kind, if the
/// kind has enough vectors to say so. Vectors that are mostly rejected for the same reason would
/// show little.
fn is_varied(outcomes: &Outcomes) -> bool {
    KINDS.iter().enumerate().all(|(number, kind)| {
        let of = |outcome| outcomes.get(&(number, outcome)).copied().unwrap_or(0);
        let all: usize = kind.outcomes.iter().map(|outcome| of(outcome)).sum();
        let known: usize = outcomes.iter().filter(|((n, _), _)| *n == number).map(|(_, c)| c).sum();
        all == known && (all < 500 || kind.outcomes.iter().all(|outcome| 50 * of(outcome) >= all))
    })
}

fn main() -> ExitCode {
    let Some((seed, count)) = numbers() else {
        eprintln!("usage: make_vectors SEED COUNT");
        return ExitCode::from(2);
    };
    let outcomes = match write(seed, count) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            eprintln!("make_vectors: {error}");
            return ExitCode::from(3);
        }
    };
    eprintln!("{:<18} {:<26} {:>9}", "kind", "the reference says", "vectors");
    for ((kind, outcome), count) in &outcomes {
        eprintln!("{:<18} {:<26} {:>9}", KINDS[*kind].name, outcome, count);
    }
    if !is_varied(&outcomes) {
        eprintln!("make_vectors: an outcome is missing or rare");
        return ExitCode::from(1);
    }
    ExitCode::SUCCESS
}
