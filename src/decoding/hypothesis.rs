//! Finished hypotheses, and the tree of tokens they grow in.

/// Why a hypothesis ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    Eos,
    MaxLen,
}

impl Finish {
    /// As in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eos => "eos",
            Self::MaxLen => "max_len",
        }
    }
}

/// A translation in token ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Behind the decoder's start token: language mark, pieces, and the end mark where it ended
    /// by one.
    pub tokens: Vec<u32>,
    /// Log probability of each token in nats; 0 for forced ones.
    pub token_scores: Vec<f32>,
    /// Their sum.
    pub score: f32,
    /// `score / len(tokens) ^ length_penalty`: what ranking used.
    pub score_norm: f32,
    pub finish: Finish,
}

/// All tokens of one sentence's hypotheses, each knowing the one before it. Hypotheses share
/// their common beginnings, and choosing among them copies nothing.
#[derive(Default)]
pub(super) struct History {
    nodes: Vec<Node>,
}

struct Node {
    parent: u32,
    token: u32,
    log_prob: f32,
}

/// The last token of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(u32);

impl NodeId {
    /// Before the first token.
    pub const ROOT: Self = Self(u32::MAX);
}

impl History {
    pub fn push(&mut self, parent: NodeId, token: u32, log_prob: f32) -> NodeId {
        self.nodes.push(Node { parent: parent.0, token, log_prob });
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// Tokens that are not chosen, each with a log probability of 0.
    pub fn forced(&mut self, tokens: &[u32]) -> NodeId {
        tokens.iter().fold(NodeId::ROOT, |last, token| self.push(last, *token, 0.0))
    }

    /// From the last token to the first.
    pub fn backwards(&self, last: NodeId) -> impl Iterator<Item = (u32, f32)> + '_ {
        let mut at = last.0;
        std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            at = node.parent;
            Some((node.token, node.log_prob))
        })
    }

    /// The tokens in order.
    pub fn tokens(&self, last: NodeId) -> Vec<u32> {
        let mut tokens: Vec<u32> = self.backwards(last).map(|(t, _)| t).collect();
        tokens.reverse();
        tokens
    }

    pub fn hypothesis(&self, last: NodeId, score: f32, score_norm: f32, eos: u32) -> Hypothesis {
        let (mut tokens, mut token_scores): (Vec<u32>, Vec<f32>) = self.backwards(last).unzip();
        tokens.reverse();
        token_scores.reverse();
        let finish = if tokens.last() == Some(&eos) { Finish::Eos } else { Finish::MaxLen };
        Hypothesis { tokens, token_scores, score, score_norm, finish }
    }
}

/// `score / len^penalty` as torch computes it for f32 scores: the power in f64, the quotient in f32.
pub(super) fn normalized(score: f32, len: usize, length_penalty: f64) -> f32 {
    score / (len as f64).powf(length_penalty) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_share_their_beginnings() {
        let mut h = History::default();
        let a = h.push(NodeId::ROOT, 7, -1.0);
        let b = h.push(a, 8, -2.0);
        let c = h.push(a, 2, -3.0);
        assert_eq!(h.tokens(b), [7, 8]);
        let hyp = h.hypothesis(c, -4.0, -2.0, 2);
        assert_eq!(
            (hyp.tokens, hyp.token_scores, hyp.finish),
            (vec![7, 2], vec![-1.0, -3.0], Finish::Eos)
        );
        assert_eq!(h.hypothesis(b, -3.0, -1.5, 2).finish, Finish::MaxLen);
        assert!(h.tokens(NodeId::ROOT).is_empty());
        assert_eq!(normalized(-6.0, 4, 0.5), -3.0);
    }
}
