//! Greedy and beam search over the cache; direction grouping; order restoring.
