//! How a fault ends the member.
//!
//! Rule: the first fault wins; it is logged once, with its sentence, and whoever runs the member learns of it and ends the
//! process. Nothing is retried and nothing is repaired on the way.

use quorate_core::error::Fault;
use tokio::sync::watch;

/// Where faults are reported. Clones report to the same place.
#[derive(Clone, Debug)]
pub struct Fatal(watch::Sender<Option<Fault>>);

impl Default for Fatal {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Fatal {
    /// Reports a fault.
    pub fn report(&self, fault: Fault) {
        self.0.send_if_modified(|first| {
            if first.is_some() {
                return false;
            }
            tracing::error!(fault = %fault, "the member stops because of a fault");
            *first = Some(fault);
            true
        });
    }

    /// The fault that was reported, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<Fault> {
        self.0.borrow().clone()
    }

    /// Resolves with the first fault.
    pub async fn reported(&self) -> Fault {
        let mut reports = self.0.subscribe();
        match reports.wait_for(Option::is_some).await.map(|fault| fault.clone()) {
            Ok(Some(fault)) => fault,
            // Unreachable while `self` lives; waiting for ever is what "no fault" means.
            _ => std::future::pending().await,
        }
    }
}
