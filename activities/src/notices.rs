//! The effects that store notices.

use recourse_notifications::{NoticeBook, notices::NoticeError};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::ActivityError;

/// The effects that store notices.
#[derive(Debug, Clone)]
pub struct NoticeActivities {
    book: NoticeBook,
}

impl NoticeActivities {
    /// Stores notices in `book`.
    pub const fn new(book: NoticeBook) -> Self {
        Self { book }
    }
}

fn retryable(error: NoticeError) -> ActivityError {
    let type_name = error.type_name().to_owned();
    ActivityError::application(ApplicationFailure::builder(error).type_name(type_name).build())
}

/// The declared effects, by their names on the task queue.
mod declared {
    #![allow(missing_docs, reason = "the SDK's macro makes constants that have none")]

    use std::sync::Arc;

    use recourse_database::in_time;
    use recourse_workflows::effects::{NoticesStored, Tell, TellDef};
    use temporalio_macros::activities;
    use temporalio_sdk::activities::{ActivityContext, ActivityError};

    use super::{NoticeActivities, NoticeError, retryable};

    #[activities]
    impl NoticeActivities {
        /// Stores notices (N1–N3).
        #[activity(definition = TellDef)]
        pub async fn tell(self: Arc<Self>, _: ActivityContext, told: Tell) -> Result<NoticesStored, ActivityError> {
            in_time(self.book.tell(&told), NoticeError::from).await.map_err(retryable)
        }
    }
}
