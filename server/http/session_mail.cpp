#include "server/http/session_mail.hpp"

#include <algorithm>
#include <limits>
#include <new>

#include <boost/asio/post.hpp>

namespace locker::server {
namespace {

/// The one that is in GroupCommit::commit() on this thread: its sessions need no mutex.
thread_local const SessionMail* committing_here = nullptr;

}  // namespace

SessionMail::SessionMail(net::io_context& io_context, GroupCommit& commit)
    : io_context_(io_context), commit_(commit), alive_(std::make_shared<SessionMail*>(this)) {}

SessionMail::~SessionMail() {
  await_wakes();
  await_durability();
  // commit() may have left us records that other workers wait for.
  while (commit_posted_ && commit_.commit()) {
  }
  *alive_ = nullptr;
}

void SessionMail::await_wakes() {
  constexpr auto all = std::numeric_limits<std::size_t>::max();
  while (deliver_wakes(all)) {  // including wakes of streams, which are not counted
  }
  while (awaited_wakes_ != 0) {
    {
      std::unique_lock lock{mutex_};
      arrived_.wait(lock, [this] { return !woken_.empty(); });
    }
    static_cast<void>(deliver_wakes(all));
  }
}

void SessionMail::await_durability() {
  constexpr auto all = std::numeric_limits<std::size_t>::max();
  resume(all);
  if (waiting_ == 0) return;
  commit_.commit_until(awaited_max_);
  {
    std::unique_lock lock{mutex_};
    arrived_.wait(lock, [this] { return mailed_.size() == waiting_; });
    ready_.swap(mailed_);
  }
  resume(all);
}

template <void (SessionMail::*member)()>
bool SessionMail::post_later() noexcept {
  try {
    net::post(io_context_, [alive = alive_] {
      if (SessionMail* const mail = *alive) (mail->*member)();
    });
    return true;
  } catch (const std::bad_alloc&) {
    return false;  // the next tick does it
  }
}

// Who commits: a session that waits has a commit posted behind the handlers that are ready now, so
// that the requests of their connections join the batch. No session waits for ever:
//   When wait() returns true its index is not durable, so under GroupCommit's mutex its record was
//   either in the open batch or in the one under way. Under way: the committing thread takes the
//   waiter along, because it unlinks the ripe ones under the mutex after durable_index_ is set; a
//   wait() that comes after that returns false. In the open batch: the commit() posted here takes
//   it, or finds another thread committing and returns false. That thread is then not past its
//   last critical section, finds records in the open batch there, and its commit() returns true:
//   its caller has undertaken to call again. A worker does so in commit_batch(); ~SessionMail does
//   for what it leaves; commit_until() hands it on to a session that waits.
bool SessionMail::await_durable(Recipient& session, Index index) {
  if (!commit_posted_) {
    post_later<&SessionMail::commit_batch>();
    commit_posted_ = true;
  }
  if (!commit_.wait(session, index)) return false;
  ++waiting_;
  awaited_max_ = std::max(awaited_max_, index);
  return true;
}

void SessionMail::commit_batch() {
  committing_here = this;
  const bool more = commit_.commit_or_hand_over();
  committing_here = nullptr;
  commit_posted_ = more;
  if (more) post_later<&SessionMail::commit_batch>();
  resume_ready();
}

void SessionMail::resume_ready() {
  if (!resume_posted_) resume_some();
}

void SessionMail::resume_some() {
  resume(resumed_in_turn);
  resume_posted_ = !ready_.empty() && post_later<&SessionMail::resume_some>();
}

void SessionMail::on_durable(Recipient& session) {
  if (committing_here == this) return ready_.push_back(session);
  // Under the mutex to the end: ~SessionMail waits for the count, and then nothing may be used.
  const std::lock_guard lock{mutex_};
  mailed_.push_back(session);
  post_mail();
}

void SessionMail::on_woken(Recipient& session) {
  // Also on this worker's own thread, where a post() is cheap: the session gets its turn later, not
  // inside the code that wakes it.
  const std::lock_guard lock{mutex_};
  if (session.woken_hook_.is_linked()) return;
  woken_.push_back(session);
  post_mail();
}

// REQUIRES: mutex_ is held.
void SessionMail::post_mail() {
  if (!mail_posted_) mail_posted_ = post_later<&SessionMail::take_mail>();
  arrived_.notify_one();
}

bool SessionMail::has_mail(const Recipient& session) {
  const std::lock_guard lock{mutex_};
  return session.woken_hook_.is_linked();
}

bool SessionMail::is_mail_posted() {
  const std::lock_guard lock{mutex_};
  return mail_posted_;
}

void SessionMail::on_commit_needed() { post_later<&SessionMail::commit_batch>(); }

void SessionMail::take_mail() {
  {
    const std::lock_guard lock{mutex_};
    ready_.splice(ready_.end(), mailed_);
    mail_posted_ = false;
  }
  resume_ready();
  if (!deliver_wakes(resumed_in_turn)) return;
  const std::lock_guard lock{mutex_};
  post_mail();
}

// Returns whether any are left. A session stays in the mail until its turn comes: only then may it
// be put into the list again.
bool SessionMail::deliver_wakes(std::size_t limit) {
  std::unique_lock lock{mutex_};
  for (; limit > 0 && !woken_.empty(); --limit) {
    Recipient& session = woken_.front();
    woken_.pop_front();
    lock.unlock();
    session.on_wake();
    lock.lock();
  }
  return !woken_.empty();
}

void SessionMail::resume(std::size_t limit) {
  for (; limit > 0 && !ready_.empty(); --limit) {
    Recipient& session = ready_.front();
    ready_.pop_front();
    --waiting_;
    session.resume();
  }
}

void SessionMail::tick() {
  // If there was no memory to post it.
  if (commit_posted_ || waiting_ != 0) commit_batch();
  if (!is_mail_posted()) take_mail();
}

}  // namespace locker::server
