//! What is usual: a fix that lies in a fence enters it, the next that does not leaves it. Of messages that come twice or
//! late nothing is said.

use tallyman_simulators::fleet::Run;

use super::Said;

pub fn judge(run: &Run) -> Vec<Said> {
    let vehicles = run.drives.len();
    let mut newest = vec![i64::MIN; vehicles];
    let mut inside = vec![vec![false; run.fences.len()]; vehicles];
    let mut said = Vec::new();
    for fix in &run.fixes {
        if fix.at_us <= newest[fix.vehicle] {
            continue;
        }
        newest[fix.vehicle] = fix.at_us;
        for (fence, is_inside) in inside[fix.vehicle].iter_mut().enumerate() {
            let enters = run.fences[fence].depth(fix.place) > 0.0;
            if std::mem::replace(is_inside, enters) != enters {
                said.push(Said { vehicle: fix.vehicle, fence, enters, at_us: fix.at_us, inferred: false });
            }
        }
    }
    said
}
