//! One published idea per file, its citation on top; all of them providers of the seam.
