//! The LLRP wire codec (EPCglobal LLRP 1.0.1, 1.1).
