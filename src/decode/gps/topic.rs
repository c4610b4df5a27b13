//! MQTT topics that are subscribed to, and which of their levels name the device.
//!
//! | written | subscribed | device of `fleet/truck-7/position` |
//! | --- | --- | --- |
//! | `fleet/{device}/position` | `fleet/+/position` | `truck-7` |
//! | `{company}/{device}/position` | `+/+/position` | `fleet/truck-7` |
//! | `fleet/+/position` | the same | no level names it |
//!
//! A word in braces takes the place of one whole level; where there are several, the device's name is their
//! levels in order, with `/` between them. Matching is MQTT 3.1.1's, section 4.7.

use std::borrow::Cow;

/// MQTT's own limit.
const MOST_BYTES: usize = 65_535;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicPattern {
    written: String,
    filter: String,
    /// Without `$share/GROUP/`, which is between us and the broker.
    levels: Vec<Level>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Level {
    Text(String),
    /// `+`
    Any,
    /// A word in braces.
    Device,
    /// `#`: the level above it and all below.
    Rest,
}

impl TopicPattern {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(written: &str) -> Result<Self, &'static str> {
        let levels: Vec<Level> = written.split('/').map(level).collect::<Result<_, _>>()?;
        let is_last = |at: usize| at == levels.len() - 1;
        if levels.iter().enumerate().any(|(at, level)| *level == Level::Rest && !is_last(at)) {
            return Err("# stands only as the last level");
        }
        let filter: Vec<&str> = written
            .split('/')
            .zip(&levels)
            .map(|(text, level)| if *level == Level::Device { "+" } else { text })
            .collect();
        let filter = filter.join("/");
        if written.is_empty() || filter.len() > MOST_BYTES {
            return Err("not an MQTT topic");
        }
        let shared = matches!(&levels[0], Level::Text(first) if first == "$share");
        // MQTT 5, section 4.8.2.
        let named = matches!(levels.get(1), Some(Level::Text(group)) if !group.is_empty());
        if shared && !named {
            return Err("a shared subscription is $share/GROUP/TOPIC");
        }
        let levels = if shared { levels.into_iter().skip(2).collect() } else { levels };
        if levels.is_empty() {
            return Err("a shared subscription is $share/GROUP/TOPIC");
        }
        Ok(Self { written: written.to_owned(), filter, levels })
    }

    /// What the broker is asked for.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// As somebody wrote it.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The broker shares its messages out among several clients (`$share/GROUP/…`).
    pub fn is_shared(&self) -> bool {
        self.unshared_filter().len() < self.filter.len()
    }

    /// The filter without what says who shares it.
    pub fn unshared_filter(&self) -> &str {
        let shared = self.filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        shared.map_or(&self.filter, |(_, filter)| filter)
    }

    pub fn names_device(&self) -> bool {
        self.levels.contains(&Level::Device)
    }

    /// Whether a message on `topic` comes of this subscription.
    pub fn takes(&self, topic: &str) -> bool {
        let wild = !matches!(self.levels.first(), Some(Level::Text(_)));
        if wild && topic.starts_with('$') {
            return false;
        }
        let mut levels = self.levels.iter();
        for part in topic.split('/') {
            match levels.next() {
                Some(Level::Rest) => return true,
                Some(Level::Any | Level::Device) => {}
                Some(Level::Text(text)) if text == part => {}
                Some(Level::Text(_)) | None => return false,
            }
        }
        // `fleet/#` takes `fleet` as well.
        matches!(levels.next(), None | Some(Level::Rest))
    }

    /// The device that a topic which [`TopicPattern::takes`] names; `None` where it names none, or with no
    /// letter of it.
    pub fn device<'t>(&self, topic: &'t str) -> Option<Cow<'t, str>> {
        let mut device: Option<Cow<'t, str>> = None;
        for (part, _) in topic.split('/').zip(&self.levels).filter(|(_, level)| **level == Level::Device) {
            if part.is_empty() {
                return None;
            }
            device = Some(match device {
                None => Cow::Borrowed(part),
                Some(before) => Cow::Owned(format!("{before}/{part}")),
            });
        }
        device
    }
}

fn level(text: &str) -> Result<Level, &'static str> {
    let word = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    match text {
        "+" => Ok(Level::Any),
        "#" => Ok(Level::Rest),
        _ if word.is_some_and(|word| !word.is_empty() && !word.contains(['{', '}', '+', '#', '\0'])) => {
            Ok(Level::Device)
        }
        _ if text.contains(['{', '}']) => Err("a word in braces, such as {device}, is a level of its own"),
        _ if text.contains(['+', '#', '\0']) => Err("+ and # are levels of their own"),
        text => Ok(Level::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(written: &str) -> TopicPattern {
        TopicPattern::parse(written).unwrap()
    }

    #[test]
    fn words_in_braces_name_the_device() {
        for (written, filter, topic, device) in [
            ("fleet/{device}/position", "fleet/+/position", "fleet/truck-7/position", Some("truck-7")),
            ("owntracks/{user}/{device}", "owntracks/+/+", "owntracks/jane/phone", Some("jane/phone")),
            ("{device}", "+", "truck", Some("truck")),
            ("a/{device}/#", "a/+/#", "a/truck/x/y", Some("truck")),
            ("$share/g/a/{device}", "$share/g/a/+", "a/truck", Some("truck")),
            ("a/+", "a/+", "a/truck", None),
            ("a/{device}", "a/+", "a/", None),
            ("a/{user}/{device}", "a/+/+", "a//phone", None),
        ] {
            let pattern = pattern(written);
            assert_eq!((pattern.filter(), pattern.written()), (filter, written));
            assert!(pattern.takes(topic), "{written} {topic}");
            assert_eq!(pattern.device(topic).as_deref(), device, "{written} {topic}");
        }
    }

    /// The examples of the standard, and of what is on its edges.
    #[test]
    fn topics_match_as_mqtt_says() {
        for (written, topic, takes) in [
            ("sport/tennis/#", "sport/tennis", true),
            ("sport/tennis/#", "sport/tennis/player1/ranking", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "any/thing", true),
            ("#", "$SYS/uptime", false),
            ("+/uptime", "$SYS/uptime", false),
            ("$SYS/#", "$SYS/uptime", true),
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/b/c", "a/b", false),
            ("a/B", "a/b", false),
        ] {
            assert_eq!(pattern(written).takes(topic), takes, "{written} {topic}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let long = "a".repeat(MOST_BYTES + 1);
        for written in [
            "",
            "a/#/b",
            "a+/b",
            "a/b#",
            "truck-{device}",
            "{}",
            "a/{de{vice}}",
            "a\0b",
            "$share/g",
            "$share//a",
            "$share/+/a",
            "$share/{g}/a",
            &long,
        ] {
            assert!(TopicPattern::parse(written).is_err(), "{written}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_a_literal_takes_itself_alone(written in "[a-c+#{}/$]{0,12}", topic in "[a-c/$]{0,12}") {
            if let Ok(pattern) = TopicPattern::parse(&written) {
                let (takes, device) = (pattern.takes(&topic), pattern.device(&topic));
                prop_assert!(device.is_none() || pattern.names_device());
                if !written.contains(['+', '#', '{', '$']) {
                    prop_assert_eq!(takes, topic == written);
                }
            }
        }
    }
}
