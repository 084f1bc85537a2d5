//! Which of the things that are ready is done next: as the dice fall.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use crate::scene::locked;

/// Wakes whoever drives the scenario.
#[derive(Default)]
pub(crate) struct Bell(Mutex<Option<Waker>>);

impl Bell {
    pub(crate) fn set(&self, waker: &Waker) {
        *locked(&self.0) = Some(waker.clone());
    }

    fn ring(&self) {
        if let Some(waker) = locked(&self.0).take() {
            waker.wake();
        }
    }
}

/// Says that a future is to be polled.
pub(crate) struct Flag {
    is_up: AtomicBool,
    bell: Arc<Bell>,
}

impl Flag {
    pub(crate) fn new(bell: &Arc<Bell>) -> Arc<Self> {
        Arc::new(Self { is_up: AtomicBool::new(true), bell: Arc::clone(bell) })
    }

    pub(crate) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    pub(crate) fn take_down(&self) {
        self.is_up.store(false, Ordering::Relaxed);
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.is_up.store(true, Ordering::Relaxed);
        self.bell.ring();
    }
}
