//! Changes of the register that are asked of us where the database owns it: planned by the core, written to the
//! database, and answered once they have come back from there. What of an order is not the register's (custody, an
//! erasure) goes to the core itself, after the rest.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::rows::{self, Writes};
use super::session::Following;
use super::{RegisterRequest, mirror};
use crate::config::RegisterOwner;
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::erasure::Erase;
use crate::domain::orders::{Answer, Order};
use crate::domain::register::{Misfit, Plan};
use crate::store::timescale::error::StoreError;

/// A change of the register that was asked of us.
pub struct Edit {
    pub order: Order,
    pub reply: oneshot::Sender<Answer>,
}

impl Following<'_> {
    pub async fn edit(&mut self, edit: Edit) -> Result<(), StoreError> {
        let Edit { order, reply } = edit;
        self.catch_up().await?;
        let (to, planned) = oneshot::channel();
        let request = RegisterRequest::Plan { order: order.clone(), reply: to };
        self.session.core.send(request).await.map_err(|_| StoreError::WriterGone)?;
        let answer = match planned.await.map_err(|_| StoreError::WriterGone)? {
            Err(answer) => answer,
            Ok(plan) => {
                let result = self.carry_out(&order, plan).await?;
                let request = RegisterRequest::Answered { order, result: result.clone() };
                self.session.core.send(request).await.map_err(|_| StoreError::WriterGone)?;
                Answer { result, repeated: false }
            }
        };
        if reply.send(answer).is_err() {
            tracing::debug!("who changed the register did not wait for the answer");
        }
        Ok(())
    }

    /// Writes a plan to the database, and waits until it has come back.
    async fn carry_out(&mut self, order: &Order, plan: Plan) -> Result<Result<Outcome, Refused>, StoreError> {
        let mut writes = Writes::default();
        for record in &plan.puts {
            writes.put(record.table(), serde_json::to_value(record).map_err(StoreError::Current)?);
        }
        for (table, key) in &plan.removals {
            writes.remove(table, key);
        }
        // Rows of theirs that did not fit stand there as well, and would come when they do.
        let unfit = plan.erase.as_ref().map(|erase| self.misfits_of(erase)).unwrap_or_default();
        for misfit in unfit.values() {
            writes.remove(&misfit.change.table, &misfit.change.key);
        }
        if !writes.is_empty()
            && let Err(refused) = self.write(&order.by, &writes).await?
        {
            return Ok(Err(refused));
        }
        self.catch_up().await?;
        let puts = plan.puts.iter().map(crate::domain::register::Record::state_key);
        let gone = plan.removals.iter().map(|(table, key)| format!("{table}/{key}"));
        if let Some(misfit) = puts.chain(gone).find_map(|key| self.misfits.get(&key)) {
            return Ok(Err(Refused::Conflict { reason: misfit.reason.clone() }));
        }
        if let Some(erase) = plan.erase {
            self.misfits.retain(|key, _| !unfit.contains_key(key));
            self.forget(unfit).await?;
            self.tell_problems().await?;
            return self.hand_on(order, Command::ErasePerson(erase), plan.outcome).await;
        }
        if plan.checkouts.is_empty() {
            return Ok(Ok(plan.outcome));
        }
        self.check_out(order, plan).await
    }

    /// What of somebody did not fit: their record, their badges.
    fn misfits_of(&self, erase: &Erase) -> BTreeMap<String, Misfit> {
        let theirs = |misfit: &Misfit| {
            let change = &misfit.change;
            let of = change.record.as_ref().and_then(|record| record.get("person")?.as_str());
            match change.table.as_str() {
                "person" => change.key == erase.person.as_str(),
                "tag" => of == Some(erase.person.as_str()),
                _ => false,
            }
        };
        let unfit = self.misfits.iter().filter(|(_, misfit)| theirs(misfit));
        unfit.map(|(key, misfit)| (key.clone(), misfit.clone())).collect()
    }

    /// The records are there: what of an import is custody goes to the core itself.
    async fn check_out(&mut self, order: &Order, plan: Plan) -> Result<Result<Outcome, Refused>, StoreError> {
        let command = Command::Import { records: Vec::new(), checkouts: plan.checkouts };
        self.hand_on(order, command, plan.outcome).await
    }

    /// What of an order is not the register's goes to the core itself.
    async fn hand_on(
        &mut self,
        order: &Order,
        command: Command,
        outcome: Outcome,
    ) -> Result<Result<Outcome, Refused>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = RegisterRequest::Custody {
            order: Order { once: None, only_if: None, command, ..order.clone() },
            reply,
        };
        self.session.core.send(request).await.map_err(|_| StoreError::WriterGone)?;
        let answer = answer.await.map_err(|_| StoreError::WriterGone)?;
        Ok(answer.result.map(|_| outcome))
    }

    async fn write(&mut self, by: &str, writes: &Writes) -> Result<Result<(), Refused>, StoreError> {
        self.connection.begin().await?;
        let outcome = async {
            let who = sqlx::query(
                "SELECT set_config('tallyman.writer', 'edit', true), set_config('tallyman.by', $1, true)",
            );
            self.connection.row("say who writes", who.bind(by.to_owned())).await?;
            if mirror::holder(&mut self.connection).await?.owner != RegisterOwner::Database {
                return Err(StoreError::OtherRegister);
            }
            rows::write(&mut self.connection, writes, None).await
        };
        match outcome.await {
            Ok(()) => self.connection.commit().await.map(Ok),
            Err(error) if error.is_a_refusal() => {
                self.connection.rollback().await?;
                Ok(Err(Refused::Invalid { reason: error.to_string() }))
            }
            Err(error) => Err(error),
        }
    }
}
