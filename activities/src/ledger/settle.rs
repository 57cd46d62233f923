//! Moving what a case holds: checked first, then posted (L2, L3, R7).

use recourse_workflows::domain::{
    money::Amount,
    party::Contract,
    posting::{Account, Close, PostingKind},
};

use super::{Ledger, LedgerError, amount_of, contracts, funding, holds, posting::Posting};
use crate::database::Write;

impl Ledger {
    /// Which of `postings` are made already, in their order, and that the others can be made: the case holds enough,
    /// every refund fits its deposit, and the contract is the one of the money. To be asked before a payment provider
    /// moves anything.
    ///
    /// # Errors
    /// [`LedgerError::OtherContract`], [`LedgerError::PostingConflict`], [`LedgerError::ExceedsHold`] or
    /// [`LedgerError::RefundMismatch`].
    pub(crate) async fn made(
        &self,
        case_ref: &str,
        contract: &Contract,
        postings: &[&Posting],
    ) -> Result<Vec<bool>, LedgerError> {
        let mut transaction = self.database.read().await?;
        let held = holds::held(&mut transaction, case_ref, &contract.id).await?;
        // A case of nothing may have opened before the first deposit, for a contract that then was not pinned. It must
        // be able to close. Whatever has or moves money must match, and a pin that matches never changes.
        if !postings.is_empty() || !held.is_zero() {
            contracts::require(&mut transaction, contract).await?;
        }
        let mut made = Vec::with_capacity(postings.len());
        let mut asked = 0_i64;
        let mut funded = funding::funded(&mut transaction, &contract.id).await?;
        for posting in postings {
            let is_made = posting.is_made(&mut transaction).await?;
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

    /// Makes `postings` in one transaction, drawing what leaves the escrow from what the case holds, and closes its
    /// hold as `close` says, if it does. Those that were made before move nothing.
    ///
    /// # Errors
    /// As [`Ledger::made`]. Nothing of this batch has moved.
    #[tracing::instrument(name = "ledger: post", skip_all)]
    pub(crate) async fn post(
        &self,
        case_ref: &str,
        postings: &[&Posting],
        close: Option<&Close>,
    ) -> Result<(), LedgerError> {
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
    if posting.is_made(write).await? {
        return Ok(());
    }
    if let Account::Escrow(contract) = &posting.debit {
        holds::draw(write, case_ref, contract, posting.amount).await?;
    }
    debug_assert!(posting.amount > Amount::ZERO, "movements of nothing are left out before");
    posting.make(write).await
}
