//! The way out for faults.
//!
//! Rule: the first fault is told, once, with its own sentence. What breaks later because of it (a closed channel, a stopped
//! core) is not told, so that an operator reads the cause and not its echo.

use std::sync::OnceLock;

use quorate_core::error::Fault;

/// Called once with the fault that stops the member. May be called from any thread, also from the log's; must not block.
pub type OnFault = Box<dyn Fn(Fault) + Send + Sync>;

/// Tells the first fault.
pub(super) struct Bell {
    /// Set by the first fault, or by the stop that was asked for.
    told: OnceLock<Option<Fault>>,
    on_fault: OnFault,
}

impl Bell {
    pub(super) fn new(on_fault: OnFault) -> Self {
        Self { told: OnceLock::new(), on_fault }
    }

    /// Tells `fault` unless another was told before or the member is stopping.
    pub(super) fn ring(&self, fault: Fault) {
        if self.told.set(Some(fault.clone())).is_ok() {
            (self.on_fault)(fault);
        }
    }

    /// From here on nothing is told: the member stops because it was asked to.
    pub(super) fn silence(&self) {
        self.told.set(None).ok();
    }

    /// The fault that was told, if any.
    pub(super) fn first(&self) -> Option<Fault> {
        self.told.get().cloned().flatten()
    }
}
