//! Alert transitions → Alertmanager.
