//! What has a place on the plane, in a tree of boxes (a bounding volume hierarchy): what is asked of a few does not cost
//! all of them.
//!
//! All are halved by their middles, from west to east or from south to north, whichever makes the two boxes around the
//! halves smaller; the halves again, until few are left. So long edges side by side lie in boxes side by side. It is
//! made once. A box costs 32 bytes, and a few have but the one around them.
//!
//! No library's: theirs take a box for each edge beside the edge, and know the nearest by one measure, where metres a degree
//! of longitude differ with the latitude of whoever asks.

use smallvec::{SmallVec, smallvec};

use super::plane::Rect;

/// Under a last box at most.
const FEW: usize = 16;
/// Boxes that wait to be opened: one of each level, and 16 levels hold half a million.
const LEVELS: usize = 16;

pub(super) trait Placed {
    fn bounds(&self) -> Rect;
}

#[derive(Clone, Debug)]
pub(super) struct Tree<T> {
    /// What lies under one box is in a row.
    all: Vec<T>,
    /// The first is around all; in box `n` are those around its halves, `2n + 1` and `2n + 2`.
    boxes: Vec<Rect>,
}

/// A box, and where in `all` what is in it begins and ends.
#[derive(Clone, Copy)]
struct Part {
    number: usize,
    from: usize,
    to: usize,
}

impl<T: Placed> Tree<T> {
    pub fn new(mut all: Vec<T>) -> Self {
        let parts = all.len().div_ceil(FEW).next_power_of_two();
        let mut boxes = vec![Rect::NOTHING; 2 * parts - 1];
        divide(&mut all, &mut boxes, 0);
        Self { all, boxes }
    }

    pub fn all(&self) -> &[T] {
        &self.all
    }

    pub fn bounds(&self) -> Rect {
        self.boxes[0]
    }

    /// All that are in wanted boxes, in no order. Some of them may not be wanted themselves.
    pub fn find<'a>(&'a self, wanted: impl Fn(&Rect) -> bool + 'a) -> impl Iterator<Item = &'a T> {
        let mut open: SmallVec<[Part; LEVELS]> = smallvec![self.whole()];
        let mut found = [].iter();
        std::iter::from_fn(move || {
            loop {
                if let Some(one) = found.next() {
                    return Some(one);
                }
                let part = open.pop()?;
                if !wanted(&self.boxes[part.number]) {
                    continue;
                }
                match self.halves(part) {
                    Some([first, second]) => open.extend([second, first]),
                    None => found = self.all[part.from..part.to].iter(),
                }
            }
        })
    }

    /// Those whose boxes overlap a part of the plane.
    pub fn within(&self, part: Rect) -> impl Iterator<Item = &T> {
        self.find(move |place| place.overlaps(&part)).filter(move |one| one.bounds().overlaps(&part))
    }

    /// The nearest and its distance; none as near as `within`: none, or one that was met on the way. To a box it must
    /// be no further than to what is in it.
    pub fn nearest(
        &self,
        within: f64,
        to_box: impl Fn(&Rect) -> f64,
        to_one: impl Fn(&T) -> f64,
    ) -> Option<(f64, &T)> {
        let away = |part: Part| (to_box(&self.boxes[part.number]), part);
        let mut open: SmallVec<[(f64, Part); LEVELS]> = smallvec![away(self.whole())];
        let (mut least, mut nearest) = (within, None);
        while let Some((distance, part)) = open.pop() {
            if distance > least {
                continue;
            }
            if let Some(halves) = self.halves(part) {
                let [first, second] = halves.map(away);
                // The nearer one is opened first, and may make the other needless.
                open.extend(if first.0 <= second.0 { [second, first] } else { [first, second] });
                continue;
            }
            for one in &self.all[part.from..part.to] {
                if to_box(&one.bounds()) <= least {
                    let distance = to_one(one);
                    if nearest.is_none_or(|(so_far, _)| distance < so_far) {
                        (least, nearest) = (distance.min(least), Some((distance, one)));
                    }
                }
            }
        }
        nearest
    }

    fn whole(&self) -> Part {
        Part { number: 0, from: 0, to: self.all.len() }
    }

    fn halves(&self, Part { number, from, to }: Part) -> Option<[Part; 2]> {
        let (first, middle) = (2 * number + 1, from + (to - from) / 2);
        let halves = [Part { number: first, from, to: middle }, Part { number: first + 1, from: middle, to }];
        (first < self.boxes.len()).then_some(halves)
    }
}

/// The least that holds them all.
pub(super) fn around<T: Placed>(all: &[T]) -> Rect {
    all.iter().fold(Rect::NOTHING, |so_far, one| so_far.and(&one.bounds()))
}

/// Puts a part in order, and its boxes where they belong.
fn divide<T: Placed>(part: &mut [T], boxes: &mut [Rect], number: usize) {
    boxes[number] = around(part);
    let (first, middle) = (2 * number + 1, part.len() / 2);
    if first >= boxes.len() {
        return;
    }
    let mut halve = |middle_of: fn(&Rect) -> f64| {
        part.select_nth_unstable_by(middle, |a, b| middle_of(&a.bounds()).total_cmp(&middle_of(&b.bounds())));
        let (one, other) = part.split_at(middle);
        let size = |half: &[T]| around(half).half_girth();
        size(one) + size(other)
    };
    let by_lon = |place: &Rect| place.west + place.east;
    let by_lat = |place: &Rect| place.south + place.north;
    if halve(by_lon) < halve(by_lat) {
        halve(by_lon);
    }
    let (one, other) = part.split_at_mut(middle);
    divide(one, boxes, first);
    divide(other, boxes, first + 1);
}
