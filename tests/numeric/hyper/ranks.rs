//! Several ranks beside one process that runs their batches in turn: the same update to the bit.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Mutex};

use isogloss::error::{ErrorKind, Result};
use isogloss::formats::provenance::Provenance;
use isogloss::training::{Alone, Corpus, Ranks, StepReport, Trainer};

use super::training::{adapters, base, bits, corpus, hyper_training, network, trainer_of};

/// What threads tell each other.
struct Board {
    barrier: Barrier,
    words: Mutex<Vec<Vec<u64>>>,
}

/// A thread that plays a process.
struct Threads {
    rank: usize,
    size: usize,
    board: Arc<Board>,
}

impl Threads {
    fn all(size: usize) -> Vec<Self> {
        let board = Arc::new(Board {
            barrier: Barrier::new(size),
            words: Mutex::new(vec![Vec::new(); size]),
        });
        (0..size).map(|rank| Self { rank, size, board: Arc::clone(&board) }).collect()
    }
}

impl Ranks for Threads {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.size
    }
    fn gather(&mut self, mine: &[u64]) -> Result<Vec<u64>> {
        self.board.words.lock().unwrap()[self.rank] = mine.to_vec();
        self.board.barrier.wait();
        let all = self.board.words.lock().unwrap().concat();
        // Nobody writes again before everybody has read.
        self.board.barrier.wait();
        Ok(all)
    }
    fn sum(&mut self, values: &mut [f32]) -> Result<()> {
        let bits: Vec<u64> = values.iter().map(|v| u64::from(v.to_bits())).collect();
        let all = self.gather(&bits)?;
        for (i, v) in values.iter_mut().enumerate() {
            let of = |rank: usize| f32::from_bits(all[rank * bits.len() + i] as u32);
            *v = (1..self.size).fold(of(0), |sum, rank| sum + of(rank));
        }
        Ok(())
    }
}

/// A trainer of everything: a hyper-network, and a model of which half is trained.
fn trainer(corpus: &Arc<Corpus>, num_ranks: usize, ranks: Box<dyn Ranks>) -> Trainer {
    let model = base(|name| name.contains("encoder"));
    let mut network = network(adapters(), corpus);
    network.config.trained_sides = Some(Default::default());
    let first = model.trainable().count();
    let mut method = hyper_training(&network);
    for (slot, p) in (first..).zip(isogloss::training::TrainedParts::parameters_mut(&mut *method)) {
        p.slot = Some(slot);
    }
    let mut t = trainer_of(corpus, model, (method, None), num_ranks, ranks);
    t.options.grad_accum = 2;
    t
}

type Bits = BTreeMap<String, Vec<u32>>;

/// Bits of all parameters and moments, and what the checkpoint of the method says.
fn state(t: &Trainer) -> (Bits, Bits, String) {
    let moments = t.trained().flat_map(|p| {
        let m = t.optimizer.moments(p.slot.unwrap());
        let tensors = [("first", m.first.clone()), ("second", m.second.clone())];
        tensors.map(|(kind, tensor)| isogloss::autograd::Parameter {
            name: format!("{}.{kind}.{}", p.name, m.step).into(),
            tensor,
            slot: None,
        })
    });
    let moments: Vec<_> = moments.collect();
    let dir = tempfile::tempdir().unwrap();
    let provenance = Provenance {
        command: "train".into(),
        args: Default::default(),
        seed: 1,
        parents: Vec::new(),
        signature: None,
    };
    t.method.as_ref().unwrap().write(dir.path(), &provenance).unwrap();
    let config = std::fs::read_to_string(dir.path().join("hypernet.json")).unwrap();
    (bits(t.trained()), bits(moments.iter()), config)
}

fn updates(t: &mut Trainer, n: usize) -> Vec<StepReport> {
    (0..n)
        .map(|_| {
            let plans = t.draw();
            t.update(&plans).unwrap()
        })
        .collect()
}

