//! sampler -> batches -> loss -> optimizer -> checkpoint; schedules; resume.
