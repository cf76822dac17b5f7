#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

#include <boost/intrusive/slist.hpp>

#include "server/http/net.hpp"
#include "server/http/session.hpp"
#include "server/service/group_commit.hpp"

namespace locker::server {

/// Brings sessions back to their worker's thread: those whose index is durable, and those that were
/// woken. Any thread puts them in. For as long as one is in here, its way out is posted to the
/// io_context, or where there was no memory for that, tick() takes it out. On the worker's thread
/// but where it says so.
class SessionMail {
 public:
  /// Both must outlive it.
  SessionMail(net::io_context& io_context, GroupCommit& commit);
  /// Blocks until nobody else knows a session: until wakes that were under way have arrived, and
  /// what they wait for is durable. REQUIRES: all sessions are closed.
  ~SessionMail();
  SessionMail(const SessionMail&) = delete;
  SessionMail& operator=(const SessionMail&) = delete;

  /// False when `index` is durable already; else true, and Session::resume() follows.
  [[nodiscard]] bool await_durable(Session& session, Index index);
  void on_durable(Session& session);  ///< Any thread, as the next two.
  void on_commit_needed();
  /// Session::on_wake() follows. More wakes until then are the same one.
  void on_woken(Session& session);
  /// For a session that is woken once for sure, and must be waited for.
  void begin_await_wake() { ++awaited_wakes_; }
  void end_await_wake() { --awaited_wakes_; }
  /// Whether on_wake() follows, for a session that nobody wakes any more.
  [[nodiscard]] bool has_mail(const Session& session);

  /// To be called again and again as long as it has something to wait for.
  void tick();
  [[nodiscard]] bool waits() const {
    return waiting_ != 0 || awaited_wakes_ != 0 || commit_posted_;
  }

 private:
  /// First in, first out.
  template <auto hook>
  using SessionList = boost::intrusive::slist<
      Session, boost::intrusive::member_hook<Session, boost::intrusive::slist_member_hook<>, hook>,
      boost::intrusive::cache_last<true>>;
  using ReadyList = SessionList<&Session::ready_hook>;
  using WokenList = SessionList<&Session::woken_hook>;

  /// Sessions that go on in one turn. When very many can at once (a hundred thousand shared locks
  /// are granted) the other connections get theirs in between.
  static constexpr std::size_t resumed_in_turn = 128;

  /// Calls commit_batch(), take_mail() or resume_some() later, unless this is gone by then. False:
  /// there is no memory for that.
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
  std::shared_ptr<SessionMail*> alive_;  // what late handlers look at; null when this is gone
  bool commit_posted_ = false;
  bool resume_posted_ = false;
  std::size_t waiting_ = 0;  // sessions in GroupCommit, mailed_ or ready_
  std::size_t awaited_wakes_ = 0;
  Index awaited_max_ = 0;
  ReadyList ready_;  // whose index this very thread made durable, or that came by mail

  // Where other threads put sessions whose index is durable, and any thread those that it wakes;
  // one post() carries all of them. Under the mutex:
  std::mutex mutex_;
  std::condition_variable arrived_;
  ReadyList mailed_;
  WokenList woken_;
  bool mail_posted_ = false;  // take_mail() is
};

}  // namespace locker::server
