//! EPC schemes (GS1 TDS).
