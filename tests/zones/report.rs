//! The grades as a table for people, and whether the goals are met.

use std::fmt;

use tallyman_simulators::zones::Suite;

use super::{Grade, Judge};

/// Beside every baseline; and on the standard suite as good as a portal is asked to be.
const STANDARD: f64 = 0.99;
const HOSTILE: f64 = 0.95;

type Measure = fn(&Grade) -> f64;
const MEASURES: [(&str, Measure); 2] = [("right", Grade::right), ("F1", Grade::f1)];

#[derive(Debug, Default)]
pub struct Report(pub Vec<Graded>);

#[derive(Debug)]
pub struct Graded {
    pub name: String,
    pub suite: Suite,
    pub grades: Vec<(Judge, Grade)>,
}

impl Graded {
    pub fn of(&self, judge: Judge) -> Option<&Grade> {
        self.grades.iter().find(|(other, _)| *other == judge).map(|(_, grade)| grade)
    }
}

impl Report {
    /// All scenarios of a suite together.
    pub fn suite(&self, suite: Suite, judge: Judge) -> Grade {
        let mut all = Grade::default();
        for graded in self.0.iter().filter(|graded| graded.suite == suite) {
            graded.of(judge).into_iter().for_each(|grade| all.join(grade));
        }
        all
    }

    /// The goals that were not met, in words.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for graded in &self.0 {
            let Some(ours) = graded.of(Judge::Ours) else { continue };
            let goal = if graded.suite == Suite::Standard { STANDARD } else { HOSTILE };
            let others = || graded.grades.iter().filter(|(judge, _)| judge.is_baseline());
            for (what, value) in MEASURES {
                let best = others().map(|(_, grade)| value(grade)).fold(0.0, f64::max);
                let mine = value(ours);
                if mine < goal {
                    failures.push(format!("{}: {what} {mine:.3}", graded.name));
                }
                if mine < best {
                    failures.push(format!("{}: {what} {mine:.3}, a baseline has {best:.3}", graded.name));
                }
            }
        }
        failures
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| scenario | rule | right | none | moves | F1 | found | spurious a tag and day |")?;
        writeln!(f, " told after, p50 / p95 | left | told after, p50 / p95 |")?;
        writeln!(f, "| --- | --- |{}", " ---: |".repeat(9))?;
        for graded in &self.0 {
            for (judge, grade) in &graded.grades {
                row(f, &graded.name, *judge, grade)?;
            }
        }
        for (suite, name) in [(Suite::Standard, "**standard**"), (Suite::Hostile, "**hostile**")] {
            for judge in Judge::ALL {
                let grade = self.suite(suite, judge);
                if grade.rest_s > 0 {
                    row(f, name, judge, &grade)?;
                }
            }
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, judge: Judge, grade: &Grade) -> fmt::Result {
    let none = grade.none_s as f64 / grade.rest_s.max(1) as f64;
    write!(f, "| {name} | {} | {:.4} | {none:.4} ", judge.name(), grade.right())?;
    write!(f, "| {} | {:.3} | {:.3} ", grade.moves, grade.f1(), grade.recall())?;
    write!(f, "| {:.1} ", grade.spurious_a_day())?;
    write!(f, "| {:.0} / {:.0} s ", grade.delay_s(0.5), grade.delay_s(0.95))?;
    write!(
        f,
        "| {:.3} | {:.0} / {:.0} s |",
        grade.leave_recall(),
        grade.leave_delay_s(0.5),
        grade.leave_delay_s(0.95)
    )?;
    writeln!(f)
}
