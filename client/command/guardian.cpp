#include "client/command/guardian.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <limits>

namespace locker::client {
namespace {

using std::chrono::milliseconds;

constexpr Guardian::Clock::time_point never = Guardian::Clock::time_point::max();

/// A message to the guardian.
struct Told {
  pid_t group = 0;  // 0: not known yet
  Guardian::Clock::time_point term_at = never;
  Guardian::Clock::time_point kill_at = never;
  milliseconds grace{0};
};

/// Reads all pending messages, of which only the last counts: we may have been stopped for long.
/// False if the sender is gone.
bool read_told(int socket, Told& told) {
  Told read;
  for (int flags = 0;;) {
    const ssize_t got = ::recv(socket, &read, sizeof read, flags);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got != sizeof read) return false;
    told = read;
    flags = MSG_DONTWAIT;
  }
}

/// Waits. True when there is a message, or the sender is gone; false at `when`.
bool is_told_before(int socket, Guardian::Clock::time_point when) {
  for (;;) {
    int timeout = -1;
    if (when != never) {
      const auto left = std::chrono::ceil<milliseconds>(BootWait::to_wait_duration(when));
      timeout = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    pollfd watched{socket, POLLIN, 0};
    const int ready = ::poll(&watched, 1, timeout);
    if (ready > 0) return true;
    if (ready == 0 && Guardian::Clock::now() >= when) return false;
  }
}

void sleep_for(milliseconds time) {
  timespec left{time.count() / 1'000, time.count() % 1'000 * 1'000'000};
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

bool is_alive(pid_t group) { return ::kill(-group, 0) == 0; }

void ask_to_end(pid_t group) {
  ::kill(-group, SIGTERM);
  ::kill(-group, SIGCONT);
}

/// Kernels before 5.9 do not know close_range, and some sandboxes forbid it.
void close_range_slowly(unsigned first, unsigned last) {
  constexpr rlim_t limit_max = 1U << 20U;  // bounds the loop if there is no limit
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto end = static_cast<unsigned>(std::min(limit.rlim_cur, limit_max));
  for (unsigned each = first; each <= last && each < end; ++each) ::close(static_cast<int>(each));
}

void close_between(unsigned first, unsigned last) {
  if (first <= last && ::close_range(first, last, 0) != 0) close_range_slowly(first, last);
}

/// Closes inherited descriptors: a reader that waits for the end of a pipe, or a lock of flock(),
/// must not depend on the guardian.
void close_all_but(int kept) {
  const auto number = static_cast<unsigned>(kept);
  if (number > 0) close_between(0, number - 1);
  close_between(number + 1, std::numeric_limits<unsigned>::max());
}

/// The guardian's process. Async-signal-safe calls only, after a fork.
[[noreturn]] void guard(int socket) {
  ::setsid();                         // no signals from the terminal
  ::prctl(PR_SET_NAME, "lockguard");  // nor from `killall locker`
  // Inherited handlers would report our signals to the parent.
  for (int number = 1; number <= SIGRTMAX; ++number) ::signal(number, SIG_IGN);
  close_all_but(socket);
  Told told;
  while (!is_told_before(socket, told.term_at) || read_told(socket, told)) {
    const auto now = Guardian::Clock::now();
    if (now >= told.kill_at) {
      ::kill(-told.group, SIGKILL);
      told.term_at = told.kill_at = never;
    } else if (now >= told.term_at) {
      ask_to_end(told.group);
      told.term_at = told.kill_at;
    }
  }
  if (told.group <= 0) ::_exit(0);
  ask_to_end(told.group);
  // If the parent was stopped before it was killed, the lease may end before the grace period.
  const auto kill_at = std::min(Guardian::Clock::now() + told.grace, told.kill_at);
  while (Guardian::Clock::now() < kill_at && is_alive(told.group)) sleep_for(milliseconds{50});
  ::kill(-told.group, SIGKILL);
  ::_exit(0);
}

}  // namespace

Guardian::Guardian() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
  pid_ = ::fork();
  if (pid_ == 0) guard(ends[0]);
  ::close(ends[0]);
  socket_ = ends[1];
}

Guardian::~Guardian() {
  if (socket_ >= 0) ::close(socket_);
}

void Guardian::watch(pid_t group, const Lease& lease) const {
  const auto& [ttl, ends_at, grace] = lease;
  Told told{.group = group, .grace = grace};
  if (ends_at != never) {
    told.term_at = ends_at - ttl / 10;
    told.kill_at = ends_at - ttl / 40;
  }
  // Does not block if the guardian is stopped; is_gone() reports one that was killed.
  const auto sent = ::send(socket_, &told, sizeof told, MSG_DONTWAIT | MSG_NOSIGNAL);
  static_cast<void>(sent);
}

bool Guardian::is_gone() {
  if (pid_ <= 0 || ::waitpid(pid_, nullptr, WNOHANG) != pid_) return false;
  pid_ = -1;
  return true;
}

void Guardian::dismiss() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);  // before it sees that the socket is closed
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

}  // namespace locker::client
