//! The register in the database: a mirror of the journal's, or the register itself.
//!
//! ```text
//! people, ERP jobs ─▶ tables ─▶ triggers: register_change, NOTIFY
//!                       ▲                  │
//!                       │ writes           ▼ every transaction not yet seen
//! API, CLI ─▶ follower ─┘ (checked first)  follower ─▶ core ─▶ journal
//! ```
//!
//! Where the database owns the register, a change enters `track` only by coming back from there, so what
//! somebody wrote with SQL and what came by the API go the same way. What has been seen is remembered as
//! a snapshot, not as a number: a transaction that commits late is in the next one, whatever numbers it drew.
//! The whole is compared at every start, so nothing depends on the log of changes being whole.

mod compare;
mod desk;
mod edit;
pub mod mirror;
pub mod rows;
mod session;
mod take_up;

use tokio::sync::oneshot;

use crate::domain::commands::{Outcome, Refused};
use crate::domain::orders::{Answer, Order};
use crate::domain::register::{Misfit, News, Plan};

pub use desk::{Follower, OWNERSHIP, ROWS};
pub use take_up::ask_to_adopt;

/// What the follower asks of the core.
pub enum RegisterRequest {
    /// What this order would write to the database.
    Plan { order: Order, reply: oneshot::Sender<Result<Plan, Answer>> },
    /// It was said to this order.
    Answered { order: Order, result: Result<Outcome, Refused> },
    /// Carries out what is custody, on no further conditions; answered after the commit.
    Custody { order: Order, reply: oneshot::Sender<Answer> },
    /// Answered after the commit.
    Follow { news: News, reply: oneshot::Sender<Vec<Misfit>> },
}
