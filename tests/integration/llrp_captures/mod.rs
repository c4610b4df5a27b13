//! LLRP messages of real readers and of another project's test suite, against what other
//! implementations read in them: every field, both ways, and the same bytes when encoded again.

mod edgex;
mod ltk;