#[test]
fn ranks_of_their_own_equal_ranks_in_turn() {
    let corpus = corpus(&["de", "fi"], &["fi"], false);
    for size in [2, 3] {
        let mut alone = trainer(&corpus, size, Box::new(Alone));
        let reports = updates(&mut alone, 12);
        // Batches of several lanes, so that gradients come from some ranks only.
        assert!(reports.iter().any(|r| r.by_pair.len() < corpus.directions.len()));
        let want = state(&alone);
        let handles: Vec<_> = Threads::all(size)
            .into_iter()
            .map(|ranks| {
                let corpus = Arc::clone(&corpus);
                std::thread::spawn(move || {
                    let mut t = trainer(&corpus, size, Box::new(ranks));
                    let reports = updates(&mut t, 12);
                    (reports, state(&t))
                })
            })
            .collect();
        for handle in handles {
            let (got_reports, got) = handle.join().unwrap();
            assert_eq!(got_reports, reports);
            assert_eq!(got.2, want.2);
            assert_eq!(got, want);
        }
    }
}

/// A rank is the unit of a sum: twice as many batches of one rank are another order of sums.
#[test]
fn ranks_are_nearly_accumulation() {
    let corpus = corpus(&["de", "fi"], &[], false);
    let mut ranks = trainer(&corpus, 2, Box::new(Alone));
    let mut accumulated = trainer(&corpus, 1, Box::new(Alone));
    accumulated.options.grad_accum = 4;
    let (a, b) = (updates(&mut ranks, 6), updates(&mut accumulated, 6));
    for (a, b) in a.iter().zip(&b) {
        assert_eq!((a.tokens, a.sentences, a.weight), (b.tokens, b.sentences, b.weight));
        assert!((a.sums.loss / b.sums.loss - 1.0).abs() < 1e-4, "{a:?} {b:?}");
        assert!((a.grad_norm / b.grad_norm - 1.0).abs() < 1e-3, "{a:?} {b:?}");
    }
}

/// Whoever stands elsewhere is named, by the first rank alone.
#[test]
fn a_rank_that_begins_elsewhere_is_found() {
    let corpus = corpus(&["de", "fi"], &[], false);
    let handles: Vec<_> = Threads::all(3)
        .into_iter()
        .map(|ranks| {
            let corpus = Arc::clone(&corpus);
            std::thread::spawn(move || {
                let mut t = trainer(&corpus, 3, Box::new(ranks));
                t.check_equal().unwrap();
                if t.ranks.rank() == 2 {
                    t.draw();
                }
                let found = t.check_equal();
                (t.ranks.rank(), found.map_err(|e| e.to_string()))
            })
        })
        .collect();
    for (rank, found) in handles.into_iter().map(|h| h.join().unwrap()) {
        match rank {
            0 => assert!(found.unwrap_err().contains("rank 2 stands elsewhere")),
            _ => found.unwrap(),
        }
    }
}

/// A batch whose loss is not finite stops all ranks with one error, and none has moved.
#[test]
fn all_ranks_see_a_loss_that_is_not_finite() {
    let corpus = corpus(&["de", "fi"], &[], false);
    let handles: Vec<_> = Threads::all(2)
        .into_iter()
        .map(|ranks| {
            let corpus = Arc::clone(&corpus);
            std::thread::spawn(move || {
                let mut t = trainer(&corpus, 2, Box::new(ranks));
                updates(&mut t, 1);
                // Only the last rank's batch sees the damage: its weights alone are broken.
                if t.ranks.rank() == 1 {
                    let p = t.set.iter().find(|p| &*p.name == "model.shared.weight").unwrap();
                    isogloss::kernels::storage::change(&p.tensor, |w| w.fill(f32::NAN)).unwrap();
                }
                let before = bits(t.trained());
                let plans = t.draw();
                let e = t.update(&plans).unwrap_err();
                assert_eq!(bits(t.trained()), before);
                assert_eq!(t.step(), 1);
                (e.kind(), e.to_string())
            })
        })
        .collect();
    let told: Vec<_> = handles.into_iter().map(|h| h.join().unwrap()).collect();
    assert_eq!(told[0].0, ErrorKind::Data);
    assert_eq!(told[0], told[1]);
}
