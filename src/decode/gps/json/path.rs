//! Paths into a JSON document: `position.latitude`, `coordinates.1`, `$.device.id`, `/odd.key/lat`.

use serde_json::Value;

/// Deeper is none that is meant.
const MOST_STEPS: usize = 32;

/// Where a value lies, from a fix or from the whole document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    written: String,
    from_root: bool,
    steps: Vec<Step>,
}

/// Where fixes lie in the document; there may be many.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FixesPath(Vec<FixStep>);

/// A key of an object, or a place in an array.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Step {
    key: String,
    index: Option<usize>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum FixStep {
    One(Step),
    /// `*`: every member.
    Each,
    /// `{device}`: every member of an object, whose key names the device.
    EachDevice,
}

impl Path {
    /// Keys with dots between them, or a JSON Pointer (RFC 6901), which begins with `/`. In front, `$` is the
    /// whole document.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(written: &str) -> Result<Self, &'static str> {
        let (from_root, rest) = root(written);
        let steps = match rest {
            "" if from_root => Vec::new(),
            rest => keys(rest)?.into_iter().map(Step::new).collect(),
        };
        Ok(Self { written: written.to_owned(), from_root, steps })
    }

    pub fn written(&self) -> &str {
        &self.written
    }

    /// `None` also where there is `null`.
    pub fn find<'v>(&self, fix: &'v Value, root: &'v Value) -> Option<&'v Value> {
        let from = if self.from_root { root } else { fix };
        let found = self.steps.iter().try_fold(from, |value, step| step.of(value))?;
        (!found.is_null()).then_some(found)
    }

    /// Whether it, or what it leads through, is `null`: there is a place for it, and nothing in it.
    pub fn is_null(&self, fix: &Value, root: &Value) -> bool {
        let mut value = if self.from_root { root } else { fix };
        for step in &self.steps {
            match step.of(value) {
                Some(next) => value = next,
                None => break,
            }
        }
        value.is_null()
    }
}

impl FixesPath {
    /// As a [`Path`] from the whole document, with `*` and `{device}` among its keys.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(written: &str) -> Result<Self, &'static str> {
        let (_, rest) = root(written);
        let keys = if rest.is_empty() { Vec::new() } else { keys(rest)? };
        let steps: Vec<FixStep> = keys.into_iter().map(FixStep::new).collect();
        match steps.iter().filter(|step| **step == FixStep::EachDevice).count() {
            0 | 1 => Ok(Self(steps)),
            _ => Err("{device} stands there twice"),
        }
    }

    pub fn names_device(&self) -> bool {
        self.0.contains(&FixStep::EachDevice)
    }

    /// Every value that the path leads to, with the name of its device where the path has it; what is an array
    /// gives its elements. `None` where the path leads nowhere.
    pub fn find<'v>(&self, root: &'v Value) -> Option<Vec<(Option<&'v str>, &'v Value)>> {
        let mut found = vec![(None, root)];
        for step in &self.0 {
            let mut next = Vec::new();
            let mut leads = false;
            for (device, value) in found {
                leads |= step.follow(device, value, &mut next);
            }
            if !leads {
                return None;
            }
            found = next;
        }
        let spread = |(device, value): (Option<&'v str>, &'v Value)| match value {
            Value::Array(items) => items.iter().map(|item| (device, item)).collect(),
            value => vec![(device, value)],
        };
        Some(found.into_iter().flat_map(spread).collect())
    }
}

impl Step {
    fn new(key: String) -> Self {
        Self { index: key.parse().ok(), key }
    }

    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match value {
            Value::Object(members) => members.get(&self.key),
            Value::Array(items) => items.get(self.index?),
            _ => None,
        }
    }
}

impl FixStep {
    fn new(key: String) -> Self {
        match key.as_str() {
            "*" => Self::Each,
            "{device}" => Self::EachDevice,
            _ => Self::One(Step::new(key)),
        }
    }

    /// Whether there was something to follow; an empty array counts.
    fn follow<'v>(
        &self,
        device: Option<&'v str>,
        value: &'v Value,
        out: &mut Vec<(Option<&'v str>, &'v Value)>,
    ) -> bool {
        match (self, value) {
            (Self::One(step), value) => match step.of(value) {
                Some(value) => out.push((device, value)),
                None => return false,
            },
            (Self::Each, Value::Array(items)) => out.extend(items.iter().map(|item| (device, item))),
            (Self::Each, Value::Object(members)) => {
                out.extend(members.values().map(|member| (device, member)));
            }
            (Self::EachDevice, Value::Object(members)) => {
                out.extend(members.iter().map(|(key, member)| (Some(key.as_str()), member)));
            }
            (Self::Each | Self::EachDevice, _) => return false,
        }
        true
    }
}

/// Whether it starts from the whole document, and the rest of it.
fn root(written: &str) -> (bool, &str) {
    match written.strip_prefix('$') {
        Some("") => (true, ""),
        Some(rest) if rest.starts_with('/') => (true, rest),
        Some(rest) => rest.strip_prefix('.').map_or((false, written), |rest| (true, rest)),
        None => (false, written),
    }
}

fn keys(written: &str) -> Result<Vec<String>, &'static str> {
    let keys: Vec<String> = match written.strip_prefix('/') {
        // RFC 6901, section 4: `~1` first.
        Some(pointer) => pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect(),
        None if written.split('.').any(str::is_empty) => return Err("an empty key"),
        None => written.split('.').map(str::to_owned).collect(),
    };
    if keys.len() > MOST_STEPS { Err("too many keys") } else { Ok(keys) }
}
