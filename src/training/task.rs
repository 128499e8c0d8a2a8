//! What is trained on a piece of text (Üstün et al. 2022: any mixture of tasks and languages).

use serde::{Deserialize, Serialize};

use crate::formats::neurons::Side;
use crate::text::Direction;

/// The order is that of records and reports.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Text into another language
    #[default]
    Translation,
    /// A sentence from a damaged copy of itself
    Denoising,
    /// A tag (such as the part of speech) for each word
    Tagging,
}

/// A task with its direction; tasks beside translation have one language, as source and as target.
pub type TaskLane = (Task, Direction);

impl Task {
    pub const ALL: [Self; 3] = [Self::Translation, Self::Denoising, Self::Tagging];

    pub fn name(self) -> &'static str {
        match self {
            Self::Translation => "translation",
            Self::Denoising => "denoising",
            Self::Tagging => "tagging",
        }
    }

    /// The sides of the model that it runs.
    pub fn sides(self) -> &'static [Side] {
        match self {
            Self::Translation | Self::Denoising => &Side::BOTH,
            Self::Tagging => &[Side::Encoder],
        }
    }

    /// The name of the text of one direction: `en-de`, `denoise:fi`, `tag:fi`. Tasks beside
    /// translation have one language, as source and as target.
    pub fn lane_name(self, direction: &Direction) -> String {
        match self {
            Self::Translation => direction.to_string(),
            Self::Denoising => format!("denoise:{}", direction.src_lang),
            Self::Tagging => format!("tag:{}", direction.src_lang),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let d = Direction::new("en", "de");
        let own = Direction::new("fi", "fi");
        assert_eq!(Task::Translation.lane_name(&d), "en-de");
        assert_eq!(Task::Denoising.lane_name(&own), "denoise:fi");
        assert_eq!(Task::Tagging.lane_name(&own), "tag:fi");
        for task in Task::ALL {
            let json = serde_json::to_value(task).unwrap();
            assert_eq!(json, task.name());
            assert_eq!(serde_json::from_value::<Task>(json).unwrap(), task);
        }
        assert!(Task::ALL.is_sorted());
    }
}
