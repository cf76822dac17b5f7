#include "client/command/guardian.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

namespace locker::client {
namespace {

/// 0 at the end of the pipe, else what was told.
pid_t read_group(int pipe) {
  pid_t group = 0;
  ssize_t got = 0;
  do {
    got = ::read(pipe, &group, sizeof group);
  } while (got < 0 && errno == EINTR);
  return got == sizeof group ? group : 0;
}

void sleep_for(std::chrono::milliseconds time) {
  timespec left{time.count() / 1'000, time.count() % 1'000 * 1'000'000};
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

bool is_alive(pid_t group) { return ::kill(-group, 0) == 0; }

/// Only what is safe after a fork. Told a group: guards it. Told -1: dismissed.
[[noreturn]] void guard(int pipe, std::chrono::milliseconds grace) {
  ::setsid();  // the terminal's signals are not for us
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE}) {
    ::signal(number, SIG_IGN);
  }
  pid_t group = 0;
  for (pid_t told = 0; (told = read_group(pipe)) != 0;) group = told;
  if (group <= 0) ::_exit(0);
  ::kill(-group, SIGTERM);
  ::kill(-group, SIGCONT);
  constexpr std::chrono::milliseconds step{50};
  for (auto left = grace; left.count() > 0 && is_alive(group); left -= step) sleep_for(step);
  ::kill(-group, SIGKILL);
  ::_exit(0);
}

}  // namespace

Guardian::Guardian(std::chrono::milliseconds grace) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  pid_ = ::fork();
  if (pid_ == 0) {
    ::close(ends[1]);
    // Not our output: whoever reads it to the end must not wait for the guardian.
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(standard);
    guard(ends[0], grace);
  }
  ::close(ends[0]);
  pipe_ = ends[1];
}

Guardian::~Guardian() { dismiss(); }

void Guardian::watch(pid_t group) const {
  const auto told = ::write(pipe_, &group, sizeof group);
  static_cast<void>(told);  // it is gone: then nobody guards
}

void Guardian::dismiss() {
  if (pipe_ < 0) return;
  watch(-1);
  ::close(pipe_);
  pipe_ = -1;
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

}  // namespace locker::client
