#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

#include <boost/intrusive/slist.hpp>
#include <boost/intrusive/slist_hook.hpp>

#include "server/http/net.hpp"
#include "server/request_handler.hpp"
#include "server/service/group_commit.hpp"

namespace locker::server {

/// Brings sessions back to their worker's thread: those whose index is durable, and those that were
/// woken. Any thread puts them in. While a session is in here, a handler that takes it out is
/// posted to the io_context; if there was no memory for that, tick() takes it out. All calls are
/// made on the worker's thread unless noted.
class SessionMail {
 public:
  /// Base of a session. Other threads call only on_durable(), on_commit_needed() and wake().
  class Recipient : public DurabilityWaiter, public Waker {
   public:
    /// `mail` must outlive all calls.
    explicit Recipient(SessionMail& mail) : mail_(mail) {}
    Recipient(const Recipient&) = delete;
    Recipient& operator=(const Recipient&) = delete;
    void on_durable() final { mail_.on_durable(*this); }
    void on_commit_needed() final { mail_.on_commit_needed(); }
    /// on_wake() follows. Further wakes before that are merged into it.
    void wake() final { mail_.on_woken(*this); }

   protected:
    /// Continues after the awaited index became durable.
    virtual void resume() = 0;
    virtual void on_wake() = 0;
    /// Returns false if `index` is durable already. Otherwise resume() follows.
    [[nodiscard]] bool await_durable(Index index) { return mail_.await_durable(*this, index); }
    /// Announces that wake() is certain to be called once, which ~SessionMail() must wait for.
    void begin_await_wake() { ++mail_.awaited_wakes_; }
    void end_await_wake() { --mail_.awaited_wakes_; }
    /// Whether on_wake() follows, if wake() will not be called again.
    [[nodiscard]] bool has_mail() const { return mail_.has_mail(*this); }

   private:
    friend class SessionMail;
    SessionMail& mail_;
    boost::intrusive::slist_member_hook<> ready_hook_;
    boost::intrusive::slist_member_hook<> woken_hook_;  // guarded by mail_.mutex_
  };

  /// Both must outlive this object.
  SessionMail(net::io_context& io_context, GroupCommit& commit);
  /// Blocks until no other thread knows a session: until wakes under way have arrived, and the
  /// awaited indices are durable. REQUIRES: all sessions are closed.
  ~SessionMail();
  SessionMail(const SessionMail&) = delete;
  SessionMail& operator=(const SessionMail&) = delete;

  /// Call repeatedly while waits() is true.
  void tick();
  [[nodiscard]] bool waits() const {
    return waiting_ != 0 || awaited_wakes_ != 0 || commit_posted_;
  }

 private:
  /// A FIFO queue.
  template <auto hook>
  using SessionList = boost::intrusive::slist<
      Recipient,
      boost::intrusive::member_hook<Recipient, boost::intrusive::slist_member_hook<>, hook>,
      boost::intrusive::cache_last<true>>;
  using ReadyList = SessionList<&Recipient::ready_hook_>;
  using WokenList = SessionList<&Recipient::woken_hook_>;

  /// Sessions that go on per turn. When very many can go on together (a hundred thousand shared
  /// locks are granted), other connections get their turn in between.
  static constexpr std::size_t resumed_in_turn = 128;

  [[nodiscard]] bool await_durable(Recipient& session, Index index);
  [[nodiscard]] bool has_mail(const Recipient& session);
  // Any thread.
  void on_durable(Recipient& session);
  void on_commit_needed();
  void on_woken(Recipient& session);

  /// Posts a call to commit_batch(), take_mail() or resume_some(), which does nothing if this
  /// object is gone by then. False: there is no memory for that.
  template <void (SessionMail::*member)()>
  bool post_later() noexcept;
  void commit_batch();
  void post_mail();
  [[nodiscard]] bool is_mail_posted();
  void take_mail();
  void resume_ready();
  void resume_some();
  void resume(std::size_t limit);
  [[nodiscard]] bool deliver_wakes(std::size_t limit);
  void await_wakes();
  void await_durability();

  net::io_context& io_context_;
  GroupCommit& commit_;
  std::shared_ptr<SessionMail*> alive_;  // for late handlers; null when this object is gone
  bool commit_posted_ = false;
  bool resume_posted_ = false;
  std::size_t waiting_ = 0;  // sessions in GroupCommit, mailed_ or ready_
  std::size_t awaited_wakes_ = 0;
  Index awaited_max_ = 0;
  ReadyList ready_;  // whose index this thread made durable, or that came by mail

  // Guarded by the mutex: sessions whose index another thread made durable, and sessions that any
  // thread woke. One post() carries all of them.
  std::mutex mutex_;
  std::condition_variable arrived_;
  ReadyList mailed_;
  WokenList woken_;
  bool mail_posted_ = false;  // take_mail() is posted
};

}  // namespace locker::server
