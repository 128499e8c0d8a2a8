//! One mask for several directions.

use crate::error::{Error, Result};
use crate::formats::neuron_masks::GroupMasks;
use crate::formats::neurons::Block;

/// How the members of a group become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Combine {
    /// A neuron that any member keeps.
    #[default]
    Union,
    /// A neuron that all members keep.
    Intersection,
    /// Counts are added, then neurons chosen.
    Counts,
}

/// Masks of the members, joined neuron by neuron. `Counts` is joined before the choice, by
/// [`combine_counts`].
pub fn combine_masks(members: &[&GroupMasks], how: Combine) -> GroupMasks {
    let mut out: GroupMasks = members.first().map(|m| (*m).clone()).unwrap_or_default();
    for other in members.iter().skip(1) {
        for (block, flags) in &mut out {
            let Some(others) = other.get(block) else { continue };
            for (f, o) in flags.iter_mut().zip(others) {
                *f = if how == Combine::Intersection { *f && *o } else { *f || *o };
            }
        }
    }
    out
}

/// Counts of several directions, added.
///
/// # Errors
/// Artifact: more than 64 bits hold.
pub fn combine_counts<'a>(members: impl IntoIterator<Item = &'a [u64]>) -> Result<Vec<u64>> {
    let mut sum: Vec<u64> = Vec::new();
    for counts in members {
        sum.resize(counts.len(), 0);
        for (s, c) in sum.iter_mut().zip(counts) {
            *s = s
                .checked_add(*c)
                .ok_or_else(|| Error::artifact("counts add up to more than 64 bits hold"))?;
        }
    }
    Ok(sum)
}

/// The first block of a mask that keeps no neuron.
pub fn empty_block(masks: &GroupMasks) -> Option<Block> {
    masks.iter().find(|(_, flags)| !flags.contains(&true)).map(|(block, _)| *block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::neurons::Side;

    #[test]
    fn union_intersection_and_sum() {
        let block = Block::new(Side::Encoder, 0);
        let mask = |flags: [bool; 3]| GroupMasks::from([(block, flags.to_vec())]);
        let (a, b) = (mask([true, true, false]), mask([true, false, false]));
        assert_eq!(combine_masks(&[&a, &b], Combine::Union)[&block], [true, true, false]);
        let both = combine_masks(&[&a, &b], Combine::Intersection);
        assert_eq!(both[&block], [true, false, false]);
        assert_eq!(empty_block(&both), None);
        assert_eq!(empty_block(&mask([false; 3])), Some(block));
        assert_eq!(combine_counts([&[1, 2][..], &[3, 4]]).unwrap(), [4, 6]);
    }
}
