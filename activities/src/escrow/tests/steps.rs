//! Shared steps and checks of the milestone tests.

use super::*;

impl World {
    pub async fn take(&self, case: &str, take: HoldRequest) -> OpenReceipt {
        self.effects.ledger.open(&OpenCase { take, ..Self::opening(case, "run", None) }).await.unwrap()
    }

    pub async fn taken(&self, case: &str, take: HoldRequest) -> OpenedCase {
        match self.take(case, take).await {
            OpenReceipt::Opened(opened) => opened,
            other => unreachable!("{case}: {other:?}"),
        }
    }

    /// Opens the review of a milestone, `m-{ordinal}`.
    pub async fn review(&self, ordinal: u32, minor: i64) -> OpenedCase {
        self.taken(&format!("milestone-review:c-1:m-{ordinal}"), milestone(ordinal, minor)).await
    }

    /// Opens another review of the same milestone, under the same workflow id.
    pub async fn review_again(&self, run: &str, ordinal: u32, minor: i64) -> OpenReceipt {
        let case = format!("milestone-review:c-1:m-{ordinal}");
        let order = OpenCase { take: milestone(ordinal, minor), ..Self::opening(&case, run, None) };
        self.effects.ledger.open(&order).await.unwrap()
    }

    pub fn order_for(deposit: &str, milestone: &str, minor: i64) -> DepositOrder {
        DepositOrder { milestone: Some(id(milestone)), ..Self::order(deposit, minor) }
    }

    pub async fn fund(&self, deposit: &str, milestone: &str, minor: i64) -> DepositReceipt {
        self.effects.make_deposit(&Self::order_for(deposit, milestone, minor)).await.unwrap()
    }

    pub async fn close(
        &self,
        opened: &OpenedCase,
        movements: Vec<Movement>,
        remainder: Remainder,
        milestone_done: bool,
    ) {
        let close = Some(Close { remainder, milestone_done });
        let settlement = Settlement { close, ..Self::settlement(opened, movements, true) };
        self.effects.carry_out(&settlement).await.unwrap();
        self.effects.carry_out(&settlement).await.unwrap();
    }

    /// The set-asides, oldest first: purpose, milestone and amount.
    pub async fn set_aside(&self) -> Vec<String> {
        sqlx::query_scalar(
            "/* of a test */ SELECT purpose || ' ' || COALESCE(deposit, milestone, 'nobody''s') || ' ' || amount FROM set_aside
             ORDER BY sequence",
        )
        .fetch_all(self.test.database.pool())
        .await
        .unwrap()
    }

    /// What each open case holds, oldest first.
    pub async fn held(&self) -> Vec<(String, i64)> {
        let holds = self.effects.ledger.holds(&id("c-1")).await.unwrap();
        holds.into_iter().map(|hold| (hold.case_ref, hold.amount.minor())).collect()
    }
}

pub fn milestone(ordinal: u32, minor: i64) -> HoldRequest {
    HoldRequest::Milestone { milestone: id(&format!("m-{ordinal}")), ordinal, amount: amount(minor) }
}

pub fn held_over_from(milestone: &str) -> Remainder {
    Remainder::HeldOver { milestone: Some(id(milestone)) }
}
