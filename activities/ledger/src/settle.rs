//! Moving a case's money: first the checks, then the postings (L2, L3, R7).

use std::sync::Arc;

use recourse_database::Write;
use recourse_domain::{
    money::Amount,
    party::Contract,
    posting::{Account, Close, PostingKind},
};
use sqlx::{Any, Transaction};

use super::{Ledger, LedgerError, amount_of, contracts, funding, holds, posting::Posting, together::Order};

impl Ledger {
    /// Returns which of `postings` exist already, in their order, and checks that the others can be made: the case
    /// holds enough, every refund fits its deposit, and the contract is the pinned one. Call it before a payment
    /// provider moves anything.
    ///
    /// # Errors
    /// [`LedgerError::OtherContract`], [`LedgerError::PostingConflict`], [`LedgerError::ExceedsHold`] or
    /// [`LedgerError::RefundMismatch`].
    pub async fn made(
        &self,
        case_ref: &str,
        contract: &Contract,
        postings: &[&Posting],
    ) -> Result<Vec<bool>, LedgerError> {
        made(&mut self.database.read().await?, case_ref, contract, postings).await
    }

    /// Makes `order`'s postings and closes its hold if it says so, both or neither. Postings that exist move nothing.
    /// They share a transaction with what others ask for at the same time
    /// ([`WriteQueue`](recourse_database::WriteQueue)), or have their own if that does not work.
    ///
    /// # Errors
    /// As [`Ledger::made`]. Nothing of it has moved.
    #[tracing::instrument(name = "ledger: post", skip_all)]
    pub async fn settle(&self, order: Order) -> Result<(), LedgerError> {
        let order = Arc::new(order);
        if order.may_be_made_together() && self.queue.written(&self.database, &order).await == Some(true) {
            return Ok(());
        }
        let Order { case_ref, contract, postings, close } = &*order;
        let postings: Vec<&Posting> = postings.iter().collect();
        let mut write = self.database.write().await?;
        let made = made(&mut write, case_ref, contract, &postings).await?;
        for (posting, made) in postings.into_iter().zip(made) {
            if !made {
                post_new(&mut write, case_ref, posting).await?;
            }
        }
        if let Some(close) = close {
            holds::close(&mut write, case_ref, close).await?;
        }
        write.commit().await?;
        Ok(())
    }

    /// Makes `postings` in one transaction, takes what leaves the escrow from the case's hold, and closes the hold if
    /// `close` says so. Postings that exist move nothing.
    ///
    /// # Errors
    /// As [`Ledger::made`]. Nothing of these postings has moved.
    #[tracing::instrument(name = "ledger: post", skip_all)]
    pub async fn post(&self, case_ref: &str, postings: &[&Posting], close: Option<&Close>) -> Result<(), LedgerError> {
        let mut write = self.database.write().await?;
        for posting in postings {
            post_one(&mut write, case_ref, posting).await?;
        }
        if let Some(close) = close {
            holds::close(&mut write, case_ref, close).await?;
        }
        write.commit().await?;
        Ok(())
    }
}

pub(super) async fn post_one(write: &mut Write, case_ref: &str, posting: &Posting) -> Result<(), LedgerError> {
    if posting.is_made(write).await? { Ok(()) } else { post_new(write, case_ref, posting).await }
}

/// Makes a posting that does not exist yet.
pub(super) async fn post_new(write: &mut Write, case_ref: &str, posting: &Posting) -> Result<(), LedgerError> {
    if let Account::Escrow(contract) = &posting.debit {
        holds::draw(write, case_ref, contract, posting.amount).await?;
    }
    debug_assert!(posting.amount > Amount::ZERO, "movements of 0 were left out before");
    posting.make(write).await
}

/// See [`Ledger::made`].
async fn made(
    transaction: &mut Transaction<'static, Any>,
    case_ref: &str,
    contract: &Contract,
    postings: &[&Posting],
) -> Result<Vec<bool>, LedgerError> {
    let held = holds::held(transaction, case_ref, &contract.id).await?;
    // A case without money may have opened before the first deposit, for a contract that was not pinned then. It must
    // be able to close. A case that has or moves money must match the pin, and a matching pin never changes.
    if !postings.is_empty() || !held.is_zero() {
        contracts::require(transaction, contract).await?;
    }
    let mut made = Vec::with_capacity(postings.len());
    let mut asked = 0_i64;
    let refunds = postings.iter().any(|posting| posting.kind == PostingKind::Refund);
    let mut funded = if refunds { funding::funded(transaction, &contract.id).await? } else { Vec::new() };
    for posting in postings {
        let is_made = posting.is_made(transaction).await?;
        made.push(is_made);
        if is_made {
            continue;
        }
        if let Account::Escrow(_) = posting.debit {
            asked = asked.saturating_add(posting.amount.minor());
        }
        if posting.kind == PostingKind::Refund {
            let deposit = funded.iter_mut().find(|funded| Some(&funded.deposit) == posting.deposit.as_ref());
            let mismatch =
                |reason: &str| LedgerError::RefundMismatch { id: posting.id.clone(), reason: reason.to_owned() };
            let deposit = deposit.ok_or_else(|| mismatch("there is no such deposit"))?;
            if posting.credit != Account::Source(deposit.source.clone()) {
                return Err(mismatch("it was charged to another source"));
            }
            deposit.left =
                deposit.left.minus(posting.amount).ok_or_else(|| mismatch("less than that is left of it"))?;
        }
    }
    if asked > held.minor() {
        let asked = amount_of(asked, "the sum of a settlement")?;
        return Err(LedgerError::ExceedsHold { case_ref: case_ref.to_owned(), held, asked });
    }
    Ok(made)
}
